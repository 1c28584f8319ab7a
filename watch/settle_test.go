package watch

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A script is a source of changes that a test writes. A file whose name starts with
// "same" has not changed when it is looked at.
type script struct {
	t       *testing.T
	found   changes
	sent    chan fsnotify.Event
	losses  chan struct{}
	noted   map[string]bool
	poll    time.Duration
	mu      sync.Mutex
	onDisk  []time.Time // when files were written that no event came for
	walks   atomic.Int32
	locked  atomic.Bool
	writer  atomic.Uint32 // a writing: what is known of a single file's
	started time.Time
	batches chan Batch
}

// settling runs a settler on a script in a bubble.
func settling(t *testing.T, test func(*script)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, sent: make(chan fsnotify.Event), losses: make(chan struct{}), noted: map[string]bool{}, started: time.Now(), batches: make(chan Batch)}
		test(s)
	})
}

// run starts the settler, until the test is over.
func (s *script) run() {
	done := make(chan struct{})
	s.t.Cleanup(func() { close(done) })
	go (&settler{source: s, found: &s.found, debounce: 30 * time.Millisecond, closed: 8 * time.Millisecond, walked: time.Now()}).run(done, s.batches)
}

func (s *script) events() (<-chan fsnotify.Event, <-chan struct{}) { return s.sent, s.losses }
func (s *script) interval() time.Duration                          { return s.poll }
func (s *script) busy() bool                                       { return s.locked.Load() }
func (s *script) latest() time.Time                                { return time.Time{} }
func (s *script) lose()                                            { s.found.add("/", Lost) }

func (s *script) writing() writing {
	if _, ok := s.found.only(); !ok {
		return unknown
	}
	return writing(s.writer.Load())
}

func (s *script) take(e fsnotify.Event) bool {
	if strings.HasPrefix(e.Name, "ignored") {
		return false
	}
	s.noted[e.Name] = true
	return true
}

func (s *script) look() {
	for name := range s.noted {
		if !strings.HasPrefix(name, "same") {
			s.found.add(name, Written)
		}
	}
	clear(s.noted)
}

func (s *script) walk(last time.Time) (likely, latest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.walks.Add(1)
	for _, at := range s.onDisk {
		s.found.add(fmt.Sprint(at.Sub(s.started)), Written)
		likely, latest = at, at
	}
	s.onDisk = nil
	return likely, latest
}

func (s *script) save(name string) { s.sent <- fsnotify.Event{Name: name, Op: fsnotify.Write} }

// expect waits for the next batch: when it comes, since the start, and what is in it.
func (s *script) expect(at time.Duration, names ...string) {
	s.t.Helper()
	b := <-s.batches
	if got := time.Since(s.started); got != at {
		s.t.Errorf("%q after %v, want %v", b.Paths(), got, at)
	}
	if strings.Join(b.Paths(), " ") != strings.Join(names, " ") {
		s.t.Errorf("changed: %q, want %q", b.Paths(), names)
	}
}

// quiet shows that there is no batch for the next d.
func (s *script) quiet(d time.Duration) {
	s.t.Helper()
	select {
	case b := <-s.batches:
		s.t.Errorf("changed after %v: %q", time.Since(s.started), b.Paths())
	case <-time.After(d):
	}
}

// again begins anew after a while in which nothing comes.
func (s *script) again() {
	s.t.Helper()
	s.quiet(100 * ms)
	s.started = time.Now()
}

const ms = time.Millisecond

func TestOneFileSettlesAfterTheDebounce(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.run()
		s.save("a")
		s.save("a") // and again, as soon
		s.expect(30*ms, "a")
		s.quiet(time.Hour)

		s.started = time.Now()
		for range 20 { // in pieces, for 200 ms, which are no reason to wait longer
			s.save("a")
			time.Sleep(10 * ms)
		}
		s.expect(190*ms+30*ms, "a")
		s.quiet(time.Hour)
	})
}

func TestAClosedFileSettlesSooner(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.writer.Store(uint32(over))
		s.run()
		s.save("a")
		s.expect(8*ms, "a")
		s.again()
		s.save("a")
		time.Sleep(5 * ms)
		s.save("a")
		s.expect(5*ms+8*ms, "a")
		s.again()
		s.save("a")
		time.Sleep(5 * ms)
		s.save("b")
		s.expect(5*ms+60*ms, "a", "b") // as many do
		s.again()
		for range 60 { // of more than one save, it tells nothing
			s.save("a")
			time.Sleep(5 * ms)
		}
		s.expect(295*ms+30*ms+45*ms, "a")
		s.quiet(time.Hour)
	})
}

// A formatter that rewrites the file after each save makes it two batches only once.
func TestWhatWasTooSoonIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.writer.Store(uint32(over))
		s.run()
		s.save("a")
		s.expect(8*ms, "a")
		time.Sleep(7 * ms)
		s.save("a")
		s.expect(15*ms+30*ms, "a")
		for range 20 {
			s.again()
			s.save("a")
			time.Sleep(15 * ms)
			s.save("a")
			s.expect(15*ms+30*ms, "a")
		}
		for i := range waryBursts { // without it
			s.again()
			s.save("a")
			if i < waryBursts-1 {
				s.expect(30*ms, "a")
			} else {
				s.expect(8*ms, "a")
			}
		}
		s.quiet(time.Hour)
	})
}

func TestAnOpenFileIsWaitedFor(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.run()
		s.writer.Store(uint32(goingOn))
		s.save("a")
		time.Sleep(101 * ms)
		s.writer.Store(uint32(over))
		s.expect(108*ms, "a") // last seen open at 100

		s.again()
		s.writer.Store(uint32(goingOn))
		for range 50 { // slowly
			s.save("a")
			time.Sleep(40 * ms)
		}
		s.writer.Store(uint32(over))
		s.expect(49*40*ms+530*ms, "a")

		s.again()
		s.writer.Store(uint32(goingOn)) // for good
		s.save("log")
		s.expect(500*ms, "log")
		s.save("log")
		time.Sleep(100 * ms)
		s.save("a")
		s.expect(600*ms+60*ms, "a", "log") // which nothing else waits for
		s.quiet(time.Hour)
	})
}

func TestWhatHasNotChangedIsNoBatch(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.run()
		s.save("same")
		s.save("ignored")
		s.quiet(time.Hour)
		s.started = time.Now()
		s.save("a")
		s.save("same 1")
		s.save("same 2")
		time.Sleep(29 * ms)
		s.save("ignored")
		s.expect(30*ms, "a") // neither makes it wait
		s.quiet(time.Hour)
	})
}

func TestManyFilesSettleLonger(t *testing.T) {
	t.Parallel()
	for files, want := range map[int]time.Duration{1: 30 * ms, 2: 60 * ms, 16: 150 * ms, 3000: 390 * ms, 100_000: 530 * ms} {
		settling(t, func(s *script) {
			s.run()
			for i := range files {
				s.save(fmt.Sprint(i))
			}
			b := <-s.batches
			if got := time.Since(s.started); got != want || b.Count != files {
				t.Errorf("%d files: %d after %v, want %v", files, b.Count, got, want)
			}
			s.quiet(time.Hour)
		})
	}
}

func TestALongBurstSettlesLonger(t *testing.T) {
	t.Parallel()
	for lasts, want := range map[time.Duration]time.Duration{250 * ms: 30 * ms, 300 * ms: 80 * ms, 750 * ms: 530 * ms, 2000 * ms: 530 * ms} {
		settling(t, func(s *script) {
			s.run()
			for time.Since(s.started) < lasts {
				s.save("a")
				time.Sleep(10 * ms)
			}
			s.save("a")
			s.expect(lasts+want, "a")
			s.quiet(time.Hour)
		})
	}
}

func TestAPauseInABurst(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.run()
		for i := range 10 {
			s.save(fmt.Sprint(i))
		}
		time.Sleep(140 * ms)
		s.save("late")
		s.expect(140*ms+150*ms, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "late")
		s.quiet(time.Hour)
	})
}

func TestWritingWithoutEndIsDelivered(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.run()
		go func() {
			for i := range 4000 {
				s.save("log")
				if i == 2500 {
					s.save("a")
				}
				time.Sleep(3 * ms)
			}
		}()
		s.expect(5*time.Second, "log")
		s.expect(5*time.Second+ms+5*time.Second, "a", "log")
		s.expect(3999*3*ms+530*ms, "log")
		s.quiet(time.Hour)
	})
}

func TestABusyReceiverLosesNothing(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.run()
		for i := range 50_000 {
			s.save(fmt.Sprint("file ", i%25_000))
			if i%100 == 0 {
				time.Sleep(100 * ms)
			}
		}
		time.Sleep(time.Minute)
		s.save("last")
		time.Sleep(time.Minute)
		b := <-s.batches
		synctest.Wait()
		if b.Count < 25_001 || len(b.Changes) != MaxChanges || len(s.found.ops) != 0 {
			t.Errorf("%d changes, %d named, %d left", b.Count, len(b.Changes), len(s.found.ops))
		}
		s.quiet(time.Hour)
	})
}

// A batch that nobody has received yet is not delivered in the middle of a burst.
func TestALateReceiverGetsWhatHasSettled(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.run()
		s.save("a")
		time.Sleep(time.Second)
		s.save("b")
		time.Sleep(10 * ms)
		s.expect(time.Second+60*ms, "a", "b")
		s.quiet(time.Hour)
	})
}

func TestGitAtWorkIsWaitedFor(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.run()
		s.locked.Store(true)
		s.save("a")
		time.Sleep(400 * ms)
		s.save("b")
		time.Sleep(100 * ms)
		s.locked.Store(false)
		s.expect(610*ms, "a", "b") // when a burst of 400 ms has settled

		s.started = time.Now()
		s.locked.Store(true) // for good
		s.save("a")
		s.expect(5*time.Second+10*ms, "a")
		s.quiet(time.Hour)
	})
}

func TestLostEventsAreABatch(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.run()
		s.losses <- struct{}{}
		s.expect(30*ms, "/")
		s.quiet(time.Hour)
	})
}

func TestPolling(t *testing.T) {
	t.Parallel()
	settling(t, func(s *script) {
		s.poll = 500 * ms
		s.run()
		write := func(after time.Duration) {
			time.Sleep(time.Until(s.started.Add(after)))
			s.mu.Lock()
			defer s.mu.Unlock()
			s.onDisk = append(s.onDisk, time.Now())
		}
		go write(700 * ms)
		s.expect(1000*ms, "700ms") // it has settled long since
		go write(1490 * ms)
		s.expect(1520*ms, "1.49s") // it has not
		go func() {
			write(1600 * ms)
			write(1970 * ms)
			write(2010 * ms)
		}()
		s.expect(2100*ms, "1.6s", "1.97s", "2.01s")
		walks := s.walks.Load()
		s.quiet(10 * time.Second)
		if n := s.walks.Load() - walks; n < 19 || n > 21 {
			t.Errorf("%d walks in 10 s", n)
		}
	})
}
