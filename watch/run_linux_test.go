package watch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// command returns a Run that runs a script in dir, in a process group that is ended
// as a whole.
func command(dir, script string) func(context.Context, Batch) error {
	return func(ctx context.Context, b Batch) error {
		cmd := exec.CommandContext(ctx, "sh", "-c", script)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		return cmd.Run()
	}
}

// A following tree is watched, and a script run when it changes. What happens is
// sent to events.
type scripted struct {
	*watched
	events chan Event
	stop   context.CancelFunc
}

func follow(t testing.TB, dir string, tree Tree, loop Loop) *scripted {
	t.Helper()
	s := &scripted{watched: watch(t, dir, tree), events: make(chan Event, 1000)}
	loop.Event = func(e Event) { s.events <- e }
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { loop.Follow(ctx, s.C) })
	s.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(s.stop)
	return s
}

// until waits for an event that is as wanted, and returns those before it and it.
func (s *scripted) until(wanted func(Event) bool) (events []Event) {
	s.t.Helper()
	timeout := late(s.t)
	for {
		select {
		case e := <-s.events:
			if events = append(events, e); wanted(e) {
				return events
			}
		case <-timeout:
			s.t.Fatalf("happened: %+v", events)
		}
	}
}

func ended(e Event) bool         { return e.Kind == Ended }
func endedByItself(e Event) bool { return e.Kind == Ended && e.Cause == nil }
func started(e Event) bool       { return e.Kind == Started }
func count(events []Event, is func(Event) bool) (n int) {
	for _, e := range events {
		if is(e) {
			n++
		}
	}
	return n
}

// A file that an editor writes in pieces over 200 ms is finished by one run only,
// which sees all of it; those that began too early were ended.
func TestAFileWrittenInPiecesIsRunOnce(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	tree(t, dir, "a.py")
	s := follow(t, dir, Tree{}, Loop{SkipInitial: true, Run: command(dir, "sleep 0.3; cat a.py >>"+out)})
	sh(t, dir, "{ for i in 1 2 3 4 5; do echo $i; sleep 0.05; done; } >a.py")
	s.until(endedByItself)
	if text := read(t, out); text != "1\n2\n3\n4\n5\n" {
		t.Errorf("runs saw %q", text)
	}
	s.expectNoRun()
}

// expectNoRun shows that no run is to come for what has happened so far.
func (s *scripted) expectNoRun() {
	s.t.Helper()
	write(s.t, filepath.Join(s.dir, "sentinel"), fmt.Sprint(time.Now()))
	for _, e := range s.until(endedByItself) {
		if len(e.Batch.Changes) != 1 || filepath.Base(e.Batch.Changes[0].Path) != "sentinel" {
			s.t.Errorf("happened: %+v", e)
		}
	}
}

// Nothing is left of the old run when the new one begins, 20 times.
func TestTheOldRunIsGoneBeforeTheNew(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	tree(t, dir, "a.py")
	alive := func() string {
		var pids []string
		all, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range all {
			if env, _ := os.ReadFile(path); strings.Contains(string(env), "\x00WATCH_TEST_RUN="+state) {
				pids = append(pids, path)
			}
		}
		return strings.Join(pids, " ")
	}
	run := command(dir, "export WATCH_TEST_RUN="+state+"; sleep 1000 & sleep 1000 & wait")
	s := follow(t, dir, Tree{}, Loop{Run: func(ctx context.Context, b Batch) error {
		if left := alive(); left != "" {
			t.Errorf("left of the old run: %s", left)
		}
		return run(ctx, b)
	}})
	s.until(started)
	for i := range 20 {
		for alive() == "" {
			runtime.Gosched()
		}
		write(t, filepath.Join(dir, fmt.Sprintf("a%d.py", i%2)), fmt.Sprint(i))
		s.until(started)
	}
	s.stop()
	if left := alive(); left != "" {
		t.Errorf("left of the last run: %s", left)
	}
}

// Runs that write into the tree: what tests always write starts no other, and what
// no rule knows is named once and starts none before another file changes.
func TestRunsThatWriteIntoTheTree(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"mkdir -p .tox/py __pycache__; for f in junit.xml .coverage .tox/py/log __pycache__/a.pyc; do date +%N >$f; done",
		"date +%N >report.txt",
		"date +%N >report.txt; sleep 0.2",
		"sleep 0.1; date +%N >t.tmp; mv t.tmp report.txt",
	} {
		for _, policy := range []Policy{Restart, Queue} {
			t.Run(fmt.Sprint(policy, " ", script), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				tree(t, dir, "a.py", "report.txt")
				s := follow(t, dir, Tree{}, Loop{OnBusy: policy, Run: command(dir, script)})
				if strings.Contains(script, "report") {
					events := s.until(func(e Event) bool { return e.Kind == Muted })
					if muted := events[len(events)-1].Path; muted != filepath.Join(dir, "report.txt") || count(events, started) > 30 {
						t.Errorf("muted %s after %d runs", muted, count(events, started))
					}
				} else {
					s.until(ended)
				}
				s.expectNoRun()
				appendTo(t, filepath.Join(dir, "a.py"), "x")
				s.until(endedByItself)
				s.expectNoRun()
			})
		}
	}
}

// 2,000 rounds of change and restart leave nothing behind.
func TestNothingIsLeftOfManyRestarts(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, "a.py")
	s := follow(t, dir, Tree{Debounce: time.Millisecond}, Loop{Run: func(ctx context.Context, _ Batch) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	s.until(started)
	round := func(i int) {
		write(t, filepath.Join(dir, fmt.Sprintf("a%d.py", i%2)), fmt.Sprint(i))
		s.until(started)
	}
	for i := range 100 {
		round(i)
	}
	goroutines, size := runtime.NumGoroutine(), heap()
	for i := range 2000 {
		round(i)
	}
	if n := runtime.NumGoroutine(); n > goroutines+2 {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	if grown := int64(heap()) - int64(size); grown > 200_000 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}
