package execproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func frame(stream byte, payload string) []byte {
	header := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(header[4:], uint32(len(payload)))
	return append(header, payload...)
}

// split reads frames and returns what came on each stream.
func split(r io.Reader) (stdout, stderr string, err error) {
	var streams [3]bytes.Buffer
	err = readFrames(bufio.NewReader(r), func(stream int, data []byte) error {
		streams[stream].Write(data)
		return nil
	})
	return streams[frameStdout].String(), streams[frameStderr].String(), err
}

func TestFramesAreTakenApart(t *testing.T) {
	t.Parallel()
	input := bytes.Join([][]byte{
		frame(1, "one\n"), frame(2, "problem\n"), frame(1, ""), frame(0, "zero\n"), frame(1, "two\n"),
	}, nil)
	for name, r := range map[string]io.Reader{
		"at once":       bytes.NewReader(input),
		"byte by byte":  iotest.OneByteReader(bytes.NewReader(input)),
		"end with data": iotest.DataErrReader(bytes.NewReader(input)),
	} {
		stdout, stderr, err := split(r)
		if stdout != "one\nzero\ntwo\n" || stderr != "problem\n" || err != nil {
			t.Errorf("%s: stdout %q, stderr %q, error %v", name, stdout, stderr, err)
		}
	}
}

func TestDamagedFramesAreErrors(t *testing.T) {
	t.Parallel()
	failure := errors.New("failure")
	for name, test := range map[string]struct {
		input io.Reader
		want  func(error) bool
	}{
		"cut header":  {bytes.NewReader(frame(1, "x")[:5]), is(io.ErrUnexpectedEOF)},
		"cut payload": {bytes.NewReader(frame(1, "payload")[:12]), is(io.ErrUnexpectedEOF)},
		"no frame":    {bytes.NewReader([]byte("Hello, world")), isFrameError},
		"stream 4":    {bytes.NewReader(frame(4, "x")), isFrameError},
		"engine":      {bytes.NewReader(frame(3, "out of disk")), func(err error) bool { return err.Error() == "engine: out of disk" }},
		"read error":  {io.MultiReader(bytes.NewReader(frame(1, "x")), iotest.ErrReader(failure)), is(failure)},
	} {
		if _, _, err := split(test.input); err == nil || !test.want(err) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }

func isFrameError(err error) bool {
	_, ok := errors.AsType[*FrameError](err)
	return ok
}

// A frame may claim 4 GiB: memory must not follow the claim.
func TestHugeFramesCostNoMemory(t *testing.T) {
	const size = 64 << 20
	header := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(header[4:], size)
	var got int64
	allocated := testing.AllocsPerRun(1, func() {
		got = 0
		r := io.MultiReader(bytes.NewReader(header), io.LimitReader(zeros{}, size))
		if err := readFrames(bufio.NewReader(r), func(_ int, data []byte) error { got += int64(len(data)); return nil }); err != nil {
			t.Fatal(err)
		}
	})
	if got != size || allocated > 20 {
		t.Errorf("%d of %d bytes with %v allocations", got, size, allocated)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func FuzzFrames(f *testing.F) {
	f.Add(frame(1, "out"))
	f.Add(append(frame(1, "out\r\n"), frame(2, "err")...))
	f.Add(frame(3, "engine"))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'x'})
	f.Add([]byte("not a frame at all"))
	f.Fuzz(func(t *testing.T, input []byte) {
		stdout, stderr, err := split(bytes.NewReader(input))
		again, errAgain, err2 := split(iotest.OneByteReader(bytes.NewReader(input)))
		if stdout != again || stderr != errAgain || (err == nil) != (err2 == nil) {
			t.Errorf("%q depends on how it arrives: %q %q %v, %q %q %v", input, stdout, stderr, err, again, errAgain, err2)
		}
		if len(stdout)+len(stderr) > len(input) {
			t.Errorf("%q: more output than input", input)
		}
		if err != nil {
			return
		}
		// What was taken apart can be put together again.
		whole := append(frame(1, stdout), frame(2, stderr)...)
		if back, errBack, err := split(bytes.NewReader(whole)); back != stdout || errBack != stderr || err != nil {
			t.Errorf("round trip of %q: %q, %q, %v", input, back, errBack, err)
		}
	})
}
