package watch

import (
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

	OnBusy      Policy // what a change does while a run is going on; zero is Restart
	SkipInitial bool   // wait for the first change, instead of running at once

	// Commands are what the user asks for. A nil channel asks for nothing.
	Commands <-chan Command

	// Event is told what happens, in order, by the goroutine that called Follow.
	// It must return. nil ignores it.
	Event func(Event)
}

// An Event is something that happened in a Loop.
type Event struct {
	Kind  Kind
	Run   int    // Started, Ended: the number of the run, from 1
	Batch Batch  // Changed: what has; Started, Ended: what the run is for
	Path  string // Suspected, Muted

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
	Paused
	Resumed

	// Muted tells that Path changes in every run, because the run writes it, and
	// that no run begins for it from now on, unless it changes while nothing is
	// running. Where Path ends in a slash, files with new names come or go in it.
	Muted

	// Suspected tells that this may be so, as Path has ended several runs in a row
	// at the same moment of each, and still does. No Path is named more than once,
	// but that a Muted one may have been Suspected.
	Suspected
)

// Follow runs until ctx is done, and returns its cause when the last run has ended.
// It returns nil when changes is closed and nothing is left to run.
func (l *Loop) Follow(ctx context.Context, changes <-chan Batch) error {
	f := &following{Loop: l, ctx: ctx, wanted: !l.SkipInitial, timer: time.NewTimer(0)}
	f.timer.Stop()
	defer f.timer.Stop()
	commands := l.Commands
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
		case c, ok := <-commands:
			if ok {
				f.command(c)
			} else {
				commands = nil
			}
		case <-f.timer.C:
			f.holding = 0
			f.name(Suspected, f.echoes.unnamed(f.hold.failed(time.Now())))
		case err := <-f.run.ends():
			f.ended(err)
		}
	}
}
