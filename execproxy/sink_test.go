package execproxy

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

func TestOnlyWhatNobodySeesIsNotWritten(t *testing.T) {
	t.Parallel()
	open := func(name string) *os.File {
		file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	for _, w := range []io.Writer{io.Discard, open(os.DevNull)} {
		if !throwsAway(w) {
			t.Errorf("%v is written to", w)
		}
	}
	for _, w := range []io.Writer{new(bytes.Buffer), os.Stderr, open(filepath.Join(t.TempDir(), "file"))} {
		if throwsAway(w) {
			t.Errorf("%v is not written to", w)
		}
	}
}

// What came on one stream does not wait for the receiver of the other.
func TestBlockedStreamHoldsNothingElseBack(t *testing.T) {
	t.Parallel()
	r := &run{Cmd: new(Cmd), up: make(chan struct{}), panics: make(chan string, 1)}
	close(r.up)
	var served, heard atomic.Int32
	var over atomic.Bool
	r.stream = &stream{output: bufio.NewReaderSize(readerOf(func(p []byte) (int, error) {
		for heard.Load() < served.Load() { // so that nobody is at work on stderr
			time.Sleep(time.Millisecond)
		}
		if over.Load() {
			return 0, io.EOF
		}
		served.Add(1)
		return copy(p, append(frame(frameStderr, "x"), frame(frameStdout, string(make([]byte, chunkSize/2)))...)), nil
	}), chunkSize)}
	end := make(chan struct{})
	r.out = newSink(r, writerOf(func(p []byte) (int, error) { <-end; return 0, io.ErrClosedPipe }))
	r.err = newSink(r, writerOf(func(p []byte) (int, error) { heard.Add(int32(len(p))); return len(p), nil }))
	r.out.ended = func() bool { return false }
	received := make(chan error, 1)
	go func() { received <- r.receive() }()
	defer func() {
		over.Store(true)
		close(end)
		<-received
		for _, s := range []*sink{r.out, r.err} {
			s.close()
			<-s.done
		}
	}()
	blocked := false
	for deadline := enginetest.Deadline(t); !blocked || heard.Load() != served.Load(); {
		if time.Now().After(deadline) {
			t.Errorf("of %d lines %d have arrived", served.Load(), heard.Load())
			heard.Store(served.Load()) // else nothing ends
			return
		}
		before := served.Load()
		time.Sleep(20 * time.Millisecond)
		blocked = before > 0 && before == served.Load()
	}
}

type readerOf func(p []byte) (int, error)

func (f readerOf) Read(p []byte) (int, error) { return f(p) }

type writerOf func(p []byte) (int, error)

func (f writerOf) Write(p []byte) (int, error) { return f(p) }
