package main

import (
	"context"
	"errors"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// spares is what a watch has waiting in a container for the next run there.
type spares struct {
	spare  <-chan prepared    // nil: none is under way
	giveUp context.CancelFunc // ends what is under way
	spent  bool               // the container has no shell that could be one
	plain  bool               // the user knows why it is no interpreter
	lesson execproxy.Lesson   // of the runs before
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
func (s *spares) prepare(ctx context.Context, c *execproxy.Cmd) {
	if s.spent || s.spare != nil {
		return
	}
	ready := make(chan prepared, 1)
	s.spare = ready
	if c.Learn != nil {
		learn := s.lesson
		c.Learn, s.lesson.Run = &learn, ""
	}
	ctx, s.giveUp = context.WithTimeout(context.WithoutCancel(ctx), execproxy.PrepareTime)
	go func() {
		spare, err := c.Prepare(ctx)
		ready <- prepared{spare, err}
	}()
}

// take returns what was prepared, or nil. Where that is still under way it takes less
// time than another start would. Why it is no interpreter is told once.
func (s *spares) take(told func(why string)) *execproxy.Spare {
	if s.spare == nil {
		return nil
	}
	var p prepared
	select {
	case p = <-s.spare:
	case <-time.After(comingTime):
		return nil // it is for the next run
	}
	s.giveUp()
	s.spare = nil
	// 125 is for what is not the shell's fault: a container that is about to end.
	start, refused := errors.AsType[*execproxy.StartError](p.err)
	s.spent = refused && start.Code != 125
	if p.spare != nil && p.spare.Plain != "" && !s.plain {
		s.plain = true
		told(p.spare.Plain)
	}
	if p.spare != nil {
		s.lesson = execproxy.Lesson{Known: p.spare.Known, Run: p.spare.Token}
	}
	return p.spare
}

// drop ends the spare that no run will need.
func (s *spares) drop() {
	if s.spare == nil {
		return
	}
	s.giveUp()
	if p := <-s.spare; p.spare != nil {
		p.spare.Close()
	}
	s.spare = nil
}
