package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/watch"
)

// A watchRun is one run of a watch, in all its containers.
type watchRun struct {
	batch   watch.Batch
	signals *sharing
	waiting context.Context // for what is not there yet
	giveUp  context.CancelCauseFunc

	telling sync.Mutex
	told    bool // that it runs
	apart   bool // the containers have commands of their own
}

// once does one run, in the containers that are there. What becomes of it in each is in
// the lanes; its own error is that there can be none.
func (w *watching) once(ctx context.Context, batch watch.Batch) error {
	for _, l := range w.lanes {
		l.began, l.told, l.ended = false, false, nil
	}
	if err := w.gather(ctx); err != nil {
		return err
	}
	r := &watchRun{batch: batch}
	each := make([]lane, len(w.lanes))
	r.signals = newSharing(w.suspend, each)
	r.waiting, r.giveUp = context.WithCancelCause(ctx)
	defer r.giveUp(nil)
	for i, l := range w.lanes {
		l.on.received = each[i].received
		r.apart = r.apart || !slices.Equal(w.what.args(l.on.target.Config), w.what.args(w.lanes[0].on.target.Config))
	}
	w.sigs.Lock()
	w.run = r
	w.sigs.Unlock()
	defer func() {
		w.sigs.Lock()
		w.run = nil
		w.sigs.Unlock()
	}()
	var all sync.WaitGroup
	for i, l := range w.lanes {
		all.Go(func() {
			l.ended = w.onceIn(ctx, r, i)
			if ctx.Err() == nil && w.signal() == nil { // else the loop knows whether that has ended it
				l.tell()
			}
		})
	}
	all.Wait()
	return nil
}

// onceIn does one run in a lane, in the container that is there. One that goes away under
// the run is waited for, and the run begins anew.
func (w *watching) onceIn(ctx context.Context, r *watchRun, at int) error {
	l := w.lanes[at]
	for {
		target, err := l.find(r.waiting)
		if err != nil {
			return err
		}
		l.on.target.Target = target
		connected := l.connected
		c, err := untilDone(r.waiting, func() (*execproxy.Cmd, error) {
			return w.o.command(connected, target, w.screen, w.what)
		})
		if err != nil {
			l.leave(ctx, target, nil)
			return err
		}
		variable, left := changedVariable(target, r.batch.Paths(), r.batch.Count)
		if left > 0 {
			l.report.notice(fmt.Sprintf("TOXRUN_CHANGED lacks %d of %d paths", left, r.batch.Count), "")
		}
		c.Env = append(c.Env, variable)
		c.Stdout, c.Stderr, c.Notice = l.on.out, l.on.err, l.on.to.say
		if w.report.json != nil {
			c.Stdout = c.Stderr
		}
		with := w.o.translate(connected, target, w.screen, w.what, c)
		if c.Learn != nil && l.lesson == (execproxy.Lesson{}) && !w.o.noStandby {
			l.prepare(ctx, c) // so that the first run, too, teaches
		}
		c.Spare = l.take(func(why string) {
			if w.o.verbose {
				l.report.notice("no preload: "+why, "")
			}
		})
		gone, err := w.runIn(ctx, r, at, target, c)
		err = with.end(err)
		if !gone && ctx.Err() == nil && w.signal() == nil && !w.o.noStandby {
			l.prepare(ctx, c)
		}
		if !gone || ctx.Err() != nil || w.signal() != nil {
			return err
		}
		if l.began {
			l.report.canceled(l.took, l)
		}
		l.began, l.spent = false, false // the next container may have a shell
	}
}

// runIn runs c in a lane when it is its turn, and passes our signals on to it. gone tells
// whether it has ended for the container's being gone.
func (w *watching) runIn(ctx context.Context, r *watchRun, at int, target *compose.Target, c *execproxy.Cmd) (gone bool, err error) {
	l := w.lanes[at]
	begin := time.Now()
	l.waited = 0
	r.signals.enter(at)
	if w.signal() != nil { // it came before
		err = errQuit
	} else {
		err = w.inTurn(ctx, l.on.received, c, l.report, func() {
			l.waited = time.Since(begin)
			r.begins(w, l, c)
		})
	}
	r.signals.leave(at)
	l.on.end()
	l.took = time.Since(begin) - l.waited
	return l.leave(ctx, target, err), err
}

// inTurn runs c when it is its turn, which begins tells.
func (w *watching) inTurn(ctx context.Context, from received, c *execproxy.Cmd, report *watchReport, begins func()) error {
	c.Signals, c.Suspend = from.signals, from.suspend
	if w.o.parallel > 0 {
		place, err := w.o.turn(ctx, from, c, func(line string) { report.notice(line, "") })
		if err != nil {
			return err
		}
		defer place.Leave()
	}
	begins()
	if timeout := w.o.timeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, timeoutError(timeout))
		defer cancel()
	}
	return c.Run(ctx)
}

// begins tells that the run begins in a lane: the same command in several is told once.
func (r *watchRun) begins(w *watching, l *watchLane, c *execproxy.Cmd) {
	r.telling.Lock()
	defer r.telling.Unlock()
	if !r.told {
		w.report.clears()
	}
	switch {
	case len(w.lanes) == 1 || r.apart:
		l.report.running(r.batch.Paths(), r.batch.Count, c.Args, "")
	case !r.told:
		w.report.running(r.batch.Paths(), r.batch.Count, c.Args, fmt.Sprintf(" in %d containers", len(w.lanes)))
	}
	l.report.runStarted(c.Args, c.Name)
	r.told, l.began = true, true
}

// movesOn ends the wait for containers where, of several, nothing else is left of the run:
// the next one is to begin in those that are there.
func (w *watching) movesOn() {
	w.mu.Lock()
	away := slices.ContainsFunc(w.lanes, func(l *watchLane) bool { return l.away.Load() }) // else it is about to begin
	w.mu.Unlock()
	w.sigs.Lock()
	defer w.sigs.Unlock()
	if away && w.run != nil && w.o.several() && !w.run.signals.busy() {
		w.run.giveUp(errAway)
	}
}
