package execproxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
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

	received  chan error    // the output has ended
	exited    chan exit     // the command has ended, or is lost
	looked    chan look     // what has become of the container
	delivered chan delivery // a signal has arrived, or can't
	panics    chan string   // from one of the goroutines
	up        chan struct{} // closed when it is sure that the command has begun
	begun     func()        // closes up

	acknowledged bool   // a spare has given its word that it has begun; receive's own
	head         []byte // of stderr until then

	exit       *exit
	asked      []os.Signal // that are to end the run
	delivering int         // signals that are on their way
	container  look        // the last one
	cause      error       // ctx's, once it is done
}

// An exit is how the command ended: its status, or why that is not known.
type exit struct {
	code  int
	err   error
	alive bool // it has not ended, it was lost sight of
}

// run makes one attempt and returns what Run does, or errAsleep where the spare
// has not begun the command.
func (c *Cmd) run(ctx context.Context, a attempt) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel() // ends every goroutine but a Read or Write of the caller's
	r := &run{
		Cmd:       c,
		attempt:   a,
		token:     cmp.Or(c.Token, rand.Text()),
		requests:  requests,
		received:  make(chan error, 1),
		exited:    make(chan exit, 1),
		looked:    make(chan look),
		delivered: make(chan delivery),
		panics:    make(chan string, 1),
		up:        make(chan struct{}),
	}
	r.begun = sync.OnceFunc(func() { close(r.up) })
	var err error
	if r.woken() {
		err = r.wake(c.Spare)
	} else {
		err = r.begin(ctx)
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

// begin creates the exec and starts it. A signal that comes meanwhile waits for
// the command to be there, but no longer than the command may take to end, or
// until it comes again.
func (r *run) begin(ctx context.Context) error {
	type beginning struct {
		id     string
		stream *stream
		err    error
	}
	begun := make(chan beginning, 1)
	r.spawn(func() {
		id, err := r.create(r.requests, r.args, r.token)
		if err != nil {
			begun <- beginning{err: r.notCreated(r.requests, err)}
			return
		}
		stream, err := r.start(r.requests, id)
		begun <- beginning{id, stream, err}
	})
	done := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case b := <-begun:
			r.id, r.stream = b.id, b.stream
			return b.err
		case sig := <-r.Signals:
			if r.asks(sig) > 0 && Ends(sig) {
				return &SignalError{Signal: sig, Cause: errSilent.Error()}
			}
			r.asked = append(r.asked, sig)
			late = time.After(r.StopGrace)
		case <-done:
			done, r.cause = nil, context.Cause(ctx)
			late = time.After(r.StopGrace)
		case <-late:
			if r.cause != nil {
				return fmt.Errorf("%w (%w)", r.cause, errSilent)
			}
			return &SignalError{Signal: r.asked[0], Cause: errSilent.Error()}
		case p := <-r.panics:
			panic(p)
		}
	}
}

// wait follows the command until it has ended, its output is written and every
// signal is delivered. It returns an error when there is nothing left to wait
// for.
func (r *run) wait(ctx context.Context) error {
	early := r.asked
	r.asked = nil
	for _, sig := range early {
		if err := r.pass(sig); err != nil {
			return err
		}
	}
	done := ctx.Done()
	out, err := r.out.done, r.err.done
	var unheard, lost <-chan time.Time
	r.spawn(r.look)
	for r.exit == nil || r.delivering > 0 || out != nil || err != nil {
		select {
		case end := <-r.received:
			r.out.close()
			r.err.close()
			began := r.container.began
			r.spawn(func() { r.exited <- r.ended(end, began) })
		case exit := <-r.exited:
			r.exit = &exit
			if exit.alive {
				r.deliver(syscall.SIGTERM)
			}

		case <-out:
			out = nil
			unheard = r.unheard(r.out, unheard)
		case <-err:
			err = nil
			unheard = r.unheard(r.err, unheard)
		case <-unheard:
			if unheard = nil; r.exit == nil {
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

		case now := <-r.looked:
			if r.become(now) {
				lost = time.After(lostTime)
			}
		case <-lost:
			if lost = nil; r.exit == nil {
				return &LostError{Cause: r.fate(r.container.condition), Err: r.container.err}
			}
		case p := <-r.panics:
			panic(p)
		}
	}
	return nil
}

// result is Run's error for a run of which wait said err.
func (r *run) result(err error) error {
	switch failure := r.outputFailure(); {
	case err != nil:
	case failure != nil:
		err = &OutputError{failure}
	case r.exit.err != nil:
		err = r.exit.err
	case r.exit.code != 0:
		err = &ExitError{r.exit.code}
	}
	if err == errAsleep && len(r.asked) > 0 {
		err = &SignalError{Signal: r.asked[0]}
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

// ended asks for the command's status after its output has ended with end.
// began is when its container was started, or empty.
func (r *run) ended(end error, began string) exit {
	if _, refused := errors.AsType[*StartError](end); refused {
		return exit{err: end}
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
		if err == nil && !now.running {
			if now.code == 128+int(syscall.SIGKILL) {
				r.killed(began)
			}
			if end != nil {
				return exit{err: broke(end)}
			}
			return exit{code: now.code}
		}
		if err != nil || time.Now().After(deadline) {
			condition, _, problem := r.condition(r.requests, began)
			switch {
			case condition > paused:
				return exit{err: &LostError{Cause: r.fate(condition), Err: problem}}
			case err != nil:
				return exit{err: &LostError{Cause: "the command's end was not seen: " + err.Error(), Err: err}}
			case end == nil:
				end = io.ErrUnexpectedEOF
			}
			return exit{err: broke(end), alive: true}
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
// the connection.
const brokenTime = 2 * time.Second

// hasBegun tells whether it is sure that the command has begun.
func (r *run) hasBegun() bool {
	select {
	case <-r.up:
		return true
	default:
		return false
	}
}

// broke is the error for output that ended otherwise than with the command.
func broke(end error) error {
	return &LostError{Cause: fmt.Sprintf("the connection to the engine broke (%v): output is missing", end), Err: end}
}

// killed tells whether the command died with its container. The Engine learns of
// the command's end first, so the container gets a moment to be told dead.
func (r *run) killed(began string) {
	for deadline := time.Now().Add(deathTime); time.Now().Before(deadline); time.Sleep(deathTime / 10) {
		switch now, _, err := r.condition(r.requests, began); {
		case err != nil:
			return
		case now > paused:
			r.notice(r.fate(now))
			return
		}
	}
}

// deathTime is how much later than a command's end the Engine may learn that its
// container has ended too (measured: 20.10, 5 to 50 ms).
const deathTime = 400 * time.Millisecond

// asks counts how often sig has come to end the run.
func (r *run) asks(sig os.Signal) int {
	return len(slices.DeleteFunc(slices.Clone(r.asked), func(s os.Signal) bool { return s != sig }))
}
