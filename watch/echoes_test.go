package watch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A file that each run writes is named once and begins no more of them, until
// another file changes: then one run is enough.
func TestAFileThatRunsWriteIsMuted(t *testing.T) {
	t.Parallel()
	for _, policy := range []Policy{Restart, Queue, Ignore} {
		for _, took := range []time.Duration{5 * ms, 700 * ms, 3 * time.Second, 20 * time.Second} {
			t.Run(fmt.Sprintf("%v %v", policy, took), func(t *testing.T) {
				playing(t, Loop{OnBusy: policy}, func(p *play) {
					p.took, p.dying = took, 100*ms
					p.writes = func(int) { go p.save("log", "out") }
					p.start()
					p.pass(time.Hour)
					var muted []string
					for _, line := range p.log {
						if _, path, ok := strings.Cut(line, " muted "); ok {
							muted = append(muted, path)
						}
					}
					runs := p.count("run")
					t.Logf("%d runs, muted after %s ms", runs, strings.Fields(p.log[len(p.log)-1])[0])
					if runs > 1500 {
						t.Fatal("too many runs")
					}
					if policy == Ignore {
						if runs != 1 || len(muted) > 0 {
							t.Errorf("%d runs, muted: %q", runs, muted)
						}
						return
					}
					if want := []string{"/p/log", "/p/out"}; !slices.Equal(muted, want) {
						t.Errorf("muted: %q, want %q", muted, want)
					}
					for range 5 {
						p.next()
						p.save("a")
						p.pass(time.Hour)
						if p.count("run") != 1 || p.count("end") != 1 || p.count("muted") != 0 {
							t.Errorf("happened: %q", p.log)
						}
					}
					p.next()
					p.writes = nil
					p.save("log") // by the user: nothing is running
					p.pass(time.Hour)
					if p.count("run") != 1 {
						t.Errorf("happened: %q", p.log)
					}
				})
			})
		}
	}
}

// So it is for files with a new name each time.
func TestNewFilesInEveryRunAreMuted(t *testing.T) {
	t.Parallel()
	playing(t, Loop{}, func(p *play) {
		p.took = 5 * ms
		p.writes = func(run int) { go p.change(Created, fmt.Sprintf("logs/%d", run)) }
		p.start()
		p.pass(time.Hour)
		if p.count("run") != 3 || p.count("/p/logs/") != 1 {
			t.Errorf("happened: %q", p.log)
		}
		p.next()
		p.change(Created, "a")
		p.pass(time.Hour)
		p.expect("30 changed a", "30 run 4 a", "35 end 4 a")
	})
}

// A file that people save while runs are going on is not muted: they do so at other
// moments of the run, and when nothing is running.
func TestAFileThatPeopleSaveIsNotMuted(t *testing.T) {
	t.Parallel()
	for _, policy := range []Policy{Restart, Queue} {
		playing(t, Loop{OnBusy: policy}, func(p *play) {
			p.took = 10 * time.Second
			p.start()
			for i := range 100 {
				p.pass(time.Duration(i*i%17+1) * 900 * ms)
				p.save("a")
			}
			p.pass(time.Hour)
			if n := p.count("muted"); n > 0 {
				t.Errorf("%v: muted", policy)
			}
			p.next()
			p.save("a")
			p.pass(time.Hour)
			if p.count("run") != 1 {
				t.Errorf("%v: %q", policy, p.log)
			}
		})
	}
}

// A file that was muted changes while nothing is running: it is heard again.
func TestAMutedFileIsHeardAgain(t *testing.T) {
	t.Parallel()
	playing(t, Loop{OnBusy: Queue}, func(p *play) {
		p.took = time.Second
		p.writes = func(int) { go p.save("a") }
		p.start()
		p.pass(time.Hour)
		p.writes = nil
		p.next()
		p.save("a")
		p.pass(100 * ms)
		p.save("a") // during the run, and it counts
		p.pass(time.Hour)
		p.expect("30 changed a", "30 run 4 a", "160 changed a", "1030 end 4 a", "1030 run 5 a", "2030 end 5 a")
	})
}
