package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// newcomerTime is how often it is asked whether there are more containers by now, and
// newcomerShare what each of many adds to that: it may be asked for in a request of its own.
const (
	newcomerTime  = 2 * time.Second
	newcomerShare = 100 * time.Millisecond
)

// looks finds the containers that come while jobs are dealt, and gives the name of each
// lane that is made of one, until stop is called.
func (s *splitting) looks(ctx context.Context, screen *terminal) (more <-chan string, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	names, ended := make(chan string), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			s.mu.Lock()
			wait := max(newcomerTime, newcomerShare*time.Duration(len(s.lanes)))
			s.mu.Unlock()
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
			p, err := untilDone(ctx, func() (plan, error) { return s.o.plan(ctx, s.plan.engines, stdio{}, s.plan.what, s.o.find) })
			if err != nil {
				continue // those that there are go on
			}
			for _, l := range s.joins(p, screen) {
				select {
				case names <- l.name:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return names, func() {
		cancel()
		<-ended
	}
}

// joins makes lanes of the containers of p that have none.
func (s *splitting) joins(p plan, screen *terminal) (joined []lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.o.lanes(p, screen, s.out, s.err) {
		id := l.target.Container
		back := slices.Index(s.gone, id)
		if back < 0 && slices.ContainsFunc(s.lanes, func(other lane) bool { return other.target.Container == id }) {
			continue
		}
		if back >= 0 {
			s.gone = slices.Delete(s.gone, back, back+1)
		}
		for n, name := 2, l.name; slices.ContainsFunc(s.lanes, func(other lane) bool { return other.name == l.name }); n++ {
			l.name = fmt.Sprintf("%s (%d)", name, n) // what has the number of one that is gone
		}
		s.signals.join(&l)
		s.lanes = append(s.lanes, l)
		if s.table != nil {
			s.table.Joined()
		}
		l.to.say("has come")
		joined = append(joined, l)
	}
	return joined
}
