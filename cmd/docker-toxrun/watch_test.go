package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/compose/load"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// A bench is a Compose project under watch. Its source, src, is mounted as /app.
type bench struct {
	*stage
	enginetest.Target
	dir   string // of the project
	src   string
	env   []string
	token string // is in the arguments of the service's command
}

// eachBench calls body with a project whose command is a shell script, on both
// engines. The script has what is unique to it as $0, and runs in src.
func eachBench(t *testing.T, script string, body func(t *testing.T, b *bench)) {
	t.Helper()
	fakeBench(t, script, body)
	t.Run("real", func(t *testing.T) { t.Parallel(); body(t, newBench(t, script, true)) })
}

// fakeBench is for what the real Engine has no part in, or shows in another test.
func fakeBench(t *testing.T, script string, body func(t *testing.T, b *bench)) {
	t.Helper()
	t.Run("fake", func(t *testing.T) { t.Parallel(); body(t, newBench(t, script, false)) })
}

func newBench(t testing.TB, script string, real bool) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), token: number()}
	b.stage = &stage{t: t, project: "toxrun-test-" + number(), containers: map[string]string{}}
	b.src = filepath.Join(b.dir, "src")
	if err := os.Mkdir(b.src, 0o755); err != nil {
		t.Fatal(err)
	}
	if real {
		b.stage.client = realEngine(t)
		t.Cleanup(b.clear)
	} else {
		b.engine = new(enginetest.Engine)
		b.engine.Start(t)
		b.stage.client = b.engine.Client()
	}
	command, err := json.Marshal([]string{"sh", "-c", script, b.token})
	if err != nil {
		t.Fatal(err)
	}
	b.put("../compose.yaml", `services:
  tests:
    image: `+enginetest.DefaultImage+`
    command: [sleep, "1000000"]
    network_mode: none
    stop_signal: SIGKILL
    volumes: [./src:/app]
    x-toxrun:
      command: `+strings.ReplaceAll(string(command), "$", "$$")+"\n")
	b.env = environment(t, b.stage.client.DaemonHost(), "COMPOSE_PROJECT_NAME="+b.project)
	b.up()
	return b
}

// up makes the service's container.
func (b *bench) up() {
	b.t.Helper()
	model, err := load.Model(context.Background(), compose.Query{Dir: b.dir, Environ: b.env})
	if err != nil {
		b.t.Fatal(err)
	}
	id := b.add(model, model.Services[0], enginetest.DefaultImage, 1)
	b.Target = enginetest.Target{Client: b.stage.client, Host: b.stage.client.DaemonHost(), Container: id, Engine: b.engine}
}

// put writes a file, of which the name is relative to src.
func (b *bench) put(name, content string) {
	b.t.Helper()
	path := filepath.Join(b.src, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	// At once: of a busy machine an open and a write may take longer than a debounce.
	whole := filepath.Join(b.dir, "whole")
	if err := os.WriteFile(whole, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(whole, path); err != nil {
		b.t.Fatal(err)
	}
}

// do runs a command in src, here.
func (b *bench) do(args ...string) {
	b.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = b.src, append(b.env, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("%q: %v: %s", args, err, out)
	}
}

// command is a watch that is not started yet.
func (b *bench) command(args ...string) *exec.Cmd {
	cmd := exec.Command("docker-toxrun", append([]string{"watch"}, args...)...)
	cmd.Dir, cmd.Env = b.src, b.env
	return cmd
}

// A watcher is a watch with --format json. What its command writes to stdout is in
// err, with what toxrun itself says.
type watcher struct {
	*process
	t      testing.TB
	events chan watchEvent
	rest   string
	seen   []string // as shortly has them
}

func (b *bench) watch(args ...string) *watcher {
	b.t.Helper()
	w := &watcher{t: b.t, events: make(chan watchEvent, 100_000)}
	cmd := b.command(append([]string{"--format", "json"}, args...)...)
	cmd.Stdout = w
	w.process = start(b.t, cmd)
	if e := w.next(); e.Event != "started" || len(e.Paths) != 1 || e.Paths[0] != b.src || e.Mode == "" {
		b.t.Fatalf("the first event is %+v", e)
	}
	return w
}

// Write takes whole lines and parts of them.
func (w *watcher) Write(p []byte) (int, error) {
	w.rest += string(p)
	for {
		line, rest, ok := strings.Cut(w.rest, "\n")
		if !ok {
			return len(p), nil
		}
		w.rest = rest
		var e watchEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			w.t.Errorf("%q on stdout: %v", line, err)
		}
		if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
			w.t.Errorf("%q: %v", line, err)
		}
		w.events <- e
	}
}

func (w *watcher) next() watchEvent {
	w.t.Helper()
	select {
	case e := <-w.events:
		w.seen = append(w.seen, e.Time[len("2006-01-02T"):]+" "+shortly(e))
		return e
	case <-enginetest.Late(w.t):
		w.t.Fatalf("no more events after %q; stderr %q", w.seen[max(0, len(w.seen)-10):], w.err)
		panic("")
	}
}

// soon tells whether an event comes within a moment; another one is a failure.
func (w *watcher) soon(kind string) bool {
	w.t.Helper()
	select {
	case e := <-w.events:
		if e.Event != kind {
			w.t.Fatalf("event %+v, want %s", e, kind)
		}
		return true
	case <-time.After(150 * time.Millisecond):
		return false
	}
}

// skip returns the next event of a kind, and passes over those before it.
func (w *watcher) skip(kind string) watchEvent {
	w.t.Helper()
	for {
		e := w.next()
		if e.Event == kind {
			return e
		}
	}
}

// expect wants the next events to be those, as told writes them.
func (w *watcher) expect(want ...string) {
	w.t.Helper()
	for i, text := range want {
		if got := shortly(w.next()); got != text {
			w.t.Fatalf("event %d is %q, want %q; stderr %q", i, got, text, w.err)
		}
	}
}

// ran is what there is of a run for a change of files, and of nothing else.
func (w *watcher) ran(status int, files ...string) {
	w.t.Helper()
	w.expect("changed "+strings.Join(files, " "), "run-started", fmt.Sprintf("run-ended %d", status))
}

// shortly is an event with what is the same in each run.
func shortly(e watchEvent) string {
	text := e.Event
	for _, path := range e.Paths {
		text += " " + filepath.Base(path)
	}
	if e.Status != nil {
		text += fmt.Sprintf(" %d", *e.Status)
	}
	if e.Text != "" {
		text += " " + e.Text
	}
	return text
}

// interrupt is ^C, of which watch is to end with that status.
func (w *watcher) interrupt(status int) {
	w.t.Helper()
	w.Process.Signal(syscall.SIGINT)
	w.exits(w.t, status)
}

// A save is one run, whatever the editor does for it, and later ones are for what
// was saved later: nothing of it comes twice.
func TestWatchOneRunForASave(t *testing.T) {
	for _, program := range []string{"vim", "git", "sed"} {
		needProgram(t, program)
	}
	eachBench(t, `echo "ran for $TOXRUN_CHANGED."`, func(t *testing.T, b *bench) {
		b.put("a.py", "a = 1\n")
		b.put("b.py", "b = 1\n")
		b.put(".gitignore", "*.log\n")
		b.do("git", "init", "-q")
		b.do("git", "add", "-A")
		b.do("git", "commit", "-q", "-m", "first")
		b.do("git", "checkout", "-q", "-b", "other")
		b.do("sh", "-c", "for i in 0 1 2 3 4 5 6 7 8 9; do echo $i >b.py; echo $i >c$i.py; done; git add -A; git commit -q -m second; git checkout -q -")
		w := b.watch("--debounce", "300ms") // of a busy machine an editor needs more than 30 ms
		w.expect("run-started", "run-ended 0")
		b.do("vim", "-u", "NONE", "-es", "+set backup writebackup swapfile", "+s/1/2/", "+w", "+q", "a.py")
		w.ran(0, "a.py")
		b.put("x.log", "ignored")
		b.do("sed", "-i", "s/2/3/", "a.py")
		w.ran(0, "a.py")
		b.do("sh", "-c", "echo 4 >new && mv new b.py")
		w.ran(0, "b.py")
		b.do("git", "checkout", "-q", "-f", "other")
		w.ran(0, strings.Fields("a.py b.py c0.py c1.py c2.py c3.py c4.py c5.py c6.py c7.py c8.py c9.py")...)
		b.do("sh", "-c", "mkdir -p p/q && touch p/q/x.py")
		w.ran(0, "x.py")
		b.do("rm", "-r", "p")
		w.ran(0, "x.py")
		w.interrupt(0)
		for _, want := range []string{"ran for .", "ran for /app/a.py.", "ran for /app/a.py.", "ran for /app/b.py.", "ran for /app/a.py\n/app/b.py\n/app/c0.py\n"} {
			w.err.expect(t, want)
		}
	})
}

// What a test run writes into the tree starts no other, and a file that each run
// writes and no rule ignores is named once.
func TestWatchRunsWriteFiles(t *testing.T) {
	t.Run("ignored", func(t *testing.T) {
		eachBench(t, `mkdir -p .tox/py __pycache__ && echo $$ | tee junit.xml .coverage .tox/py/log __pycache__/a.cpython-313.pyc >/dev/null`,
			func(t *testing.T, b *bench) {
				files := []string{"a.py", "b.py", "c.py"}
				for _, file := range files {
					b.put(file, "")
				}
				w := b.watch()
				w.expect("run-started", "run-ended 0")
				for i, file := range files {
					b.put(file, fmt.Sprint(i))
					w.ran(0, file)
				}
				w.interrupt(0)
			})
	})
	t.Run("not ignored", func(t *testing.T) {
		fakeBench(t, `echo $$ >report.txt`, func(t *testing.T, b *bench) {
			w := b.watch("--on-busy", "queue")
			muted := w.skip("notice")
			if !strings.Contains(muted.Text, "report.txt changes in every run") {
				t.Errorf("notice %q", muted.Text)
			}
			b.put("a.py", "1")
			for e := w.next(); ; e = w.next() {
				if e.Event == "notice" {
					t.Errorf("a second notice: %q", e.Text)
				}
				if shortly(e) == "changed a.py" {
					break
				}
			}
			w.expect("run-started", "run-ended 0")
			b.put("b.py", "1")
			w.ran(0, "b.py")
			w.interrupt(0)
		})
	})
}

// From a save until it has settled, and until the first byte of the command's output
// is here. Each save is of another file, after a run that has ended.
func BenchmarkWatchSave(b *testing.B) {
	for _, name := range []string{"fake", "real"} {
		b.Run(name, func(b *testing.B) {
			bench := newBench(b, "echo begun", name == "real")
			for i := range 20 {
				bench.put(fmt.Sprintf("%d.py", i), "")
			}
			w := bench.watch()
			w.skip("run-ended")
			w.err.expect(b, "begun")
			var settled, begun time.Duration
			for i := range b.N {
				begin := time.Now()
				bench.put(fmt.Sprintf("%d.py", i%20), fmt.Sprint(i))
				w.skip("changed")
				settled += time.Since(begin)
				w.err.expect(b, "begun")
				begun += time.Since(begin)
				w.skip("run-ended")
			}
			b.ReportMetric(float64(settled.Microseconds())/1000/float64(b.N), "ms-settled/op")
			b.ReportMetric(float64(begun.Microseconds())/1000/float64(b.N), "ms-first-byte/op")
		})
	}
}

// A save during a run, step by step: until it has settled, until nothing is left of
// the old run, and until the new one's first byte is here.
func BenchmarkWatchRestart(b *testing.B) {
	for _, name := range []string{"fake", "real"} {
		b.Run(name, func(b *testing.B) {
			bench := newBench(b, "echo begun; exec sleep 1000", name == "real")
			for i := range 20 {
				bench.put(fmt.Sprintf("%d.py", i), "")
			}
			w := bench.watch()
			w.err.expect(b, "begun")
			steps := map[string]time.Duration{}
			for i := range b.N {
				last := time.Now()
				step := func(name string) { steps[name] += time.Since(last); last = time.Now() }
				bench.put(fmt.Sprintf("%d.py", i%20), fmt.Sprint(i))
				w.skip("changed")
				step("settling")
				w.skip("run-ended")
				step("signalling")
				w.skip("run-started")
				w.err.expect(b, "begun")
				step("exec-and-first-byte")
			}
			for name, took := range steps {
				b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), "ms-"+name+"/op")
			}
		})
	}
}
