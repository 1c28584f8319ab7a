package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// A Policy says what a change does while a run is going on. None loses it: the next
// run comes after it.
type Policy uint8

const (
	Restart Policy = iota // ends the run; the next begins when nothing is left of it
	Queue                 // one more run afterwards, however many changes there are
	Ignore                // nothing, until the next change
)

var policies = [...]string{Restart: "restart", Queue: "queue", Ignore: "ignore"}

// String returns "restart", "queue" or "ignore".
func (p Policy) String() string { return policies[p] }

// ParsePolicy is the reverse of String. The error names what can be given.
func ParsePolicy(name string) (Policy, error) {
	for p, known := range policies {
		if name == known {
			return Policy(p), nil
		}
	}
	return 0, fmt.Errorf("%q is none of restart, queue and ignore", name)
}

// A Command is what the user asks a Loop for.
type Command uint8

const (
	RunNow Command = iota + 1 // begin a run, paused or not; under Restart, the one going on ends
	Cancel                    // end the run, and don't begin another before the next change
	Pause                     // begin no runs until Pause is given again, which begins one if there were changes
)

// What context.Cause says in a run that a Loop has ended.
var (
	ErrRestart  = errors.New("restarted")
	ErrCanceled = errors.New("canceled")
)

// A Loop runs something, and again when files have changed. Set its fields, then
// call Follow.
type Loop struct {
	// Run does one run. It returns when nothing is left of it, soon after ctx is
	// done, whose cause is ErrRestart, ErrCanceled or that of Follow's context.
	// batch is what has changed since the last run that ended by itself; the
	// first run, and one that was asked for, may have an empty one. There is never
	// more than one run. The error goes to Event, and no further.
	Run func(ctx context.Context, batch Batch) error

	OnBusy      Policy
	SkipInitial bool // wait for the first change, instead of running at once

	// Commands are what the user asks for. A nil channel asks for nothing.
	Commands <-chan Command

	// Event is told what happens, in order, by the goroutine that called Follow.
	// It must return. nil ignores it.
	Event func(Event)
}

// An Event is something that happened in a Loop.
type Event struct {
	Kind  Kind
	Run   int   // Started, Ended: the number of the run, from 1
	Batch Batch // Changed: what has; Started, Ended: what the run is for
	Path  string

	Err   error         // Ended: what Run returned
	Cause error         // Ended: why the Loop ended it; nil if it ended by itself
	Took  time.Duration // Ended
}

// Kind is the kind of an Event.
type Kind uint8

const (
	Changed Kind = iota // files have, whether or not a run begins for it
	Started
	Ended
	Muted // Path changes in every run, because of it, and begins no more of them; if it ends in a slash, files in it do
	Paused
	Resumed
)

// Follow runs until ctx is done, and returns its cause when the last run has ended.
// It returns nil when changes is closed and nothing is left to run.
func (l *Loop) Follow(ctx context.Context, changes <-chan Batch) error {
	f := &following{Loop: l, ctx: ctx, wanted: !l.SkipInitial, hold: time.NewTimer(0)}
	f.hold.Stop()
	defer f.hold.Stop()
	for {
		f.step()
		if changes == nil && f.run == nil && (!f.wanted || f.paused) {
			return nil
		}
		select {
		case <-ctx.Done():
			if f.run != nil {
				f.end(context.Cause(ctx))
				f.ended(<-f.run.done)
			}
			return context.Cause(ctx)
		case b, ok := <-changes:
			if ok {
				f.changed(b)
			} else {
				changes = nil
			}
		case c := <-l.Commands:
			f.command(c)
		case <-f.hold.C:
			f.holding = 0
			f.echoes.worked = 0
		case err := <-f.run.ends():
			f.ended(err)
		}
	}
}

// A following is the state of a Loop.
type following struct {
	*Loop
	ctx     context.Context
	run     *run // nil if none is going on
	last    *run // the one before
	runs    int
	pending changes // for the next run
	wanted  bool    // there is to be a next run
	forced  bool    // paused or not
	paused  bool

	echoes  echoes
	hold    *time.Timer // runs while holding is set:
	holding time.Duration
}

// A run is one run of a Loop.
type run struct {
	number     int
	batch      Batch
	begin, end time.Time // end is zero while it is going on
	cancel     context.CancelCauseFunc
	cause      error // why it was ended; nil if it was not
	done       chan error
}

// ends returns the channel of a run's end; that of no run never tells one.
func (r *run) ends() <-chan error {
	if r == nil {
		return nil
	}
	return r.done
}

// step begins or ends a run if that is to be done now.
func (f *following) step() {
	switch {
	case !f.wanted || f.paused && !f.forced || f.ctx.Err() != nil:
	case f.run == nil:
		f.begin()
	case f.OnBusy == Restart && f.holding == 0:
		f.end(ErrRestart)
	}
}

func (f *following) begin() {
	f.runs++
	f.wanted, f.forced = false, false
	f.echoes.begin()
	ctx, cancel := context.WithCancelCause(f.ctx)
	r := &run{number: f.runs, batch: f.pending.take(), cancel: cancel, done: make(chan error, 1)}
	f.run = r
	f.event(Event{Kind: Started, Run: r.number, Batch: r.batch})
	r.begin = time.Now()
	go func() { r.done <- f.Run(ctx, r.batch) }()
}

// end ends the run that is going on, unless that was done before.
func (f *following) end(cause error) {
	if f.run.cause == nil {
		f.run.cause = cause
		f.run.cancel(cause)
	}
}

// ended is called with what the run that was going on has returned.
func (f *following) ended(err error) {
	r := f.run
	f.run, f.last = nil, r
	r.end = time.Now()
	r.cancel(nil)
	if r.cause != nil {
		later := f.pending.take()
		f.pending.merge(r.batch)
		f.pending.merge(later)
	}
	f.event(Event{Kind: Ended, Run: r.number, Batch: r.batch, Err: err, Cause: r.cause, Took: r.end.Sub(r.begin)})
	f.echo(f.echoes.ended(r.cause == nil, f.holding))
	f.holdBack(0)
	if r.cause == nil && f.pending.drop(f.echoes.mutes) > 0 && f.pending.count() == 0 && !f.forced {
		f.wanted = false
	}
}

func (f *following) command(c Command) {
	switch c {
	case RunNow:
		f.wanted, f.forced = true, true
		f.holdBack(0)
	case Cancel:
		f.wanted, f.forced = false, false
		if f.run != nil {
			f.end(ErrCanceled)
		}
	case Pause:
		f.paused = !f.paused
		if f.paused {
			f.event(Event{Kind: Paused})
		} else {
			f.event(Event{Kind: Resumed})
		}
	}
}

// afterglow is for how long after a run's end its last changes may be seen.
const afterglow = 100 * time.Millisecond

// during reports whether t is in the run, or too soon after it to be told apart.
func (r *run) during(t time.Time) bool {
	return r != nil && !t.Before(r.begin) && (r.end.IsZero() || !t.After(r.end.Add(afterglow)))
}

// changed takes in what has changed and settled.
func (f *following) changed(b Batch) {
	var in *run // the run that the changes may come from
	switch {
	case f.run.during(b.First):
		in = f.run
		f.echoes.note(b, b.First.Sub(in.begin))
	case f.last.during(b.First):
		in = f.last
		f.echo(f.echoes.late(b, b.First.Sub(in.begin), in.cause == nil))
	default:
		f.echoes.forget(b)
	}
	busy := in != nil && in.during(b.Last)
	if busy {
		var kept changes
		kept.merge(b)
		kept.drop(f.echoes.mutes)
		if b = kept.batch(); b.Count == 0 {
			return
		}
	}
	f.event(Event{Kind: Changed, Batch: b})
	if newest := cmp.Or(f.run, f.last); newest != nil && b.Last.Before(newest.begin) {
		return // that run has seen it
	}
	f.pending.merge(b)
	if busy && f.OnBusy == Ignore {
		return
	}
	f.wanted = true
	if f.run != nil && f.run.cause == nil && f.OnBusy == Restart && !f.paused {
		f.holdBack(f.echoes.hold(b, b.First.Sub(f.run.begin), f.holding))
	}
}

// holdBack holds a restart back for d, from now on.
func (f *following) holdBack(d time.Duration) {
	f.hold.Stop()
	if f.holding = d; d > 0 {
		f.hold.Reset(d)
	}
}

// echo tells which paths have been muted.
func (f *following) echo(muted []string) {
	for _, path := range muted {
		f.event(Event{Kind: Muted, Path: path})
	}
}

func (f *following) event(e Event) {
	if f.Event != nil {
		f.Event(e)
	}
}
