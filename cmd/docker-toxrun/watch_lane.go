package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
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
