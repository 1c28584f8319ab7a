package watch

import (
	"cmp"
	"context"
	"time"
)

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
	hold    hold
	holding time.Duration // for how long the restart is held back; the timer runs
	timer   *time.Timer
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
	r := &run{number: f.runs, batch: f.pending.take(), begin: time.Now(), cancel: cancel, done: make(chan error, 1)}
	f.run = r
	f.event(Event{Kind: Started, Run: r.number, Batch: r.batch}) // what changes from here on, it may not see
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
	f.name(Muted, f.echoes.ended(r.cause == nil))
	if r.cause == nil {
		f.hold.ended(f.holding)
	}
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
		f.name(Muted, f.echoes.late(b, b.First.Sub(in.begin), in.cause == nil))
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
		noted := make(map[string]time.Duration)
		f.echoes.collect(noted, b, b.First.Sub(f.run.begin))
		f.holdBack(f.hold.delay(noted, b.First, f.holding))
	}
}

// holdBack holds a restart back for d, from now on.
func (f *following) holdBack(d time.Duration) {
	f.timer.Stop()
	if f.holding = d; d > 0 {
		f.timer.Reset(d)
	}
}

// name names the paths that a run is found to write, or may be.
func (f *following) name(kind Kind, paths []string) {
	for _, path := range paths {
		f.event(Event{Kind: kind, Path: path})
	}
}

func (f *following) event(e Event) {
	if f.Event != nil {
		f.Event(e)
	}
}
