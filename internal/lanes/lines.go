package lanes

import (
	"bytes"
	"errors"
	"io"
)

// Lines is a writer that several share, a line at a time: none is cut, and none is
// mixed with another. Each source has its own writer (see Source); what is written
// to Lines itself must be whole lines.
type Lines struct {
	to   io.Writer
	turn chan struct{} // has room for one: who writes a line
}

// NewLines returns Lines that writes to to: in one call, all lines that one Write of a
// source has made whole.
func NewLines(to io.Writer) *Lines { return &Lines{to, make(chan struct{}, 1)} }

// Write writes whole lines.
func (l *Lines) Write(p []byte) (int, error) {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	return l.to.Write(p)
}

// Through has all that comes from now on written to to.
func (l *Lines) Through(to io.Writer) {
	l.turn <- struct{}{}
	l.to = to
	<-l.turn
}

// Source returns the writer of one source. Its lines get prefix, which may be empty,
// and appear as soon as they are whole: an unfinished line holds nobody back. Only
// one that is longer than [LongLine] appears before it is whole; then the others wait
// for its end.
//
// Close has to be called once nothing more comes: it ends the last line.
func (l *Lines) Source(prefix string) *Source { return &Source{lines: l, prefix: prefix} }

// LongLine is how much of a line is kept until it is whole, in bytes.
const LongLine = 1 << 20

// ErrBinary is what a Source's Write returns for a NUL byte, which is in no text.
var ErrBinary = errors.New("it is binary and has no lines")

// A Source is the writer of one of those that share Lines. One goroutine at a time may
// use it.
type Source struct {
	lines  *Lines
	prefix string
	kept   []byte // not written yet: the begin of a line, with prefix
	within bool   // a long line is under way: the turn is ours until its end
}

// Write takes p, and writes the lines that are whole by then.
func (s *Source) Write(p []byte) (int, error) {
	if bytes.IndexByte(p, 0) >= 0 {
		return 0, ErrBinary
	}
	whole := 0 // bytes of kept that are whole lines
	for rest := p; len(rest) > 0; {
		if len(s.kept) == whole && (!s.within || whole > 0) {
			s.kept = append(s.kept, s.prefix...)
		}
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			s.kept = append(s.kept, rest...)
			break
		}
		s.kept = append(s.kept, rest[:end]...)
		rest, whole = rest[end:], len(s.kept)
	}
	begins := len(s.kept)-whole > LongLine
	switch {
	case begins, whole == 0 && s.within:
		return len(p), s.write(len(s.kept), true)
	case whole > 0:
		return len(p), s.write(whole, false)
	}
	return len(p), nil
}

// write writes the first size bytes of what is kept. within tells whether they end
// within a line.
func (s *Source) write(size int, within bool) error {
	if !s.within {
		s.lines.turn <- struct{}{}
	}
	_, err := s.lines.to.Write(s.kept[:size])
	s.kept = append(s.kept[:0], s.kept[size:]...)
	if s.within = within && err == nil; !s.within {
		<-s.lines.turn
	}
	return err
}

// Close ends the last line, where there is an unfinished one, with a newline.
func (s *Source) Close() error {
	if len(s.kept) == 0 && !s.within {
		return nil
	}
	s.kept = append(s.kept, '\n')
	return s.write(len(s.kept), false)
}

// Alone calls f with what out and err write to, while nobody else writes to either. They
// may be one and the same.
func Alone(out, err *Lines, f func(out, err io.Writer) error) error {
	out.turn <- struct{}{}
	defer func() { <-out.turn }()
	if err != out {
		err.turn <- struct{}{}
		defer func() { <-err.turn }()
	}
	return f(out.to, err.to)
}
