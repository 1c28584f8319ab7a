package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// alone ends with status 99 if a process of an earlier run lives: each run leaves
// the IDs of its own in a file that is ignored. Another process may have one by now, but
// not what is unique to the script among its arguments.
const alone = `
for pid in $(cat pids.log 2>/dev/null); do [ $pid = $$ ] || ! grep -q "$0" /proc/$pid/cmdline 2>/dev/null || { echo "alive: $pid"; exit 99; }; done
sleep 1$0 & one=$!
setsid sleep 2$0 & two=$!
echo $$ $one $two >>pids.log`

// Under restart, nothing is left of a run when the next one begins.
func TestWatchRestart(t *testing.T) {
	eachBench(t, alone+`
trap 'sleep 0.05; exit 5' TERM
echo begun
wait $one`, func(t *testing.T, b *bench) {
		rounds := 20
		if b.engine == nil {
			rounds = 5
		}
		// Saving the same file at the same moment of each run looks like what a run does.
		for i := range rounds {
			b.put(fmt.Sprintf("%d.py", i), "")
		}
		w := b.watch("--ignore", "*.log")
		w.expect("run-started")
		w.err.expect(t, "begun")
		for i := range rounds {
			name := fmt.Sprintf("%d.py", i)
			b.put(name, "saved")
			w.expect("changed "+name, "run-ended canceled", "run-started")
			w.err.expect(t, "begun")
		}
		w.interrupt(130)
		nothingLeft(t, b.Target, b.token)
		if text := w.err.String(); strings.Contains(text, "alive") {
			t.Error(text)
		}
	})
}

// Changes during a run are one more run under queue, with what was saved last, and
// none under ignore.
func TestWatchQueueAndIgnore(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"queue", "ignore"} {
		t.Run(policy, func(t *testing.T) {
			eachBench(t, `cat a.py; echo begun; until [ -e go.log ]; do sleep 0.02; done; rm go.log`, func(t *testing.T, b *bench) {
				b.put("a.py", "0\n")
				b.put("b.py", "0\n")
				w := b.watch("--on-busy", policy, "--ignore", "*.log")
				w.expect("run-started")
				w.err.expect(t, "0\nbegun\n")
				for i := 1; i <= 3; i++ {
					b.put("a.py", fmt.Sprintf("%d\n", i))
					w.expect("changed a.py")
				}
				b.put("go.log", "")
				w.expect("run-ended 0")
				if policy == "ignore" {
					// Too soon after a run's end, a change passes for one of the run's.
					for i, begun := 0, false; !begun; i++ {
						b.put("b.py", fmt.Sprint("again ", i))
						switch got := shortly(w.next()); got {
						case "changed b.py":
							begun = w.soon("run-started")
						case "run-started": // of the change before
							begun = true
							w.expect("changed b.py")
						default:
							t.Fatalf("event %s", got)
						}
					}
				} else {
					w.expect("run-started")
				}
				w.err.expect(t, "3\nbegun\n")
				b.put("go.log", "")
				w.expect("run-ended 0")
				if policy == "queue" { // and no more of them than one
					b.put("b.py", "2\n")
					w.expect("changed b.py", "run-started")
					w.err.expect(t, "3\nbegun\n")
				}
				w.Process.Signal(syscall.SIGINT)
				w.exits(t, map[string]int{"queue": 130, "ignore": 0}[policy])
				nothingLeft(t, b.Target, b.token)
			})
		})
	}
}

const endless = `sleep 1$0 & setsid sleep 2$0 & echo begun; while :; do sleep 0.1; done`

func TestWatchSignals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sig    syscall.Signal
		status int
	}{
		"INT":  {syscall.SIGINT, 130},
		"TERM": {syscall.SIGTERM, 143},
		"HUP":  {syscall.SIGHUP, 129},
	} {
		t.Run(name, func(t *testing.T) {
			each := fakeBench
			if test.sig == syscall.SIGINT {
				each = eachBench
			}
			each(t, endless, func(t *testing.T, b *bench) {
				w := b.watch()
				w.err.expect(t, "begun")
				w.Process.Signal(test.sig)
				w.exits(t, test.status)
				nothingLeft(t, b.Target, b.token)
			})
		})
	}
	t.Run("no run has ended", func(t *testing.T) {
		fakeBench(t, endless, func(t *testing.T, b *bench) {
			w := b.watch("--initial=false")
			w.interrupt(130)
		})
	})
	t.Run("the last run's status", func(t *testing.T) {
		fakeBench(t, `exit 3`, func(t *testing.T, b *bench) {
			w := b.watch()
			w.expect("run-started", "run-ended 3")
			w.interrupt(3)
		})
	})
	// The run is being ended already, and takes its time.
	t.Run("during a restart", func(t *testing.T) {
		eachBench(t, `trap 'echo ending; sleep 1; exit 0' TERM; trap '' INT; echo begun; while :; do sleep 0.1; done`, func(t *testing.T, b *bench) {
			w := b.watch()
			w.err.expect(t, "begun")
			b.put("a.py", "1")
			w.err.expect(t, "ending")
			w.interrupt(130)
			nothingLeft(t, b.Target, b.token)
		})
	})
	t.Run("while waiting", func(t *testing.T) {
		fakeBench(t, endless, func(t *testing.T, b *bench) {
			w := b.watch("--initial=false")
			b.stop()
			w.skip("waiting")
			b.put("a.py", "1")
			w.skip("changed")
			w.interrupt(130)
		})
	})
}

// stop is docker stop.
func (b *bench) stop() { b.do("docker", "stop", "-t", "0", b.Container) }

// The container may go away, between runs and under one, and come back.
func TestWatchContainer(t *testing.T) {
	t.Parallel()
	ways := map[string]struct {
		away, back func(b *bench)
	}{
		"stop and start": {(*bench).stop, func(b *bench) { b.do("docker", "start", b.Container) }},
		"recreate":       {func(b *bench) { b.do("docker", "rm", "-f", b.Container) }, (*bench).up},
		"dead engine":    {func(b *bench) { b.engine.Die() }, func(b *bench) { b.engine.Revive() }},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			each := eachBench
			if name == "dead engine" {
				each = fakeBench
			}
			t.Run("between runs", func(t *testing.T) {
				each(t, `echo ran in $HOSTNAME`, func(t *testing.T, b *bench) {
					w := b.watch()
					w.expect("run-started", "run-ended 0")
					way.away(b)
					w.skip("waiting")
					b.put("a.py", "1")
					w.skip("changed")
					way.back(b)
					w.skip("run-started")
					w.err.expect(t, "ran in "+b.Container[:12])
					w.expect("run-ended 0")
					w.interrupt(0)
				})
			})
			t.Run("in a run", func(t *testing.T) {
				each(t, `[ ! -e quick.log ] || end='exit 4'; echo begun in $HOSTNAME; $end; sleep 1000$0`, func(t *testing.T, b *bench) {
					w := b.watch("--ignore", "*.log")
					w.expect("run-started")
					w.err.expect(t, "begun in")
					b.put("quick.log", "")
					way.away(b)
					w.skip("waiting")
					way.back(b)
					w.skip("run-started")
					w.err.expect(t, "begun in "+b.Container[:12])
					w.expect("run-ended 4")
					w.interrupt(4)
				})
			})
		})
	}
	t.Run("restart", func(t *testing.T) {
		eachBench(t, `echo ran in $HOSTNAME`, func(t *testing.T, b *bench) {
			w := b.watch()
			w.expect("run-started", "run-ended 0")
			b.do("docker", "restart", "-t", "0", b.Container)
			b.put("a.py", "1")
			w.skip("run-started")
			w.expect("run-ended 0")
			w.interrupt(0)
		})
	})
}

// held are the file descriptors and the watches of a process.
func held(t testing.TB, pid int) (files, watches int) {
	t.Helper()
	infos, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil || len(infos) == 0 {
		t.Fatalf("no fdinfo: %v", err)
	}
	for _, info := range infos {
		text, err := os.ReadFile(info)
		if err != nil {
			continue
		}
		files++
		watches += strings.Count(string(text), "inotify wd:")
	}
	return files, watches
}

// 100 rounds of change and restart leave nothing behind.
func TestWatchLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, alone+"\necho begun; wait $one", false)
	for i := range 20 {
		b.put(fmt.Sprintf("%d/x.py", i), "")
	}
	w := b.watch("--ignore", "*.log")
	w.expect("run-started")
	w.err.expect(t, "begun")
	round := func(i int) {
		name := fmt.Sprintf("%d/x.py", i%20)
		b.put("pids.log", "") // the loop over it would take longer and longer
		b.put(name, fmt.Sprint("round ", i))
		w.skip("run-started")
		w.err.expect(t, "begun")
	}
	var processes int // the most of any of these rounds: a look may come before the run has started all of its own
	for i := range 10 {
		round(i)
		processes = max(processes, len(b.Processes(t, b.token)))
	}
	files, watches := held(t, w.Process.Pid)
	for i := range 40 {
		round(i + 10)
	}
	for deadline := enginetest.Deadline(t); ; time.Sleep(10 * time.Millisecond) {
		f, i := held(t, w.Process.Pid)
		p := len(b.Processes(t, b.token))
		if f <= files+1 && i == watches && p <= processes {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files, %d watches, %d processes; after 10 rounds %d, %d, %d", f, i, p, files, watches, processes)
		}
	}
	w.interrupt(130)
	nothingLeft(t, b.Target, b.token)
	if text := w.err.String(); strings.Contains(text, "alive") {
		t.Error(text)
	}
}

// onScreen is eachBench or fakeBench with a watch on a terminal, that has begun its
// first run.
func onScreen(t *testing.T, each func(*testing.T, string, func(*testing.T, *bench)), script string, body func(t *testing.T, b *bench, s *screen, p *process)) {
	t.Helper()
	each(t, script, func(t *testing.T, b *bench) {
		s := openScreen(t)
		before := s.mode(t)
		p := s.start(t, b.command())
		s.out.expect(t, "toxrun: press ? for the keys\r\n")
		s.out.expect(t, "begun\r\n")
		s.raw(t)
		body(t, b, s, p)
		s.restored(t, before)
	})
}

func TestWatchKeys(t *testing.T) {
	t.Parallel()
	once := `echo begun; exit 3`
	t.Run("Enter and q", func(t *testing.T) {
		onScreen(t, fakeBench, once, func(t *testing.T, b *bench, s *screen, p *process) {
			s.out.expect(t, "toxrun: \x1b[31mfail, exit status 3\x1b[m, ")
			s.enter("\r")
			s.out.expect(t, "begun\r\n")
			s.out.expect(t, "fail, exit status 3")
			s.enter("?")
			s.out.expect(t, "Enter: run now")
			s.enter("q")
			p.exits(t, 3)
		})
	})
	t.Run("q in a run", func(t *testing.T) {
		onScreen(t, fakeBench, endless, func(t *testing.T, b *bench, s *screen, p *process) {
			s.enter("q")
			p.exits(t, 0)
			nothingLeft(t, b.Target, b.token)
		})
	})
	t.Run("c", func(t *testing.T) {
		onScreen(t, eachBench, endless, func(t *testing.T, b *bench, s *screen, p *process) {
			s.enter("c")
			s.out.expect(t, "toxrun: canceled")
			nothingLeft(t, b.Target, b.token)
			b.put("a.py", "1")
			s.out.expect(t, "a.py changed: running sh")
			s.out.expect(t, "begun\r\n")
			s.enter("\x03")
			p.exits(t, 130)
			nothingLeft(t, b.Target, b.token)
		})
	})
	t.Run("p", func(t *testing.T) {
		onScreen(t, fakeBench, once, func(t *testing.T, b *bench, s *screen, p *process) {
			s.out.expect(t, "fail, exit status 3")
			s.enter("p")
			s.out.expect(t, "toxrun: paused\r\n")
			s.enter("\n") // runs, paused or not
			s.out.expect(t, "running sh")
			s.out.expect(t, "fail, exit status 3")
			b.put("b.py", "1")
			s.enter("p")
			s.out.expect(t, "toxrun: goes on\r\n")
			s.out.expect(t, "b.py changed: running")
			s.out.expect(t, "fail, exit status 3")
			s.enter("\x03")
			p.exits(t, 3)
		})
	})
	// The command does not heed its end: the second ^C kills it.
	t.Run("q and ^C twice", func(t *testing.T) {
		onScreen(t, eachBench, `trap 'echo ending' TERM; trap 'echo interrupted' INT; sleep 1$0 & echo begun; while :; do sleep 0.1; done`, func(t *testing.T, b *bench, s *screen, p *process) {
			s.enter("q")
			s.out.expect(t, "ending")
			s.enter("\x03")
			s.out.expect(t, "interrupted")
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				p.exits(t, 130)
			}()
			for { // signals that come within 100 ms are one
				select {
				case <-ended:
				case <-time.After(150 * time.Millisecond):
					s.enter("\x03")
					continue
				}
				break
			}
			gone(t, b.Target, b.token)
		})
	})
}

// Where stdin is no terminal, or is to be left alone, it is not read.
func TestWatchLeavesStdinAlone(t *testing.T) {
	eachBench(t, `echo begun; exit 3`, func(t *testing.T, b *bench) {
		cmd := b.command("--exit-on-fail")
		cmd.Stdin = strings.NewReader("q\n?\n")
		p := start(t, cmd)
		p.exits(t, 3)
		if text := p.err.String(); strings.Contains(text, "Enter") {
			t.Errorf("stdin was read: %q", text)
		}
		s := openScreen(t)
		before := s.mode(t)
		p = s.start(t, b.command("-n"))
		s.out.expect(t, "begun\r\n")
		s.out.expect(t, "fail, exit status 3")
		s.restored(t, before)
		p.Process.Signal(syscall.SIGTERM)
		p.exits(t, 3)
	})
}

// ^Z gives the shell its terminal, in a run and between runs; fg goes on, keys too.
func TestWatchSuspend(t *testing.T) {
	eachBench(t, `[ -e quick.log ] || end="sleep 1000$0"; echo begun $((6*7)); $end`, func(t *testing.T, b *bench) {
		s := openShell(t, enginetest.Target{Host: b.Host, Container: b.Container})
		s.enter("cd " + b.src + "; export COMPOSE_PROJECT_NAME=" + b.project + " TOXRUN_CONTAINER=; stty -g >../before\n")
		s.enter("docker-toxrun watch --ignore '*.log'\n")
		s.out.expect(t, "begun 42")
		suspended := func() {
			s.enter("\x1a")
			s.out.expect(t, "Stopped")
			s.says(t, `test "$(stty -g)" = "$(cat ../before)" && echo $((6*8))`, "48")
		}
		suspended()
		stopped(t, b.Target, b.token)
		b.put("quick.log", "")
		s.enter("fg\n")
		s.out.expect(t, "fg\r\ndocker-toxrun")
		s.raw(t)
		s.enter("\r")
		s.out.expect(t, "toxrun: \x1b[32mpass\x1b[m, ")
		suspended()
		b.put("a.py", "1") // is seen afterwards
		s.enter("fg\n")
		s.out.expect(t, "a.py changed")
		s.out.expect(t, "toxrun: \x1b[32mpass\x1b[m, ")
		s.enter("?")
		s.out.expect(t, "run now")
		s.enter("q")
		s.out.expect(t, "$ ")
		s.says(t, `echo status $?; test "$(stty -g)" = "$(cat ../before)" && echo $((6*9))`, "status 0\r\n54")
	})
}
