package execproxy

import (
	"errors"
	"fmt"
	"os"
)

// An ExitError is a command that ended with a status other than 0.
type ExitError struct {
	// Code is 1 to 255. The Engine reports a command that signal N has killed
	// as 128+N, as a shell does.
	Code int

	died bool // with its container
}

func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// A StartError is a command that never ran.
type StartError struct {
	// Code is the status a shell would give: 127 for a program that is not
	// there, 126 for one that can't be executed, and 125 where it is not the
	// program that is at fault, but the user or the directory.
	Code    int
	Program string // Cmd.Args[0]
	Text    string // what is wrong, for a person
	Engine  string // the Engine's own words
}

func (e *StartError) Error() string { return e.Text }

// A GoneError is a container that was not there, or not running, when the exec
// was to be created. Nothing has run: whoever has remembered the container may
// look it up again.
type GoneError struct {
	Container string
	Paused    bool // it is there, and frozen
	Err       error
}

func (e *GoneError) Error() string {
	if e.Paused {
		return fmt.Sprintf("container %s is paused", short(e.Container))
	}
	return fmt.Sprintf("container %s is not running", short(e.Container))
}

func (e *GoneError) Unwrap() error { return e.Err }

// A LostError is a command whose end was not seen: its container or the Engine
// went away under it.
type LostError struct {
	Cause string // for a person
	Err   error  // nil where the Engine answered

	died bool // with its container
}

func (e *LostError) Error() string { return e.Cause }
func (e *LostError) Unwrap() error { return e.Err }

// Died tells whether err, of Run, is that the command has died with its container, which
// may be running again by now.
func Died(err error) bool {
	exit, _ := errors.AsType[*ExitError](err)
	lost, _ := errors.AsType[*LostError](err)
	return exit != nil && exit.died || lost != nil && lost.died
}

// A SignalError is a run that a signal has ended without the command's own
// status: it came before the command had started, the command could not be
// reached, or its output had nowhere to go.
type SignalError struct {
	Signal os.Signal
	Cause  string // what is left of the command, for a person; or empty
}

func (e *SignalError) Error() string {
	if e.Cause == "" {
		return e.Signal.String()
	}
	return e.Cause
}

// An OthersError is processes that have a run's token, but are other users' than the one
// who has asked for its end: they were left alone.
type OthersError struct {
	Container string
	PIDs      string // in the container, or as the text says; with spaces between
}

func (e *OthersError) Error() string {
	return fmt.Sprintf("left alone in container %s, since it is another user's: process %s", e.Container, e.PIDs)
}

// An OutputError is a receiver of output that failed for another reason than
// that it went away, such as a full disk. The command was ended.
type OutputError struct {
	Err error
}

func (e *OutputError) Error() string { return "output can't be written: " + e.Err.Error() }
func (e *OutputError) Unwrap() error { return e.Err }

// An InputError is a Stdin that failed before its end. The command was ended: it
// would have taken what it had for the whole.
type InputError struct {
	Err error
}

func (e *InputError) Error() string { return "input can't be read: " + e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// short is a container's name as it is, its ID as docker ps shows it.
func short(container string) string {
	if len(container) == 64 {
		return container[:12]
	}
	return container
}
