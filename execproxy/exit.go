package execproxy

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// An exit is how the command ended: its status, or why that is not known.
type exit struct {
	code  int
	err   error
	alive bool // it has not ended, it was lost sight of
	died  bool // with its container
}

// ended asks for the command's status after its output has ended with end.
// began is when its container was started, or empty; signaled whether a signal was to
// end the command, so that nobody wonders why it was killed.
func (r *run) ended(end error, began string, signaled bool) exit {
	if _, refused := errors.AsType[*StartError](end); refused {
		return exit{err: end}
	}
	if end == nil && r.woken() && r.Spare.Whole != nil && !r.Spare.Whole(r.requests) {
		end = errRelay
	}
	if r.woken() && !r.hasBegun() {
		// All that a process has written arrives as long as its container lives.
		if now, _, err := r.condition(r.requests, began); now == running && end == nil && err == nil {
			return exit{err: errAsleep}
		}
	}
	deadline := time.Now().Add(brokenTime)
	for pause := time.Millisecond; ; pause = min(2*pause, brokenTime/8) {
		now, err := r.inspect(r.requests, r.id)
		if err == nil && !now.running && !now.unknown {
			died := now.code == 128+int(syscall.SIGKILL) && !signaled && r.killed(began)
			if end != nil {
				return exit{err: broke(end)}
			}
			return exit{code: now.code, died: died}
		}
		late := time.Now().After(deadline)
		if err != nil || late {
			condition, _, problem := r.condition(r.requests, began)
			switch {
			case condition.gone(), late && condition == unknown:
				return exit{err: r.lost(condition, problem)}
			case !late:
				// Who can't be asked now may yet be, by another connection.
			case now.unknown:
				return exit{err: &LostError{Cause: "the command has ended, and the engine names no exit status for it", Err: ErrNoStatus}}
			case err != nil:
				return exit{err: &LostError{Cause: "the command's end was not seen: " + err.Error(), Err: err}}
			default:
				if end == nil {
					end = io.ErrUnexpectedEOF
				}
				return exit{err: broke(end), alive: true}
			}
		}
		select {
		case <-time.After(pause):
		case <-r.requests.Done():
			return exit{err: r.requests.Err()}
		}
	}
}

// brokenTime is how much later than the end of its output the Engine may report
// the end of a command. It does so before (measured: 20.10), and also keeps the
// output of a command open that has closed it and runs on; so what ends earlier is
// the connection. And for how long an Engine that can't be reached is tried.
const brokenTime = 2 * time.Second

// errRelay is the end of output that another process has relayed, and not to its end.
var errRelay = errors.New("the keeper has ended, or lost the engine")

// broke is the error for output that ended otherwise than with the command.
func broke(end error) error {
	return &LostError{Cause: fmt.Sprintf("the connection to the engine broke (%v): output is missing", end), Err: end}
}

// killed tells, the user too, whether the command died with its container. The Engine learns of
// the command's end first, so the container gets a moment to be told dead.
func (r *run) killed(began string) bool {
	for deadline := time.Now().Add(deathTime); time.Now().Before(deadline); time.Sleep(deathTime / 100) {
		switch now, _, err := r.condition(r.requests, began); {
		case err != nil:
			return false
		case now.gone():
			r.notice(r.fate(now))
			return true
		}
	}
	return false
}

// deathTime is how much later than a command's end the Engine may learn that its
// container has ended too (measured: 20.10, 5 to 50 ms, on a very busy machine more
// than 400). A command that was killed by itself is reported so much later.
const deathTime = 2 * time.Second
