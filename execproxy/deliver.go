package execproxy

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed signal.sh
var signalScript string

// A delivery is a signal that was brought to the command, or could not be.
type delivery struct {
	signal os.Signal
	ends   bool   // it was to end the command
	left   string // PIDs that could not be ended
	err    error
}

// Ends tells whether sig asks a command to end; Run follows it up until nothing of
// the command is left. Others are only passed on.
func Ends(sig os.Signal) bool {
	switch sig {
	case syscall.SIGHUP, os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE, os.Kill:
		return true
	}
	return false
}

// pass passes a signal on. A second one of a kind that ends commands kills, and
// a third gives up. It returns an error where there is nothing left to wait for.
func (r *run) pass(sig os.Signal) error {
	before := r.asks(sig)
	switch {
	case Suspends(sig):
		if r.Suspend != nil {
			r.deliver(sig)
		}
		return nil
	case !Ends(sig):
		r.deliver(sig)
		return nil
	case r.exit != nil && r.delivering == 0:
		return &SignalError{Signal: sig} // only output is left, which nobody takes
	}
	r.asked = append(r.asked, sig)
	switch {
	case before == 0 && r.StopSignal != nil:
		r.deliver(r.StopSignal)
	case before == 0:
		r.deliver(sig)
	case before == 1:
		r.deliver(os.Kill)
	default:
		return &SignalError{Signal: sig, Cause: "gave up: the command may still be running in container " + r.Name}
	}
	return nil
}

// deliver sends sig to all processes of the run. A signal that ends is followed
// up, in the container, until nothing of the run is left.
func (r *run) deliver(sig os.Signal) {
	r.delivering++
	r.spawn(func() {
		d := delivery{signal: sig, ends: Ends(sig) || sig == r.StopSignal}
		grace, begun := "", ""
		if d.ends {
			grace = hundredths(r.StopGrace)
		}
		if r.hasBegun() {
			begun = "yes"
		}
		d.left, d.err = r.script(r.requests, r.token, signalName(sig), grace, begun)
		if exit, ok := errors.AsType[*ExitError](d.err); ok && exit.Code == 3 {
			if now, err := r.inspect(r.requests, r.id); err == nil && !now.running {
				d.err = nil // it has ended by itself
			}
		}
		select {
		case r.delivered <- d:
		case <-r.requests.Done():
		}
	})
}

// script runs signal.sh for the command with that token, in the container and as
// the user of c, and returns what it says.
func (c *Cmd) script(ctx context.Context, token string, args ...string) (string, error) {
	var stdout strings.Builder
	err := (&Cmd{
		Engine:     c.Engine,
		Container:  c.Container,
		Name:       c.Name,
		Args:       append([]string{"sh", "-c", signalScript, "signal.sh", token}, args...),
		Dir:        "/", // the command's own may be gone by now
		User:       c.User,
		Privileged: c.Privileged, // else its environment can't be read
		Stdout:     &stdout,
		quiet:      true,
	}).Run(ctx)
	return strings.TrimSpace(stdout.String()), err
}

// Reap ends a command such as c, with that token, whose client is gone: StopSignal or
// SIGTERM, then SIGKILL after StopGrace. It returns nil when nothing of it is left, also
// where there was nothing to begin with.
func (c *Cmd) Reap(ctx context.Context, token string) error {
	var ask os.Signal = syscall.SIGTERM
	if c.StopSignal != nil {
		ask = c.StopSignal
	}
	left, err := c.script(ctx, token, signalName(ask), hundredths(cmp.Or(c.StopGrace, defaultGrace)), "yes")
	exit, ok := errors.AsType[*ExitError](err)
	switch {
	case ok && exit.Code == 3:
		return nil
	case ok && exit.Code == 4:
		return fmt.Errorf("still running in container %s: process %s", c.Name, left)
	}
	return err
}

// hundredths is how signal.sh takes times.
func hundredths(d time.Duration) string { return strconv.Itoa(int(d / (10 * time.Millisecond))) }

// arrived takes in what has become of a signal. It returns an error where the
// command can't be reached and the signal was to end it.
func (r *run) arrived(d delivery) error {
	if Suspends(d.signal) {
		r.Suspend()
		r.deliver(resume)
		return nil
	}
	problem := r.problem(d)
	switch {
	case problem == "" || r.exit != nil && d.left == "":
		return nil
	case !d.ends:
		r.notice(problem)
		return nil
	}
	asked := d.signal
	if len(r.asked) > 0 {
		asked = r.asked[0]
	}
	return &SignalError{Signal: asked, Cause: problem}
}

// problem says why a signal has not done what it should, and what that means.
func (r *run) problem(d delivery) string {
	var exit *ExitError
	var gone *GoneError
	switch start := (*StartError)(nil); {
	case d.err == nil:
		return ""
	case errors.As(d.err, &start):
		return fmt.Sprintf("container %s has no shell to send signals with: the command is still running inside", r.Name)
	case errors.As(d.err, &gone) && gone.Paused:
		return fmt.Sprintf("container %s is paused: the command is frozen inside and goes on after docker unpause %s", r.Name, r.Name)
	case errors.As(d.err, &gone):
		return "" // and so is the command; the run is about to end
	case errors.As(d.err, &exit) && exit.Code == 4:
		return fmt.Sprintf("still running in container %s: process %s", r.Name, d.left)
	case errors.As(d.err, &exit) && exit.Code == 3:
		return fmt.Sprintf("the command was not found among the processes of container %s: it may still be running", r.Name)
	case errors.Is(d.err, context.Canceled):
		return ""
	}
	return fmt.Sprintf("the signal did not reach the command, which may still be running in container %s: %v", r.Name, d.err)
}
