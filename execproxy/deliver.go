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

//go:embed carriers.sh
var carriersText string

//go:embed signal.sh
var signalText string

var signalScript = carriersText + signalText

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
	before := r.times(sig)
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
	r.taken = append(r.taken, sig)
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
		var grace time.Duration
		if d.ends {
			grace = r.StopGrace
		}
		for again := true; ; {
			a := ask{token: r.token, signal: sig, grace: grace, begun: r.hasBegun(), command: r.inside()}
			d.left, d.err = r.script(r.requests, a)
			if exit, ok := errors.AsType[*ExitError](d.err); !ok || exit.Code != notFound {
				break
			}
			now, err := r.inspect(r.requests, r.id)
			if err == nil && !now.running {
				d.err = nil // it has ended by itself
			}
			if err != nil || !now.running || now.started && !again {
				break
			}
			again = !now.started // what a busy Engine has only now started is looked for once more
		}
		select {
		case r.delivered <- d:
		case <-r.requests.Done():
		}
	})
}

// An ask is what signal.sh, or signalHere, is to do.
type ask struct {
	token  string
	signal os.Signal
	grace  time.Duration // more than 0: the signal is to end the run, which is followed up
	begun  bool          // the command is known to have; else it is waited for
	own    bool          // others' processes that have the token are left alone

	// command is its PID in the container as far as known, or 0. It spares the script
	// to look at what is older: with it 5,000 other processes are no delay.
	command int
}

// inside is the command's PID in the container as this machine sees it, or 0. Where the
// Engine is elsewhere it may be another process's.
func (r *run) inside() int {
	ctx, cancel := context.WithTimeout(r.requests, insideTime)
	defer cancel()
	now, err := r.inspect(ctx, r.id)
	if err != nil {
		return 0
	}
	return insidePID(now.pid)
}

// insideTime is how long a signal waits for the command's PID. The Engine keeps an exec
// locked while its last output is being read; else it answers within a millisecond.
const insideTime = 100 * time.Millisecond

func flag(set bool) string {
	if set {
		return "yes"
	}
	return ""
}

// script runs signal.sh in the container and as the user of c, and returns what it says.
// Where that does not end well, the processes may be this machine's, and this user's to
// signal. That is not tried where others' are to be left alone.
func (c *Cmd) script(ctx context.Context, a ask) (string, error) {
	limit := ""
	if a.grace > 0 {
		limit = strconv.Itoa(int(a.grace / (10 * time.Millisecond)))
	}
	var stdout strings.Builder
	err := (&Cmd{
		Engine:     c.Engine,
		Container:  c.Container,
		Name:       c.Name,
		Args:       []string{"sh", "-c", signalScript, "signal.sh", a.token, signalName(a.signal), limit, flag(a.begun), flag(a.own), strconv.Itoa(a.command)},
		Dir:        "/", // the command's own may be gone by now
		User:       c.User,
		Privileged: c.Privileged, // else its environment can't be read
		Stdout:     &stdout,
		quiet:      true,
	}).Run(ctx)
	if _, gone := errors.AsType[*GoneError](err); err == nil || gone || ctx.Err() != nil {
		return "", err
	}
	exit, _ := errors.AsType[*ExitError](err)
	if a.own { // seen from here, nobody is
		return strings.TrimSpace(stdout.String()), err
	}
	a.begun = a.begun || exit != nil && exit.Code == notFound
	left, problem := signalHere(ctx, a)
	switch {
	case problem != nil:
		return strings.TrimSpace(stdout.String()), err
	case left != "":
		return left, &ExitError{Code: someLeft}
	}
	return "", nil
}

// Exit statuses of signal.sh.
const (
	notFound   = 3 // no process was
	someLeft   = 4 // which could not be ended
	othersLeft = 5 // which were not asked to end
)

// errNotHere is a run of which no process is to be seen on this machine.
var errNotHere = errors.New("the command is not on this machine")

// Reap ends a command such as c, with that token, whose client is gone: StopSignal or
// SIGTERM, then SIGKILL after StopGrace. It returns nil when nothing of it is left, also
// where there was nothing to begin with.
func (c *Cmd) Reap(ctx context.Context, token string) error { return c.reap(ctx, token, false) }

// Cancel is Reap for a token that Runs has shown, which anybody in the container may have
// given to a process of their own. It ends what is the user's of c, and what that has
// started; the error is an [OthersError] where there is more.
func (c *Cmd) Cancel(ctx context.Context, token string) error { return c.reap(ctx, token, true) }

func (c *Cmd) reap(ctx context.Context, token string, own bool) error {
	a := ask{token: token, signal: syscall.SIGTERM, grace: cmp.Or(c.StopGrace, defaultGrace), begun: true, own: own}
	if c.StopSignal != nil {
		a.signal = c.StopSignal
	}
	left, err := c.script(ctx, a)
	if exit, ok := errors.AsType[*ExitError](err); ok {
		switch exit.Code {
		case notFound:
			return nil
		case someLeft:
			return fmt.Errorf("still running in container %s: process %s", c.Name, left)
		case othersLeft:
			return &OthersError{Container: c.Name, PIDs: left}
		}
	}
	return err
}

// nothing is what kill -0 sends: it only shows whether there is a process.
const nothing = syscall.Signal(0)

// Alive tells whether anything is left of a command such as c, with that token.
func (c *Cmd) Alive(ctx context.Context, token string) (bool, error) {
	_, err := c.script(ctx, ask{token: token, signal: nothing, begun: true})
	if exit, ok := errors.AsType[*ExitError](err); ok && exit.Code == notFound {
		return false, nil
	}
	return err == nil, err
}

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
	sig := d.signal
	if len(r.taken) > 0 {
		sig = r.taken[0]
	}
	return &SignalError{Signal: sig, Cause: problem}
}

// problem says why a signal has not done what it should, and what that means.
func (r *run) problem(d delivery) string {
	var exit *ExitError
	var gone *GoneError
	switch start := (*StartError)(nil); {
	case d.err == nil:
		return ""
	case errors.As(d.err, &start) && start.Code == 127:
		return fmt.Sprintf("container %s has no shell to send signals with: the command is still running inside", r.Name)
	case errors.As(d.err, &gone) && gone.Paused:
		return fmt.Sprintf("container %s is paused: the command is frozen inside and goes on after docker unpause %s", r.Name, r.Name)
	case errors.As(d.err, &gone):
		return "" // and so is the command; the run is about to end
	case errors.As(d.err, &exit) && exit.Code == someLeft:
		return fmt.Sprintf("still running in container %s: process %s", r.Name, d.left)
	case errors.As(d.err, &exit) && exit.Code == notFound:
		return fmt.Sprintf("the command was not found among the processes of container %s: it may still be running", r.Name)
	case errors.Is(d.err, context.Canceled):
		return ""
	}
	return fmt.Sprintf("the signal did not reach the command, which may still be running in container %s: %v", r.Name, d.err)
}
