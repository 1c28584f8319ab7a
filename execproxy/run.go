package execproxy

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"syscall"
	"time"
)

// A run is one exec under way. Its goroutines tell what happens through the
// channels; the other fields belong to the goroutine that called run.
type run struct {
	*Cmd
	requests context.Context // for requests to the Engine; ends with the run
	id       string
	stream   *stream
	out, err *sink // one and the same where the receivers are

	received  chan error    // the output has ended
	exited    chan exit     // the command has ended, or is lost
	looked    chan look     // what has become of the container
	delivered chan delivery // a signal has arrived, or can't
	panics    chan string   // from one of the goroutines

	exit       *exit
	asked      []os.Signal // that are to end the run
	delivering int         // signals that are on their way
	container  look        // the last one
	cause      error       // ctx's, once it is done
}

// An exit is how the command ended: its status, or why that is not known.
type exit struct {
	code int
	err  error
}

// run runs args once and returns what Run does.
func (c *Cmd) run(ctx context.Context, args []string) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel() // ends every goroutine but a Read or Write of the caller's
	r := &run{
		Cmd:       c,
		requests:  requests,
		received:  make(chan error, 1),
		exited:    make(chan exit, 1),
		looked:    make(chan look),
		delivered: make(chan delivery),
		panics:    make(chan string, 1),
	}
	if err := r.begin(ctx, args); err != nil {
		return err
	}
	defer r.stream.Close()
	r.pump()
	return r.result(r.wait(ctx))
}

// begin creates the exec and starts it. A signal that comes meanwhile waits for
// the command to be there, but not for an Engine that does not answer.
func (r *run) begin(ctx context.Context, args []string) error {
	type beginning struct {
		id     string
		stream *stream
		err    error
	}
	begun := make(chan beginning, 1)
	r.spawn(func() {
		id, err := r.create(r.requests, args)
		if err != nil {
			begun <- beginning{err: r.gone(r.requests, err)}
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
			r.asked = append(r.asked, sig)
			late = time.After(answerTime)
		case <-done:
			done, r.cause = nil, context.Cause(ctx)
			late = time.After(answerTime)
		case <-late:
			if r.cause != nil {
				return r.cause
			}
			return &SignalError{Signal: r.asked[0], Cause: "the engine does not answer"}
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
			if broken(end) {
				r.deliver(syscall.SIGTERM)
			}
			began := r.container.began
			r.spawn(func() { r.exited <- r.ended(end, began) })
		case exit := <-r.exited:
			r.exit = &exit

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
	if broken(end) {
		if _, _, err := r.condition(r.requests, ""); err != nil {
			return exit{err: r.lost(unknown, err)}
		}
		return exit{err: &LostError{Cause: "the connection to the engine broke: " + end.Error(), Err: end}}
	}
	if end != nil {
		return exit{err: end}
	}
	const slow = 250 * time.Millisecond
	for pause := time.Millisecond; ; pause = min(2*pause, slow) {
		now, err := r.inspect(r.requests, r.id)
		if err == nil && !now.running {
			if now.code == 128+int(syscall.SIGKILL) {
				r.killed(began)
			}
			return exit{code: now.code}
		}
		// Only a command that has closed its output comes here for long.
		if err != nil || pause == slow {
			condition, _, problem := r.condition(r.requests, began)
			if condition > paused {
				return exit{err: r.lost(condition, problem)}
			}
			if err != nil {
				return exit{err: &LostError{Cause: "the command's end was not seen: " + err.Error(), Err: err}}
			}
		}
		select {
		case <-time.After(pause):
		case <-r.requests.Done():
			return exit{err: r.requests.Err()}
		}
	}
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

// broken tells whether the output ended otherwise than it should.
func broken(end error) bool {
	_, neverRan := end.(*StartError)
	return end != nil && !neverRan
}

// asks counts how often sig has come to end the run.
func (r *run) asks(sig os.Signal) int {
	return len(slices.DeleteFunc(slices.Clone(r.asked), func(s os.Signal) bool { return s != sig }))
}
