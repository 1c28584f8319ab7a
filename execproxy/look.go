package execproxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
)

// A condition is what has become of the container of a run.
type condition int

const (
	running condition = iota
	paused
	stopped
	restarted
	removed
	unknown // the Engine does not answer
)

// gone tells whether the container has ended, and all that ran in it.
func (c condition) gone() bool { return c > paused && c != unknown }

// A look is what the Engine says of the container, and when it was started.
type look struct {
	condition condition
	began     string // the Engine's own text, to be compared only
	err       error  // of an Engine that does not answer
}

const (
	// lookTime is how often a run looks what has become of its container, and
	// when it does first: most are over by then and cost the Engine three
	// requests. A look takes the Engine about a millisecond.
	lookTime = time.Second

	// lookTries is how many looks may fail before the Engine counts as gone.
	lookTries = 3

	// answerTime is how long the Engine may take to answer a small request; one
	// that is dead refuses at once. With 50 runs at a time on two busy cores some
	// answers took 3 seconds (measured), 1 millisecond is usual.
	answerTime = 10 * time.Second

	// silentTime is how long the Engine may leave a small request without an answer
	// before the user is told. With lookTime it makes less than 5 seconds.
	silentTime = 3500 * time.Millisecond

	// lostTime is what is left of a run whose container is gone, for the end of
	// its output to arrive.
	lostTime = time.Second
)

// look looks again and again.
func (r *run) look() {
	failed := 0
	for r.quiet == false {
		select {
		case <-time.After(lookTime):
		case <-r.requests.Done():
			return
		}
		answer := make(chan look, 1)
		r.spawn(func() {
			now, began, err := r.condition(r.requests, "")
			answer <- look{now, began, err}
		})
		var got look
		select {
		case got = <-answer:
			if got.err == nil {
				r.tellSilence(false)
			}
		case <-time.After(silentTime):
			r.tellSilence(true)
			select {
			case got = <-answer:
			case <-r.requests.Done():
				return
			}
		}
		if failed++; got.err == nil {
			failed = 0
		} else if failed < lookTries {
			continue
		}
		select {
		case r.looked <- got:
		case <-r.requests.Done():
			return
		}
	}
}

// tellSilence tells wait whether the Engine lets requests wait.
func (r *run) tellSilence(silent bool) {
	select {
	case r.engineSilent <- silent:
	case <-r.requests.Done():
	}
}

// silenced tells the user that the Engine has stopped to answer, or is back, each
// once.
func (r *run) silenced(silent bool) {
	if silent == r.silenceTold || r.quiet {
		return
	}
	r.silenceTold = silent
	if silent {
		r.notice("the engine does not answer; the run goes on waiting for it")
	} else {
		r.notice("the engine answers again")
	}
}

// become takes in a look and tells whether it means the end of the run.
func (r *run) become(now look) (end bool) {
	before := r.container
	if before.began != "" && now.began != before.began && now.condition < stopped {
		now.condition = restarted
	}
	if before.began != "" {
		now.began = before.began
	}
	r.container = now
	switch {
	case now.condition > paused:
		return before.condition <= paused
	case now.condition == paused && before.condition == running:
		r.notice(fmt.Sprintf("container %s is paused: the command is frozen until docker unpause %s", r.Name, r.Name))
	case now.condition == running && before.condition == paused:
		r.notice(fmt.Sprintf("container %s goes on", r.Name))
	}
	return false
}

// condition asks what has become of the container. since is when it was started
// as far as known, or empty; began is when it was, as the Engine says now.
func (c *Cmd) condition(ctx context.Context, since string) (now condition, began string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, errSilent)
	defer cancel()
	got, err := c.Engine.ContainerInspect(ctx, c.Container)
	switch {
	case errdefs.IsNotFound(err):
		return removed, "", nil
	case err != nil && context.Cause(ctx) == errSilent:
		return unknown, "", errSilent
	case err != nil:
		return unknown, "", err
	case !got.State.Running:
		return stopped, got.State.StartedAt, nil
	case since != "" && since != got.State.StartedAt:
		return restarted, got.State.StartedAt, nil
	case got.State.Paused:
		return paused, got.State.StartedAt, nil
	}
	return running, got.State.StartedAt, nil
}

var errSilent = errors.New("the engine does not answer")

// fate says what has become of the container under the command.
func (c *Cmd) fate(now condition) string {
	what := map[condition]string{
		paused:    "is paused",
		stopped:   "was stopped",
		restarted: "was restarted",
		removed:   "was removed",
	}[now]
	if what == "" {
		return "the engine went away while the command was running; it may still be running in container " + c.Name
	}
	return fmt.Sprintf("container %s %s while the command was running", c.Name, what)
}

// lost is the error for a command whose container or Engine went away.
func (c *Cmd) lost(now condition, err error) error {
	return &LostError{Cause: c.fate(now), Err: err, died: now.gone()}
}
