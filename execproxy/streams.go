package execproxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"
)

// pump starts the goroutines that move the streams.
func (r *run) pump() {
	r.out = newSink(r, r.Stdout)
	r.err = r.out
	if !r.TTY && r.Stderr != r.Stdout {
		r.err = newSink(r, r.Stderr)
	}
	r.spawn(func() { r.received <- r.receive() })
	if r.Stdin != nil {
		r.spawn(r.send)
	}
}

// receive hands the output to the sinks until its end. It returns a StartError
// where the output is the Engine's message that the command can't run.
func (r *run) receive() error {
	read := readFrames
	if r.TTY {
		read = readRaw
	}
	from := bufio.NewReaderSize(flushing{r.stream.output, r}, chunkSize)
	return read(from, func(stream int, data []byte) error {
		switch {
		case r.woken() && (stream == frameStderr || r.TTY):
			data = r.awake(data)
		case !r.hasBegun():
			if err := r.refusal(data); err != nil {
				return err
			}
			r.begun()
		}
		if stream == frameStderr {
			r.err.write(data)
		} else {
			r.out.write(data)
		}
		return nil
	})
}

// A flushing has all output written before it waits for more.
type flushing struct {
	io.Reader
	r *run
}

func (f flushing) Read(p []byte) (int, error) {
	f.r.flush()
	f.r.outputSilence.begin()
	defer f.r.outputSilence.end()
	return f.Reader.Read(p)
}

func (r *run) flush() {
	r.out.tell()
	r.err.tell()
}

// refusal tells whether data, the first output of all, is not the command's.
// The Engine writes its runtime's message where the command's stdout would be,
// in one piece that ends in CR LF (measured: 20.10 and 29.7). An exec that never
// had a process gives it away.
func (r *run) refusal(data []byte) error {
	if r.woken() || !bytes.HasSuffix(data, []byte("\r\n")) {
		return nil
	}
	now, err := r.inspect(r.requests, r.id)
	if err != nil || now.running || now.started {
		return nil // the end of the run will tell
	}
	return r.refused(r.args[0], strings.TrimSpace(string(data)))
}

// refused makes a StartError of the runtime's message.
func (c *Cmd) refused(program, message string) error {
	e := &StartError{Code: 126, Program: program, Engine: message}
	// What comes first in the message is about the exec as a whole.
	switch has := func(text string) bool { return strings.Contains(message, text) }; {
	case isUnknownUser(message):
		e.Code, e.Text = 125, fmt.Sprintf("user %s: not found in container %s", c.User, c.Name)
	case has("chdir to cwd"):
		e.Code, e.Text = 125, fmt.Sprintf("directory %s: not to be entered in container %s", c.Dir, c.Name)
	case has("setns process"):
		e.Code, e.Text = 125, message
	case has("executable file not found"), has("no such file or directory"):
		e.Code, e.Text = 127, fmt.Sprintf("%s: not found in container %s", e.Program, c.Name)
	case has("permission denied"), has("is a directory"):
		e.Text = fmt.Sprintf("%s: not executable in container %s", e.Program, c.Name)
	case has("exec format error"):
		e.Text = fmt.Sprintf("%s: not a program for container %s", e.Program, c.Name)
	default:
		e.Code, e.Text = 125, message
	}
	return e
}

// isUnknownUser tells whether the Engine has not found the user, or group.
func isUnknownUser(message string) bool {
	return strings.Contains(message, "no matching entries in") || strings.Contains(message, "unable to find user")
}

// stdinSize is how much of stdin is passed on at once: twice what a pipe holds. From a
// file that takes a tenth less of the processor's time than 32 KiB (measured).
const stdinSize = 128 << 10

// send hands the caller's stdin to the command. Where the command ends first,
// the write fails and all is well.
func (r *run) send() {
	if !r.started() {
		return // the next try sends it
	}
	begin := time.Now()
	in := &source{Reader: r.Stdin, last: '\n'}
	sent, err := io.CopyBuffer(struct{ io.Writer }{r.stream}, in, make([]byte, stdinSize))
	switch {
	case in.err != nil:
		r.stdinFailed <- in.err
		return
	case err != nil:
		return
	case !r.TTY:
		if sent == 0 && !r.woken() && !r.settled(begin) {
			return
		}
		_ = r.stream.closeWrite()
		return
	}
	// A half-closed connection would make the Engine close a terminal's output
	// too. ^D is a terminal's end of file, at the start of a line.
	end := []byte{4}
	if in.last != '\n' {
		end = []byte{4, 4}
	}
	_, _ = r.stream.Write(end)
}

// started waits until it is sure that the command has begun, and tells whether
// it has. Of an exec that may have to be started in another way nothing must be
// lost.
func (r *run) started() bool {
	var look <-chan time.Time
	if r.behindShell { // which may not be there
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		look = ticker.C
	} else if !r.woken() {
		return true
	}
	for {
		select {
		case <-r.up:
			return true
		case <-look:
			now, err := r.inspect(r.requests, r.id)
			if err != nil || now.started {
				return err == nil
			}
		case <-r.requests.Done():
			return false
		}
	}
}

// settled waits until the end of a stdin that had nothing in it can be told, and
// tells whether the run still goes on. containerd's shim opens the stdin of a
// command for reading in a goroutine that nobody waits for; where the Engine closes
// it sooner the reader waits for a writer for good, and so does the command for its
// end (docs/architecture.md). Nobody tells when the reader is there. It is late by
// a few wake-ups of the shim, and a start takes dozens: so the command gets twice
// the time that it took to start, which was at begin or later.
func (r *run) settled(begin time.Time) bool {
	wait := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-r.requests.Done():
			return false
		}
	}
	for next := startTime; ; next += next / 2 {
		if !wait(next - time.Since(begin)) {
			return false
		}
		now, err := r.inspect(r.requests, r.id)
		if now.started || err != nil && err != errSilent {
			return wait(min(2*time.Since(begin), settleTime))
		}
	}
}

// startTime is the least that the Engine takes to start an exec (measured: 20.10),
// so that one look is enough, or two. From API 1.42 on the look itself waits for
// the process.
const startTime = 50 * time.Millisecond

// settleTime is the most that the end of an empty stdin is held back for the
// shim's reader, which was late by 110 ms at most on two cores with a load of 20
// (measured). Where stdin ends late the command may have been there for long.
const settleTime = 500 * time.Millisecond

// A source remembers the last byte that was read, and why no more can be where
// that is not its end.
type source struct {
	io.Reader
	last byte
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if n > 0 {
		s.last = p[n-1]
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// pipeTime is how long a command may take to notice that its output has nowhere
// to go; many, Python's among them, ignore SIGPIPE.
const pipeTime = 300 * time.Millisecond

// receiverGone ends the command when the receiver of a sink has failed. escalate is
// the timer for SIGTERM, nil as long as none runs.
func (r *run) receiverGone(s *sink, escalate <-chan time.Time) <-chan time.Time {
	if s.failure() == nil || r.exit != nil || escalate != nil {
		return escalate
	}
	r.deliver(syscall.SIGPIPE)
	return time.After(pipeTime)
}

// outputFailure is why output was lost, but for a receiver that went away: that
// is the receiver's wish.
func (r *run) outputFailure() error {
	for _, s := range []*sink{r.out, r.err} {
		if err := s.failure(); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
	}
	return nil
}

// mayHaveEnded tells whether the command may have ended though its output has
// not. The Engine keeps the exec locked while it waits for its output to be read
// (moby, daemon/monitor.go), so no answer is an answer.
func (r *run) mayHaveEnded() bool {
	ctx, cancel := context.WithTimeout(r.requests, stallTime/2)
	defer cancel()
	now, err := r.inspect(ctx, r.id)
	return err != nil || !now.running
}
