package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/watch"
)

// A watchLane is a container of a watch, with what is there of the run that goes on, or
// of the last one.
type watchLane struct {
	watched
	spares
	on lane

	began  bool          // the run that goes on has been told of
	waited time.Duration // by it, for its turn
	took   time.Duration // in which it ran
	ended  error
	told   bool // of its end
	code   int  // the status that was told
}

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

// newLane returns the lane of a container.
func (w *watching) newLane(t placed) *watchLane {
	look := w.o.refind
	if w.o.several() {
		look = w.o.again(t.Target)
	}
	return &watchLane{watched: watched{
		engine: t.engine,
		lookUp: func(ctx context.Context) (*compose.Target, error) { return look(ctx, t.engine, w.std) },
	}}
}

// gather has a lane for each container that there is, where there are to be several: those
// in which the next run runs. It waits for the first one.
func (w *watching) gather(ctx context.Context) error {
	if !w.o.several() {
		return nil
	}
	told := ""
	p, err := untilThere(ctx, func() (plan, error) {
		p, err := w.o.plan(ctx, w.engines, w.std, w.what, w.o.refind)
		if why, mends := waits(err); mends && why != told {
			told = why
			w.report.waiting(why)
		}
		return p, err
	})
	if err != nil {
		return err
	}
	return w.lanesFor(p, told != "")
}

// lanesFor makes the lanes those of p. It says which, where tell is true or there were
// others before, and which engines are left out that were not before.
func (w *watching) lanesFor(p plan, tell bool) error {
	each := []lane{w.o.alone(p.targets[0], w.screen)}
	if w.o.several() {
		each = w.o.lanes(p, w.screen, w.out, w.err)
	}
	for _, e := range p.left {
		if !slices.Contains(w.left.names(), e.engine.name) {
			e.status(w.report.to, " is left out")
		}
	}
	w.left = p.left
	var now []*watchLane
	var names, had []string
	for _, on := range each {
		at := slices.IndexFunc(w.lanes, func(l *watchLane) bool { return l.on.name == on.name })
		if at < 0 {
			now = append(now, w.newLane(on.target))
		} else {
			now = append(now, w.lanes[at])
		}
		l := now[len(now)-1]
		l.on = on
		names = append(names, on.name)
		report := w.report
		if w.o.several() {
			report = w.report.about(on)
		}
		if err := l.become(on.target.Target, report); err != nil {
			return err
		}
	}
	for _, l := range w.lanes {
		had = append(had, l.on.name)
		if !slices.Contains(now, l) {
			l.drop()
			l.close()
		}
	}
	if tell || len(had) > 0 && !slices.Equal(names, had) {
		w.report.notice("goes on in "+strings.Join(names, ", "), "")
	}
	w.mu.Lock()
	w.lanes = now
	w.mu.Unlock()
	return nil
}

// close ends what waits in the containers, and the connections.
func (w *watching) close() {
	for _, l := range w.lanes {
		l.drop()
		l.close()
	}
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

// told tells whether the run has come to its end by itself in each lane, and the user was
// told.
func (w *watching) told() bool {
	return !slices.ContainsFunc(w.lanes, func(l *watchLane) bool { return !l.told })
}

// tellCanceled tells of the end of a run that the loop has ended, where it had begun.
func (w *watching) tellCanceled() {
	var begun []*watchLane
	var took time.Duration
	for _, l := range w.lanes {
		if l.began && !l.told { // and was not waiting for its container
			begun = append(begun, l)
			took = max(took, l.took)
		}
	}
	if len(begun) > 0 {
		w.report.canceled(took, begun...)
	}
}

// tellEnded tells of the end that a run has come to in each container, where that is still
// to be told, or of the error for which there was none. It returns the highest status;
// ended is false where there is none.
func (w *watching) tellEnded(err error, took time.Duration) (worst int, ended bool) {
	if err != nil {
		worst = status(err, w.report.to)
		w.report.runEnded("", worst, took)
		return worst, true
	}
	for _, l := range w.lanes {
		sig := w.signal()
		switch {
		case !errors.Is(l.ended, errQuit):
			l.tell()
			worst, ended = max(worst, l.code), true
		case sig != nil: // it has come while this one was waited for
			worst, ended = max(worst, status(&execproxy.SignalError{Signal: sig}, l.on.to)), true
		}
	}
	if len(w.left) > 0 {
		worst = max(worst, statusFailed) // it has not run in all of them
	}
	return worst, ended
}

// tell tells once how the run has ended in the lane. Of one that was waited for in vain
// there is nothing more to tell.
func (l *watchLane) tell() {
	switch {
	case l.told || errors.Is(l.ended, errQuit):
		return
	case errors.Is(l.ended, errAway):
		l.code = statusFailed
	default:
		l.code = status(lineless(l.ended), l.on.to)
		l.report.runEnded(l.on.target.ContainerName, l.code, l.took)
	}
	l.told = true
}

// errAway is what has become of a container that was waited for in vain.
var errAway = errors.New("it has not come back")

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
