package main

import (
	"os"
	"slices"
	"sync"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// A sharing passes signals on to the lanes in which a command runs. ^Z stops this process
// when the commands of all of them have stopped.
type sharing struct {
	suspend func()
	stop    func()
	ending  <-chan struct{} // closed with the first signal that ends commands
	ended   os.Signal       // that signal, once ending is closed

	mu      sync.Mutex
	goOn    *sync.Cond
	lanes   []chan os.Signal // nil where no command runs
	waiting int              // lanes, for the others to have stopped
	stops   int              // of this process, so far
	to      []chan os.Signal
}

// newSharing gives each lane signals of its own, those that pass gets from enter to leave.
func newSharing(suspend func(), each []lane) *sharing {
	s := &sharing{suspend: suspend, lanes: make([]chan os.Signal, len(each))}
	s.goOn = sync.NewCond(&s.mu)
	for i := range each {
		s.to = append(s.to, make(chan os.Signal, 16))
		each[i].received = received{s.to[i], s.wait}
	}
	return s
}

// join gives one lane more signals of its own.
func (s *sharing) join(l *lane) {
	to := make(chan os.Signal, 16)
	l.received = received{to, s.wait}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes, s.to = append(s.lanes, nil), append(s.to, to)
}

// share is newSharing, with the signals that are received until stop is called.
func share(from received, each []lane) *sharing {
	s := newSharing(from.suspend, each)
	done, ending := make(chan struct{}), make(chan struct{})
	s.stop, s.ending = sync.OnceFunc(func() { close(done) }), ending
	go func() {
		for {
			select {
			case sig := <-from.signals:
				if execproxy.Ends(sig) && s.ended == nil {
					s.ended = sig
					close(ending)
				}
				s.pass(sig)
			case <-done:
				return
			}
		}
	}()
	return s
}

// pass passes a signal on to each lane in which a command runs, and tells whether there is
// one.
func (s *sharing) pass(sig os.Signal) (any bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, to := range s.lanes {
		if to == nil {
			continue
		}
		any = true
		select {
		case to <- sig:
		default: // it has more of them than it can take
		}
	}
	return any
}

// busy tells whether a command runs in any lane.
func (s *sharing) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.lanes, func(to chan os.Signal) bool { return to != nil })
}

// enter is for a lane in which a command begins.
func (s *sharing) enter(lane int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[lane] = s.to[lane]
	for {
		select {
		case <-s.to[lane]: // was for the command before
		default:
			return
		}
	}
}

// leave is for a lane whose command has ended.
func (s *sharing) leave(lane int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[lane] = nil
	s.check()
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

// check stops this process where all lanes in which a command runs wait for that. s.mu is
// held.
func (s *sharing) check() {
	active := 0
	for _, to := range s.lanes {
		if to != nil {
			active++
		}
	}
	if s.waiting == 0 || s.waiting < active {
		return
	}
	s.suspend()
	s.waiting = 0
	s.stops++
	s.goOn.Broadcast()
}
