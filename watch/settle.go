package watch

import (
	"math/bits"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// DefaultDebounce is how long a file has to be left alone: long enough for all
	// that vim, sed -i or mv does in one save, and too short to be noticed.
	DefaultDebounce = 25 * time.Millisecond

	// closedDebounce is the default for one file that was there before, where the
	// system tells that nobody has it open for writing: a save that is not at its end
	// has left the file open, empty or gone, but for a moment. The command may start
	// 12 ms after a save, and what comes after settling takes up to 5 ms of them.
	closedDebounce = 5 * time.Millisecond

	// waryBursts is how many bursts don't settle so soon after one that went on
	// within its debounce: a formatter that has its turn after the save, or an editor
	// that saves several files, does so again.
	waryBursts = 10

	// longBurst is how long a burst has to be to be more than one save, however
	// many pieces that comes in. maxGrowth bounds what many files, or a long burst,
	// take longer: a program that writes 3,000 files pauses now and then. So does one
	// that writes slowly: maxGrowth is also how long a file that is still open for
	// writing has to be left alone, as a log or a database may be open for ever.
	longBurst = 250 * time.Millisecond
	maxGrowth = 500 * time.Millisecond

	// maxBurst is how long a burst goes on at most before what has changed so far
	// is delivered: something that writes all the time must not hide the rest.
	maxBurst = 5 * time.Second
)

// A source tells where changes may be, and finds them.
type source interface {
	// events returns the channels of what may have changed, and of lost events.
	events() (<-chan fsnotify.Event, <-chan struct{})
	// take takes in an event, and reports whether something may have changed.
	take(fsnotify.Event) bool
	// lose takes in that events were lost.
	lose()
	// look adds to what was found the changes that the events were about.
	look()
	// walk does so for what sends no events, and returns when that is likely to
	// have changed, and the latest that it can have; zero if nothing has. last is
	// when walk was called before.
	walk(last time.Time) (likely, latest time.Time)
	// latest returns the latest that anything found since it was called last can have
	// changed; zero where that is not known.
	latest() time.Time
	// interval is how often to walk, 0 for never.
	interval() time.Duration
	// busy reports that more changes are sure to come.
	busy() bool
	// writing tells of the file that was found changed, if it is a single one.
	writing() writing
}

// A settler waits until changes have settled and delivers them.
type settler struct {
	source
	found    *changes
	debounce time.Duration
	closed   time.Duration // the same for one file whose writing is over

	first, last time.Time // of the burst; first is zero when none is going on
	open        time.Time // when the file was last seen open for writing
	over        bool      // no change has come since its writing was over
	wary        int       // how many bursts wait the whole debounce
	walked      time.Time // when the last walk began
	ready       *Batch    // what was found, once that has settled
}

// run delivers batches until done is closed. While nobody receives, what settles
// goes into the next batch.
func (s *settler) run(done <-chan struct{}, batches chan<- Batch) {
	settled := time.NewTimer(0)
	defer settled.Stop()
	poll := time.NewTimer(0)
	defer poll.Stop()
	settled.Stop()
	poll.Stop()
	var interval time.Duration
	for {
		if now := s.interval(); now != interval {
			interval = now
			poll.Stop()
			if interval > 0 {
				poll.Reset(interval)
			}
		}
		events, lost := s.events()
		var deliver chan<- Batch
		var batch Batch
		if s.ready != nil {
			deliver, batch = batches, *s.ready
		}
		select {
		case <-done:
			return
		case deliver <- batch:
			s.found.take()
			s.ready = nil
		case e, ok := <-events:
			if ok && s.take(e) {
				s.touch(time.Now(), settled)
			}
		case <-lost:
			s.lose()
			s.touch(time.Now(), settled)
		case <-settled.C:
			s.settle(settled)
		case <-poll.C:
			took := s.walkNow(settled)
			poll.Reset(max(interval-took, took)) // at most half of the time
		}
	}
}

// touch notes that something may have changed at t.
func (s *settler) touch(t time.Time, timer *time.Timer) {
	if s.over && t.Before(s.last.Add(s.debounce)) {
		s.wary = waryBursts
	}
	s.over = false
	if s.first.IsZero() {
		s.first, s.last = t, t
		s.ready = nil // it will be part of what is found now
		timer.Reset(time.Until(s.due(over)))
	}
	if t.After(s.last) {
		s.last = t
	}
}

// due is when the burst may be over: the more files have changed, and the longer it
// has been going on, the longer it must have been quiet.
func (s *settler) due(w writing) time.Time {
	growth := max(0, s.last.Sub(s.first)-longBurst)
	if n := s.found.count(); n > 1 {
		growth += s.debounce * time.Duration(bits.Len(uint(n-1)))
	}
	wait := s.debounce + min(growth, maxGrowth)
	switch {
	case w == goingOn:
		wait = max(wait, maxGrowth)
	case w == over && growth == 0:
		wait = s.closed
	}
	due := s.last.Add(wait)
	if limit := s.first.Add(max(maxBurst, s.debounce)); due.After(limit) {
		return limit
	}
	return due
}

// settle is called when the burst may be over. It is not if what has changed turns
// out to be so much that it needs longer, or a file that is still being written.
func (s *settler) settle(timer *time.Timer) {
	if wait := time.Until(s.due(over)); wait > 0 {
		timer.Reset(wait)
		return
	}
	s.look()
	w := s.writing()
	if now := time.Now(); w == goingOn {
		s.open = now
	} else if now.Before(s.open.Add(s.closed)) {
		w = goingOn // it was closed just now
	}
	if s.over = w == over; s.over && s.wary > 0 {
		w = unknown
	}
	if wait := time.Until(s.due(w)); wait > 0 {
		if w == goingOn {
			wait = min(wait, s.closed/4) // nothing tells when it is closed
		}
		timer.Reset(wait)
		return
	}
	if s.interval() > 0 && s.found.count() > 0 && s.walked.Before(s.due(w)) {
		s.walkNow(timer)
	}
	if wait := time.Until(s.due(w)); wait > 0 {
		timer.Reset(wait)
		return
	}
	if s.found.count() > 0 && s.busy() && time.Since(s.first) < maxBurst {
		timer.Reset(s.debounce)
		return
	}
	if t := s.latest(); !t.IsZero() && t.Before(s.last) {
		s.last = t // on a busy machine it is seen late
		if t.Before(s.first) {
			s.first = t
		}
	}
	s.found.span(s.first)
	s.found.span(s.last)
	s.first = time.Time{}
	s.wary = max(0, s.wary-1)
	if batch := s.found.batch(); batch.Count > 0 {
		s.ready = &batch
	} else {
		s.found.take()
	}
}

// walkNow walks once and returns how long it took.
func (s *settler) walkNow(timer *time.Timer) time.Duration {
	begin := time.Now()
	if likely, latest := s.walk(s.walked); !likely.IsZero() {
		s.touch(likely, timer)
		s.found.span(likely)
		s.found.span(latest)
	}
	s.walked = begin
	return time.Since(begin)
}
