package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// The exit statuses that are toxrun's own; all others are the command's.
const (
	statusTimeout = 124 // as timeout(1) has it
	statusFailed  = 125 // as docker run has it: toxrun could not run the command
	statusSignal  = 128 // + N
)

// A usageError is a command line that means nothing.
type usageError struct {
	text, hint string
}

func usage(text, hint string) error { return &usageError{text, hint} }

func (e *usageError) Error() string { return e.text }
func (e *usageError) Hint() string  { return e.hint }

// A hintedError says what to do next.
type hintedError struct {
	error
	hint string
}

func hinted(err error, hint string) error { return &hintedError{err, hint} }

func (e *hintedError) Hint() string  { return e.hint }
func (e *hintedError) Unwrap() error { return e.error }

// An unreachable is why there is no connection to the Engine, on one line, and what to do.
type unreachable struct {
	error
	hint string
}

func (e *unreachable) Hint() string  { return e.hint }
func (e *unreachable) Unwrap() error { return e.error }

// A timeoutError is the end of --timeout.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return fmt.Sprintf("ended after --timeout %v", time.Duration(e))
}

// messages is where toxrun speaks for itself, one line each: stderr, never
// stdout, which is the command's. What a line quotes of others is made visible.
type messages struct {
	io.Writer
	quiet  bool   // but for errors
	about  string // what a line is about, where there is more than one; or empty
	ending string // of a line: a terminal in raw mode needs a carriage return
}

// start is the begin of each line.
func (m messages) start() string {
	if m.about == "" {
		return "toxrun: "
	}
	return "toxrun: " + visible(m.about) + ": "
}

func (m messages) say(text string) {
	if !m.quiet {
		_, _ = io.WriteString(m, m.start()+visible(oneLine(text))+m.ending)
	}
}

// The colours of a verdict, as a terminal has them (ECMA-48).
const (
	green = "\x1b[32m"
	red   = "\x1b[31m"
	plain = "\x1b[m"
)

// ended says how a run has ended, in colour where color is true.
func (m messages) ended(status int, took time.Duration, color bool) {
	verdict := verdict(status)
	switch {
	case color && status == 0:
		verdict = green + verdict + plain
	case color:
		verdict = red + verdict + plain
	}
	if !m.quiet {
		_, _ = fmt.Fprintf(m, "%s%s, %s%s", m.start(), verdict, brief(took), m.ending)
	}
}

func verdict(status int) string {
	if status == 0 {
		return "pass"
	}
	return fmt.Sprintf("fail, exit status %d", status)
}

// oneLine makes one line of what a library or a program may have said in several.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, " ")
}

// status turns what became of a command into toxrun's exit status, and says what
// the command can't have said itself.
func status(err error, to messages) int {
	to.quiet = false
	code := statusFailed
	exit, timeout, start := (*execproxy.ExitError)(nil), timeoutError(0), (*execproxy.StartError)(nil)
	signal, lost, unreached := (*execproxy.SignalError)(nil), (*execproxy.LostError)(nil), (*unreachable)(nil)
	if engines, ok := errors.AsType[enginesError](err); ok {
		return engines.status(to, "")
	}
	switch {
	case err == nil:
		return 0
	case unread(err):
		return statusSignal + int(syscall.SIGPIPE)
	case errors.As(err, &timeout):
		if errors.As(err, &exit) {
			err = timeout
		}
		to.say(err.Error()) // with what is left of the command, where its end was not seen
		return statusTimeout
	case errors.As(err, &exit):
		return exit.Code
	case errors.As(err, &start):
		to.say(start.Error())
		code = start.Code
	case errors.As(err, &signal):
		if signal.Cause != "" {
			to.say(signal.Cause)
		}
		if number, ok := signal.Signal.(syscall.Signal); ok {
			return statusSignal + int(number)
		}
		return statusFailed
	case errors.As(err, &lost):
		to.say(lost.Error())
		if errors.As(err, &unreached) {
			return code // its hint is for who has never got there
		}
	case errors.As(err, &unreached):
		to.say("no docker engine answers: " + unreached.Error())
	case client.IsErrConnectionFailed(err):
		to.say(fmt.Sprintf("no docker engine answers: %v", errors.Unwrap(err)))
		if _, ok := errors.AsType[*hintedError](err); !ok {
			to.hint("docker version")
		}
	case strings.Contains(err.Error(), "Client sent an HTTP request to an HTTPS server"): // net/http
		to.say("the engine answers by TLS only")
		to.hint("--tlsverify, or DOCKER_TLS_VERIFY=1")
	default:
		to.say(err.Error())
	}
	var hint interface{ Hint() string }
	if errors.As(err, &hint) && hint.Hint() != "" {
		to.hint(hint.Hint())
	}
	return code
}

// unread tells whether err is that nobody reads what we print. A connection that breaks
// has the same number.
func unread(err error) bool {
	write, ok := errors.AsType[*fs.PathError](err)
	return ok && write.Path == os.Stdout.Name() && write.Err == syscall.EPIPE
}

func (m messages) hint(line string) {
	_, _ = io.WriteString(m, "hint: "+visible(line)+m.ending)
}
