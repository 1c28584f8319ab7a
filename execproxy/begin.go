package execproxy

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// begin creates the exec and has start start it. A signal that comes meanwhile waits
// for the command to be there, since one that begins later has nobody to end it, and an
// exec that is never started can't be deleted: until it comes again, or the Engine does not
// answer at all.
func (r *run) begin(ctx context.Context, start func(ctx context.Context, exec string) (*stream, error)) error {
	type beginning struct {
		id     string
		stream *stream
		err    error
	}
	begun := make(chan beginning, 1)
	created := make(chan struct{}) // taken before anything is started
	r.spawn(func() {
		id, err := r.create(r.requests, r.args, r.token)
		if err != nil {
			begun <- beginning{err: r.notCreated(r.requests, err)}
			return
		}
		select {
		case created <- struct{}{}:
		case <-r.requests.Done():
			return
		}
		stream, err := start(r.requests, id)
		begun <- beginning{id, stream, err}
	})
	done := ctx.Done()
	var late <-chan time.Time
	var limit time.Time
	isCreated := false
	gaveUp := errSilent.Error()
	for {
		if r.silenceTold && !isCreated && !limit.IsZero() {
			return r.givenUp(gaveUp)
		}
		select {
		case b := <-begun:
			if b.err == nil {
				r.silenced(false)
			}
			r.id, r.stream = b.id, b.stream
			return b.err
		case <-created:
			isCreated = true
			gaveUp = fmt.Sprintf("gave up: the engine has not started the command yet, and may still start it in container %s", r.Name)
		case <-r.looked: // the request will tell
		case silent := <-r.engineSilent:
			r.silenced(silent)

		case sig := <-r.Signals:
			if r.times(sig) > 0 && Ends(sig) {
				return &SignalError{Signal: sig, Cause: gaveUp}
			}
			r.taken = append(r.taken, sig)
			if Ends(sig) && limit.IsZero() {
				late, limit = time.After(r.StopGrace), time.Now().Add(slowStartTime)
			}
		case <-done:
			done, r.cause = nil, context.Cause(ctx)
			if limit.IsZero() {
				late, limit = time.After(r.StopGrace), time.Now().Add(slowStartTime)
			}
		case <-late:
			if isCreated && !r.silenceTold && !r.quiet && time.Now().Before(limit) {
				late = time.After(lookTime)
				continue
			}
			return r.givenUp(gaveUp)
		case p := <-r.panics:
			panic(p)
		}
	}
}

// givenUp is the error for a run that was to end before it had begun.
func (r *run) givenUp(cause string) error {
	if r.cause != nil {
		return fmt.Errorf("%w (%s)", r.cause, cause)
	}
	return &SignalError{Signal: r.taken[slices.IndexFunc(r.taken, Ends)], Cause: cause}
}

// slowStartTime is how long an Engine that answers may take to start a command that is to
// be ended already. 50 at a time took one of two busy cores more than 10 s (measured,
// 20.10).
const slowStartTime = time.Minute
