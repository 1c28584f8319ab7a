package main

import (
	"context"
	"errors"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// spares is what a watch has waiting for its next run.
type spares struct {
	spare  <-chan prepared    // nil: none is under way
	giveUp context.CancelFunc // ends what is under way
	spent  bool               // the container has no shell that could be one
	plain  bool               // the user knows why it is no interpreter
}

// A prepared is what has become of a spare for the next run.
type prepared struct {
	spare *execproxy.Spare
	err   error
}

// comingTime is how long a run waits for a spare that is about to be there. To start
// and to import anew would take as long.
const comingTime = time.Second

// prepare has a spare for a command such as c, which has ended: to start one while
// a command runs would delay the report of that one's end by 50 ms (measured).
func (w *watching) prepare(ctx context.Context, c *execproxy.Cmd) {
	if c.TTY || w.spent || w.o.noStandby || w.spare != nil {
		return
	}
	ready := make(chan prepared, 1)
	w.spare = ready
	ctx, w.giveUp = context.WithTimeout(context.WithoutCancel(ctx), execproxy.PrepareTime)
	go func() {
		spare, err := c.Prepare(ctx)
		ready <- prepared{spare, err}
	}()
}

// takeSpare returns what was prepared, or nil. Where that is still under way it
// takes less time than another start would.
func (w *watching) takeSpare() *execproxy.Spare {
	if w.spare == nil {
		return nil
	}
	var p prepared
	select {
	case p = <-w.spare:
	case <-time.After(comingTime):
		return nil // it is for the next run
	}
	w.giveUp()
	w.spare = nil
	// 125 is for what is not the shell's fault: a container that is about to end.
	start, refused := errors.AsType[*execproxy.StartError](p.err)
	w.spent = refused && start.Code != 125
	if p.spare != nil && p.spare.Plain != "" && !w.plain && w.o.verbose {
		w.plain = true
		w.report.notice("no preload: "+p.spare.Plain, "")
	}
	return p.spare
}

// dropSpare ends the spare that no run will need.
func (w *watching) dropSpare() {
	if w.spare == nil {
		return
	}
	w.giveUp()
	if p := <-w.spare; p.spare != nil {
		p.spare.Close()
	}
}
