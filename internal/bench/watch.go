package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// measureWatch measures from a save to the first byte that the command writes, and what
// the start takes in a large tree.
func (b *bench) measureWatch(ctx context.Context) (results []*result, err error) {
	if _, err := exec.LookPath("entr"); err != nil {
		return nil, fmt.Errorf("%w: scripts/peers.sh installs it", err)
	}
	for _, way := range []struct {
		title string
		save  func(path string, text []byte) error
	}{
		{"From a save to the first byte, renamed into place", saveByRename},
		{"From a save to the first byte, written in place", saveInPlace},
	} {
		r, err := b.measureSave(ctx, way.title, way.save)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	r, err := b.measureTree(ctx)
	if err != nil {
		return nil, err
	}
	return append(results, r), nil
}

// saveInPlace is what an editor does that keeps the file.
func saveInPlace(path string, text []byte) error { return os.WriteFile(path, text, 0o644) }

// saveByRename is what one does that makes another.
func saveByRename(path string, text []byte) error {
	if err := os.WriteFile(path+"~", text, 0o644); err != nil {
		return err
	}
	return os.Rename(path+"~", path)
}

// source is the file that is saved.
const source = "a.py"

func (b *bench) measureSave(ctx context.Context, title string, save func(string, []byte) error) (*result, error) {
	u, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	var watchers []*watcher
	var projects []*project
	defer func() {
		for _, w := range watchers {
			w.stop()
		}
		for _, p := range projects {
			p.down(ctx)
		}
	}()
	var firstErr error
	add := func(name string, line func(p *project) command, stdin string) contender {
		c := contender{key: name, name: name}
		p, err := b.up(ctx, service("tests", "busybox")+"    volumes: [\".:/app\"]\n    working_dir: /app\n    x-toxrun: {command: [echo]}\n")
		if err == nil {
			projects = append(projects, p)
			err = os.WriteFile(filepath.Join(p.dir, source), nil, 0o644)
		}
		var w *watcher
		if err == nil {
			w, err = start(ctx, line(p), stdin)
		}
		if err != nil {
			firstErr = errors.Join(firstErr, err)
			return c
		}
		watchers = append(watchers, w)
		saves := 0
		c.before = func(context.Context) error { return w.quiet() }
		c.run = func(ctx context.Context) (float64, error) {
			saves++
			begin := time.Now()
			if err := save(filepath.Join(p.dir, source), fmt.Appendf(nil, "a = %d\n", saves)); err != nil {
				return 0, err
			}
			first, err := w.line(ctx)
			return milliseconds(first.Sub(begin)), err
		}
		return c
	}
	g := &group{
		title: title, unit: "ms", rounds: b.pick(20, 5), base: "entr",
		text: "The command is `echo go`. What settling takes is in it. Each has a directory and a container of its own, watches all the time, and is " +
			"left alone for a moment after each run. The first row watches nothing: it is from the start of `docker exec` to the first byte.",
	}
	toxrun := func(args ...string) func(p *project) command {
		return func(p *project) command { return p.command(u, append([]string{"docker-toxrun", "watch"}, args...)...) }
	}
	around := func(args ...string) func(p *project) command {
		return func(p *project) command {
			return p.command(u, append(args, "docker", "exec", p.container, "echo", "go")...)
		}
	}
	plain, err := b.up(ctx, service("tests", "busybox"))
	if err != nil {
		return nil, err
	}
	projects = append(projects, plain)
	g.contenders = []contender{
		{key: "docker exec", name: "`docker exec ID echo go`", run: func(ctx context.Context) (float64, error) {
			begin := time.Now()
			w, err := start(ctx, around()(plain), "")
			if err != nil {
				return 0, err
			}
			return milliseconds(w.begun.Sub(begin)), w.wait()
		}},
		add("`ls a.py | entr -n docker exec ID echo go`", around("entr", "-n"), source+"\n"),
		add("`docker-toxrun watch --no-standby -- go`", toxrun("--no-standby", "--", "go"), ""),
		add("`docker-toxrun watch -- go`", toxrun("--", "go"), ""),
	}
	g.contenders[1].key, g.contenders[3].key = "entr", "watch"
	if _, err := exec.LookPath("watchexec"); err == nil {
		g.contenders = append(g.contenders, add("`watchexec -w a.py docker exec ID echo go`", around("watchexec", "-w", source, "--"), ""))
	} else {
		g.text += " watchexec was not there."
	}
	if firstErr != nil {
		return nil, firstErr
	}
	which := strings.ToLower(title[strings.LastIndex(title, ",")+2:])
	g.promises = []promise{
		{"save to first byte in `docker-toxrun watch`, " + which + ", to entr with `docker exec`", "watch", "entr", 0.6},
		{"the same to `docker exec` alone, from its start", "watch", "docker exec", 0.6},
	}
	g.end = func(context.Context) (string, error) {
		for _, w := range watchers {
			if err := w.quiet(); err != nil {
				return "", err
			}
		}
		return "", nil
	}
	return b.measure(ctx, g)
}

// A watcher is a program that runs a command on every save, and that command
// writes a line.
type watcher struct {
	command
	cmd    *exec.Cmd
	begun  time.Time // when the first byte came of what it ran at its start
	chunks chan chunk
	stderr bytes.Buffer
}

// A chunk is a part of the output, and when it came.
type chunk struct {
	text string
	at   time.Time
}

// patience is for what takes a tenth of a second.
const patience = 20 * time.Second

// start starts a watcher and waits for the line of its first run.
func start(ctx context.Context, c command, stdin string) (*watcher, error) {
	w := &watcher{command: c, cmd: c.make(ctx), chunks: make(chan chunk, 100)}
	if stdin != "" {
		w.cmd.Stdin = strings.NewReader(stdin)
	}
	w.cmd.Stderr = &w.stderr
	w.cmd.Stdout = w // a writer in this process: what comes has its time at once
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	var err error
	if w.begun, err = w.line(ctx); err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

func (w *watcher) Write(text []byte) (int, error) {
	w.chunks <- chunk{string(text), time.Now()}
	return len(text), nil
}

// line waits for the command's output, all of it, and returns when it began.
func (w *watcher) line(ctx context.Context) (first time.Time, err error) {
	late := time.After(patience)
	for text := ""; text != "go\n"; {
		select {
		case c := <-w.chunks:
			if text == "" {
				first = c.at
			}
			if text += c.text; !strings.HasPrefix("go\n", text) {
				return first, fmt.Errorf("%s: the command writes %q", w.args[0], text)
			}
		case <-late:
			return first, fmt.Errorf("%s: no run in %v, only %q", w.args[0], patience, text)
		case <-ctx.Done():
			return first, ctx.Err()
		}
	}
	return first, nil
}

// quiet is an error if a save made the command run twice.
func (w *watcher) quiet() error {
	select {
	case c := <-w.chunks:
		return fmt.Errorf("%s: one save, two runs: %q", w.args[0], c.text)
	default:
		return nil
	}
}

// wait waits for one that ends by itself.
func (w *watcher) wait() error { return w.verdict(w.cmd.Wait(), w.stderr.String()) }

// stop ends the watcher.
func (w *watcher) stop() {
	if w.cmd.Process.Signal(os.Interrupt) != nil {
		w.cmd.Process.Kill()
	}
	done := make(chan struct{})
	go func() { w.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		w.cmd.Process.Kill()
		<-done
	}
}
