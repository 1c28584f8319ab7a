package execproxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// The streams of a frame, from the Engine's API reference, "attach to a
// container": a frame is the stream in one byte, three zeros, the payload's
// length as 32 bits big-endian, and the payload.
const (
	frameStdin  = 0 // written on stdout
	frameStdout = 1
	frameStderr = 2
	frameSystem = 3 // an error of the Engine itself

	frameHeader = 8
)

// A FrameError is output of the Engine that is not in frames.
type FrameError struct {
	Header [frameHeader]byte // as it was read
}

func (e *FrameError) Error() string {
	return fmt.Sprintf("the engine's output stream is damaged: no frame starts with % x", e.Header)
}

// A systemError is what the Engine wrote of itself into the output.
type systemError string

func (e systemError) Error() string { return "engine: " + string(e) }

// chunkSize is how much is read at once where nothing else says so. The Engine
// writes frames of at most 32 KiB.
const chunkSize = 32 << 10

// readFrames takes the Engine's frames apart and calls write for each piece, in
// their order, as soon as it is there; write must not keep data. Its first
// argument is 1 for stdout and 2 for stderr. It returns nil at an end between two
// frames, io.ErrUnexpectedEOF at one within a frame, a [FrameError], and errors of
// r and write as they are. Memory is r's, whatever lengths the frames claim to have.
func readFrames(r *bufio.Reader, write func(stream int, data []byte) error) error {
	var header [frameHeader]byte
	for {
		if _, err := io.ReadFull(r, header[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if header[0] > frameSystem || header[1]|header[2]|header[3] != 0 {
			return &FrameError{header}
		}
		size := int64(binary.BigEndian.Uint32(header[4:]))
		if header[0] == frameSystem {
			text, err := io.ReadAll(io.LimitReader(r, min(size, chunkSize)))
			if err != nil {
				return err
			}
			return systemError(text)
		}
		stream := max(int(header[0]), frameStdout)
		for size > 0 {
			n, err := readSome(r, size, func(data []byte) error { return write(stream, data) })
			if err == io.EOF {
				return io.ErrUnexpectedEOF
			}
			if err != nil {
				return err
			}
			size -= n
		}
	}
}

// readSome hands what is there, one byte at least and limit at most, to write,
// straight from r's buffer.
func readSome(r *bufio.Reader, limit int64, write func(data []byte) error) (int64, error) {
	if _, err := r.Peek(1); err != nil {
		return 0, err
	}
	n := min(limit, int64(r.Buffered()))
	data, _ := r.Peek(int(n))
	_, _ = r.Discard(int(n)) // data is good until the next read
	return n, write(data)
}

// readRaw is readFrames for a TTY, which has one stream and no frames.
func readRaw(r *bufio.Reader, write func(stream int, data []byte) error) error {
	for {
		_, err := readSome(r, math.MaxInt, func(data []byte) error { return write(frameStdout, data) })
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
