package lanes

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// Lines is a writer that several share, a line at a time: none is cut, and none is
// mixed with another. Each source has its own writer (see Source); what is written
// to Lines itself must be whole lines.
type Lines struct {
	to   io.Writer
	turn chan struct{} // has room for one: who writes a line

	mu   sync.Mutex
	late []byte // came while it was another one's turn
}

// NewLines returns Lines that writes to to: in one call, all lines that one Write of a
// source has made whole.
func NewLines(to io.Writer) *Lines { return &Lines{to: to, turn: make(chan struct{}, 1)} }

// Write writes whole lines, once nobody is within one. It waits for nobody: who speaks of
// a command must not be held back by its output.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	select {
	case l.turn <- struct{}{}:
		l.mu.Unlock()
		defer l.give()
		return l.to.Write(p)
	default:
		l.late = append(l.late, p...)
		l.mu.Unlock()
		return len(p), nil
	}
}

// take waits for the turn, and give gives it back.
func (l *Lines) take() { l.turn <- struct{}{} }

func (l *Lines) give() {
	for {
		l.mu.Lock()
		late := l.late
		if l.late = nil; len(late) == 0 {
			<-l.turn
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		_, _ = l.to.Write(late) // whoever writes next has the same error
	}
}

// Through has all that comes from now on written to to.
func (l *Lines) Through(to io.Writer) {
	l.take()
	l.to = to
	l.give()
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

// A Source is the writer of one of those that share Lines.
type Source struct {
	lines  *Lines
	prefix string

	mu     sync.Mutex
	kept   []byte // not written yet: the begin of a line, with prefix
	within bool   // a long line is under way: the turn is ours until its end
}

// Write takes p, and writes the lines that are whole by then.
func (s *Source) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, _, binary := bytes.Cut(p, []byte{0})
	if err := s.take(text); err != nil {
		return 0, err
	}
	if binary {
		return 0, ErrBinary
	}
	return len(p), nil
}

func (s *Source) take(p []byte) error {
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
		return s.write(len(s.kept), true)
	case whole > 0:
		return s.write(whole, false)
	}
	return nil
}

// write writes the first size bytes of what is kept. within tells whether they end
// within a line.
func (s *Source) write(size int, within bool) error {
	if !s.within {
		s.lines.take()
	}
	_, err := s.lines.to.Write(s.kept[:size])
	s.kept = append(s.kept[:0], s.kept[size:]...)
	if s.within = within && err == nil; !s.within {
		s.lines.give()
	}
	return err
}

// Close ends the last line, where there is an unfinished one, with a newline. What is
// written after it begins another.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == 0 && !s.within {
		return nil
	}
	s.kept = append(s.kept, '\n')
	return s.write(len(s.kept), false)
}

// Alone calls f with what out and err write to, while nobody else writes to either. They
// may be one and the same.
func Alone(out, err *Lines, f func(out, err io.Writer) error) error {
	out.take()
	defer out.give()
	if err != out {
		err.take()
		defer err.give()
	}
	return f(out.to, err.to)
}
