package main

import (
	"os"
	"sync"
)

// A sharing passes signals on to all lanes. ^Z stops this process when the commands of
// all have stopped.
type sharing struct {
	mu      sync.Mutex
	goOn    *sync.Cond
	active  int // lanes
	waiting int // for the others to have stopped
	stops   int // of this process, so far
	suspend func()
	stop    func()
}

// share gives each lane its signals, until stop is called.
func share(from received, each []lane) *sharing {
	s := &sharing{active: len(each), suspend: from.suspend}
	s.goOn = sync.NewCond(&s.mu)
	to := make([]chan os.Signal, len(each))
	for i := range each {
		to[i] = make(chan os.Signal, 16)
		each[i].received = received{to[i], s.wait}
	}
	done := make(chan struct{})
	s.stop = sync.OnceFunc(func() { close(done) })
	go func() {
		for {
			select {
			case sig := <-from.signals:
				for _, to := range to {
					select {
					case to <- sig:
					default: // its run has more of them than it can take
					}
				}
			case <-done:
				return
			}
		}
	}()
	return s
}

// wait is a lane's suspend.
func (s *sharing) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting++
	for now := s.stops; ; s.goOn.Wait() {
		s.check()
		if s.stops > now {
			return
		}
	}
}

// leave is for a lane that has come to its end.
func (s *sharing) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.check()
}

// check stops this process where all lanes that are left wait for that. s.mu is held.
func (s *sharing) check() {
	if s.waiting == 0 || s.waiting < s.active {
		return
	}
	s.suspend()
	s.waiting = 0
	s.stops++
	s.goOn.Broadcast()
}
