package watch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A play is a Loop on a stage: its changes and runs are the test's, and what happens
// is written down, with the milliseconds since the act began.
type play struct {
	Loop
	t        *testing.T
	batches  chan Batch
	commands chan Command
	took     time.Duration // how long a run takes, 0 for ever
	dying    time.Duration // how long it takes to end one
	writes   func(run int) // what a run does when it begins
	mu       sync.Mutex
	log      []string
	act      time.Time
	stop     context.CancelCauseFunc
	ended    chan error
}

var errStop = errors.New("stop")

func playing(t *testing.T, loop Loop, test func(*play)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &play{Loop: loop, t: t, batches: make(chan Batch), commands: make(chan Command), ended: make(chan error, 1)}
		p.Commands = p.commands
		p.Event = p.write
		p.Run = p.run()
		test(p)
		p.stop(errStop)
		if err := <-p.ended; err != errStop {
			t.Errorf("Follow() = %v", err)
		}
	})
}

// run returns the Run of the Loop.
func (p *play) run() func(context.Context, Batch) error {
	runs, going := 0, 0
	return func(ctx context.Context, _ Batch) error {
		runs++
		if going++; going > 1 {
			p.t.Errorf("%d runs at once", going)
		}
		defer func() { going-- }()
		if runs > 5000 { // something goes round in circles
			<-ctx.Done()
			return context.Cause(ctx)
		}
		if p.writes != nil {
			p.writes(runs)
		}
		var end <-chan time.Time
		if p.took > 0 {
			end = time.After(p.took)
		}
		select {
		case <-end:
			return nil
		case <-ctx.Done():
			time.Sleep(p.dying)
			return context.Cause(ctx)
		}
	}
}

// start lets the play begin.
func (p *play) start() {
	ctx, cancel := context.WithCancelCause(p.t.Context())
	p.stop = cancel
	p.act = time.Now()
	go func() { p.ended <- p.Follow(ctx, p.batches) }()
	synctest.Wait()
}

func (p *play) write(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("%d ", time.Since(p.act).Milliseconds())
	switch e.Kind {
	case Changed:
		line += "changed"
	case Started:
		line += fmt.Sprintf("run %d", e.Run)
	case Ended:
		line += fmt.Sprintf("end %d", e.Run)
		if e.Cause != nil {
			line += " " + e.Cause.Error()
		}
		if !errors.Is(e.Err, e.Cause) || e.Took < 0 {
			p.t.Errorf("ended: %+v", e)
		}
	case Muted:
		line += "muted " + e.Path
	case Suspected:
		line += "suspected " + e.Path
	case Paused:
		line += "paused"
	case Resumed:
		line += "resumed"
	}
	for _, path := range e.Batch.Paths() {
		line += " " + filepath.Base(path)
	}
	p.log = append(p.log, line)
}

// expect compares what has happened in this act, and begins another.
func (p *play) expect(want ...string) {
	p.t.Helper()
	synctest.Wait()
	if !slices.Equal(p.log, want) {
		p.t.Errorf("happened:\n\t%s\nwant:\n\t%s", strings.Join(p.log, "\n\t"), strings.Join(want, "\n\t"))
	}
	p.next()
}

// next begins another act.
func (p *play) next() {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log, p.act = nil, time.Now()
}

// count returns how many lines of the log have a word.
func (p *play) count(word string) int {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, line := range p.log {
		if slices.Contains(strings.Fields(line), word) {
			n++
		}
	}
	return n
}

// save is a change of files that has settled after 30 ms.
func (p *play) save(names ...string) { p.change(Written, names...) }

func (p *play) change(op Op, names ...string) {
	var c changes
	for _, name := range names {
		c.add("/p/"+name, op)
	}
	c.span(time.Now())
	time.Sleep(30 * ms)
	select {
	case p.batches <- c.batch():
	case <-p.t.Context().Done():
	}
}

func (p *play) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestFirstRun(t *testing.T) {
	t.Parallel()
	playing(t, Loop{}, func(p *play) {
		p.took = 100 * ms
		p.start()
		p.pass(time.Hour)
		p.expect("0 run 1", "100 end 1")
	})
	playing(t, Loop{SkipInitial: true}, func(p *play) {
		p.took = 100 * ms
		p.start()
		p.pass(time.Hour)
		p.expect()
		p.save("a")
		p.pass(time.Hour)
		p.expect("30 changed a", "30 run 1 a", "130 end 1 a")
	})
}

// The old run is gone before the new one begins, which is for the changes of both.
func TestRestart(t *testing.T) {
	t.Parallel()
	playing(t, Loop{}, func(p *play) {
		p.dying = 50 * ms
		p.start()
		p.pass(time.Second)
		p.expect("0 run 1")
		p.save("a")
		p.pass(time.Second)
		p.expect("30 changed a", "80 end 1 restarted", "80 run 2 a")
		p.save("b")
		p.save("c") // while the old one is dying
		p.pass(time.Second)
		p.expect("30 changed b", "60 changed c", "80 end 2 restarted a", "80 run 3 a b c")
		p.took = 10 * ms
		p.save("d")
		p.pass(time.Second)
		p.expect("30 changed d", "80 end 3 restarted a b c", "80 run 4 a b c d", "90 end 4 a b c d")
		p.save("e")
		p.pass(time.Second)
		p.expect("30 changed e", "30 run 5 e", "40 end 5 e")
	})
}

// A file that is saved again as soon as the run for it goes on restarts it each time.
func TestEachSaveRestarts(t *testing.T) {
	t.Parallel()
	playing(t, Loop{}, func(p *play) {
		p.start()
		p.next()
		for range 20 {
			p.pass(50 * ms)
			p.save("a")
			for p.count("run") == 0 {
				p.pass(10 * ms)
			}
			if took := time.Since(p.act); took > 5*time.Second {
				t.Errorf("restarted after %v", took)
			}
			p.next()
		}
	})
}

func TestQueue(t *testing.T) {
	t.Parallel()
	playing(t, Loop{OnBusy: Queue}, func(p *play) {
		p.took = time.Second
		p.start()
		for _, name := range []string{"a", "b", "a", "c"} {
			p.pass(100 * ms)
			p.save(name)
		}
		p.pass(time.Hour)
		p.expect("0 run 1", "130 changed a", "260 changed b", "390 changed a", "520 changed c",
			"1000 end 1", "1000 run 2 a b c", "2000 end 2 a b c")
	})
}

func TestIgnore(t *testing.T) {
	t.Parallel()
	playing(t, Loop{OnBusy: Ignore}, func(p *play) {
		p.took = time.Second
		p.start()
		p.pass(100 * ms)
		p.save("a")
		p.pass(865 * ms)
		p.save("b") // seen when the run is over, but made before
		p.pass(time.Hour)
		p.expect("0 run 1", "130 changed a", "1000 end 1", "1025 changed b")
		p.save("c")
		p.pass(time.Hour)
		p.expect("30 changed c", "30 run 2 a b c", "1030 end 2 a b c")
	})
}

// A change that has settled after a run began, but was made before, is no reason for
// another run: it may be what the one before wrote when it was ended.
func TestWhatARunHasSeen(t *testing.T) {
	t.Parallel()
	for _, policy := range []Policy{Restart, Queue, Ignore} {
		playing(t, Loop{OnBusy: policy}, func(p *play) {
			p.took = 10 * ms
			p.start()
			p.pass(time.Second)
			p.next()
			go p.save("a")
			p.pass(ms)
			p.next()
			p.commands <- RunNow
			p.pass(time.Hour)
			p.expect("0 run 2", "10 end 2", "29 changed a")
		})
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	playing(t, Loop{}, func(p *play) {
		p.took, p.dying = time.Second, 20*ms
		p.start()
		p.pass(100 * ms)
		p.commands <- RunNow
		p.pass(100 * ms)
		p.commands <- Cancel
		p.pass(100 * ms)
		p.commands <- Cancel // nothing to cancel
		p.pass(time.Hour)
		p.expect("0 run 1", "120 end 1 restarted", "120 run 2", "220 end 2 canceled")

		p.save("a")
		p.pass(100 * ms)
		p.commands <- Cancel
		p.pass(time.Hour)
		p.expect("30 changed a", "30 run 3 a", "150 end 3 canceled a")
		p.save("b") // a is still to be run
		p.pass(time.Hour)
		p.expect("30 changed b", "30 run 4 a b", "1030 end 4 a b")

		p.commands <- Pause
		p.save("c")
		p.pass(time.Second)
		p.save("d")
		p.pass(time.Second)
		p.expect("0 paused", "30 changed c", "1060 changed d")
		p.commands <- Pause
		p.pass(time.Hour)
		p.expect("0 resumed", "0 run 5 c d", "1000 end 5 c d")

		p.commands <- Pause
		p.commands <- RunNow // asked for, so it begins
		p.pass(100 * ms)
		p.save("e") // and is not ended
		p.pass(time.Hour)
		p.expect("0 paused", "0 run 6", "130 changed e", "1000 end 6")
		p.commands <- Pause
		p.commands <- Pause
		p.pass(500 * ms)
		p.commands <- Cancel
		p.pass(time.Hour)
		p.expect("0 resumed", "0 run 7 e", "0 paused", "520 end 7 canceled e")
		p.commands <- Pause
		p.pass(time.Hour)
		p.expect("0 resumed")
	})
	playing(t, Loop{OnBusy: Queue}, func(p *play) {
		p.took = time.Second
		p.start()
		p.pass(100 * ms)
		p.commands <- RunNow
		p.commands <- RunNow
		p.pass(time.Hour)
		p.expect("0 run 1", "1000 end 1", "1000 run 2", "2000 end 2")
	})
}

// The end waits for the run.
func TestTheEnd(t *testing.T) {
	playing(t, Loop{}, func(p *play) {
		p.dying = time.Second
		p.start()
		p.stop(errStop)
		p.pass(time.Hour)
		p.expect("0 run 1", "1000 end 1 stop")
	})
	synctest.Test(t, func(t *testing.T) {
		batches := make(chan Batch, 1)
		batches <- Batch{Changes: []Change{{Path: "/p/a"}}, Count: 1, First: time.Now(), Last: time.Now()}
		close(batches)
		runs := 0
		loop := Loop{SkipInitial: true, Run: func(context.Context, Batch) error { runs++; return nil }}
		if err := loop.Follow(t.Context(), batches); err != nil || runs != 1 {
			t.Errorf("%d runs, %v", runs, err)
		}
	})
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	for _, p := range []Policy{Restart, Queue, Ignore} {
		if got, err := ParsePolicy(p.String()); got != p || err != nil {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	if _, err := ParsePolicy("stop"); err == nil || err.Error() != `"stop" is none of restart, queue and ignore` {
		t.Errorf("error: %v", err)
	}
}
