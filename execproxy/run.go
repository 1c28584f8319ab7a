package execproxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A run is one exec under way. Its goroutines tell what happens through the
// channels; the other fields belong to the goroutine that called run.
type run struct {
	*Cmd
	attempt
	token    string          // in the command's environment
	requests context.Context // for requests to the Engine; ends with the run
	id       string
	stream   *stream
	out, err *sink // one and the same where the receivers are

	stdinFailed  chan error
	received     chan error    // the output has ended
	exited       chan exit     // the command has ended, or is lost
	looked       chan look     // what has become of the container
	engineSilent chan bool     // whether the Engine leaves requests without an answer
	overdue      chan struct{} // the command has ended, its output has not
	delivered    chan delivery // a signal has arrived, or can't
	panics       chan string   // from one of the goroutines
	up           chan struct{} // closed when it is sure that the command has begun
	begun        func()        // closes up

	outputSilence silence

	acknowledged bool   // a spare has reported that it has begun; receive's own
	head         []byte // of stderr until then

	exit        *exit
	stdinErr    error       // for which the command was ended
	taken       []os.Signal // from Signals: those that end the run; before it has begun, all
	delivering  int         // signals that are on their way
	container   look        // the last one
	silenceTold bool        // the user was told that the Engine does not answer
	cut         bool        // the output was given up, its end overdue
	cause       error       // ctx's, once it is done
}

// run makes one attempt and returns what Run does, or errAsleep where the spare
// has not begun the command.
func (c *Cmd) run(ctx context.Context, a attempt) error {
	r, cancel := c.newRun(ctx, a)
	defer cancel() // ends every goroutine but a Read or Write of the caller's
	r.spawn(r.look)
	var err error
	if r.woken() {
		err = r.wake(c.Spare)
	} else {
		err = r.begin(ctx, r.start)
	}
	if err != nil {
		return err
	}
	defer r.stream.Close()
	r.pump()
	defer r.out.close()
	defer r.err.close()
	return r.result(r.wait(ctx))
}

func (c *Cmd) newRun(ctx context.Context, a attempt) (*run, context.CancelFunc) {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &run{
		Cmd:          c,
		attempt:      a,
		token:        cmp.Or(c.Token, rand.Text()),
		requests:     requests,
		stdinFailed:  make(chan error, 1),
		received:     make(chan error, 1),
		exited:       make(chan exit, 1),
		looked:       make(chan look),
		engineSilent: make(chan bool),
		overdue:      make(chan struct{}),
		delivered:    make(chan delivery),
		panics:       make(chan string, 1),
		up:           make(chan struct{}),
	}
	r.outputSilence.start = time.Now()
	r.begun = sync.OnceFunc(func() { close(r.up) })
	return r, cancel
}

// wait follows the command until it has ended, its output is written and every
// signal is delivered. It returns an error when there is nothing left to wait
// for.
func (r *run) wait(ctx context.Context) error {
	early := r.taken
	r.taken = nil
	for _, sig := range early {
		if err := r.pass(sig); err != nil {
			return err
		}
	}
	done := ctx.Done()
	out, err := r.out.done, r.err.done
	var escalate, lost <-chan time.Time
	r.spawn(r.watchEnd)
	ending := false
	for r.exit == nil || r.delivering > 0 || out != nil || err != nil {
		select {
		case end := <-r.received:
			ending = true
			if r.cut {
				end = r.cutEnd()
			}
			r.out.close()
			r.err.close()
			began, signaled := r.container.began, len(r.taken) > 0
			r.spawn(func() { r.exited <- r.ended(end, began, signaled) })
		case exit := <-r.exited:
			r.exit = &exit
			if exit.alive {
				r.deliver(syscall.SIGTERM)
			}

		case <-out:
			out = nil
			escalate = r.receiverGone(r.out, escalate)
		case <-err:
			err = nil
			escalate = r.receiverGone(r.err, escalate)
		case <-escalate:
			if escalate = nil; r.exit == nil {
				r.deliver(syscall.SIGTERM)
			}

		case failure := <-r.stdinFailed:
			// A terminal that is gone is told by SIGHUP, too.
			if r.exit == nil && len(r.taken) == 0 {
				r.stdinErr = failure
				r.deliver(syscall.SIGTERM)
			}
		case sig := <-r.Signals:
			if err := r.pass(sig); err != nil {
				return err
			}
		case <-done:
			done, r.cause = nil, context.Cause(ctx)
			if err := r.pass(syscall.SIGTERM); err != nil {
				return err
			}
		case d := <-r.delivered:
			r.delivering--
			if err := r.arrived(d); err != nil {
				return err
			}
		case size := <-r.Resize:
			// One that fails is for a command that has ended.
			r.spawn(func() { _ = r.resize(r.requests, r.id, size) })

		case <-r.overdue:
			if !ending {
				r.cut = true
				r.notice("the command has ended, but its output has not: what is still missing of it is lost")
				r.stream.Close() // ends receive
			}
		case silent := <-r.engineSilent:
			r.silenced(silent)
		case now := <-r.looked:
			if r.become(now) {
				lost = time.After(lostTime)
			}
		case <-lost:
			if lost = nil; r.exit == nil {
				return r.lost(r.container.condition, r.container.err)
			}
		case p := <-r.panics:
			panic(p)
		}
	}
	return nil
}

// result is Run's error for a run of which wait returned err.
func (r *run) result(err error) error {
	switch failure := r.outputFailure(); {
	case err != nil:
	case failure != nil:
		err = &OutputError{failure}
	case r.stdinErr != nil && len(r.taken) == 0:
		err = &InputError{r.stdinErr}
	case r.exit.err != nil:
		err = r.exit.err
	case r.exit.code != 0:
		err = &ExitError{Code: r.exit.code, died: r.exit.died}
	}
	if err == errAsleep && len(r.taken) > 0 {
		err = &SignalError{Signal: r.taken[0]}
	}
	switch {
	case r.cause == nil:
		return err
	case err == nil:
		return r.cause
	}
	return fmt.Errorf("%w (%w)", r.cause, err)
}

// spawn runs f in a goroutine. A panic in it becomes Run's, so that deferred
// calls of Run's caller are made: one of them restores the terminal.
func (r *run) spawn(f func()) {
	go func() {
		defer func() {
			if p := recover(); p != nil {
				select {
				case r.panics <- fmt.Sprintf("%v\n\n%s", p, debug.Stack()):
				default: // one is enough
				}
			}
		}()
		f()
	}()
}

// hasBegun tells whether it is sure that the command has begun.
func (r *run) hasBegun() bool {
	select {
	case <-r.up:
		return true
	default:
		return false
	}
}

// times counts how often sig was taken.
func (r *run) times(sig os.Signal) int {
	return len(slices.DeleteFunc(slices.Clone(r.taken), func(s os.Signal) bool { return s != sig }))
}
