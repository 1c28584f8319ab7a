package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// A project is a directory with a Compose file and the container of its service
// "tests" on a fake.
type project struct {
	dir       string
	engine    *enginetest.Engine
	container string // ID
}

const projectFile = "services: {tests: {image: 'toxrun-test:busybox', x-toxrun: {}}}\n"

func newProject(t testing.TB) *project {
	t.Helper()
	p := &project{dir: t.TempDir(), engine: new(enginetest.Engine)}
	if err := os.WriteFile(filepath.Join(p.dir, "compose.yaml"), []byte("name: project\n"+projectFile), 0o600); err != nil {
		t.Fatal(err)
	}
	p.engine.Start(t)
	p.container = serve(p.engine)
	return p
}

// serve puts the project's container on an engine.
func serve(e *enginetest.Engine) string {
	return e.Add(enginetest.Container{Name: "project-tests-1", Labels: map[string]string{
		"com.docker.compose.project":          "project",
		"com.docker.compose.service":          "tests",
		"com.docker.compose.container-number": "1",
		"com.docker.compose.oneoff":           "False",
	}})
}

// opens calls f and returns the names of the files in dir that were opened
// meanwhile.
func opens(t *testing.T, dir string, f func()) []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	f()
	var names []string
	buf := make([]byte, 64<<10)
	n, err := unix.Read(fd, buf)
	if err == unix.EAGAIN {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for buf = buf[:n]; len(buf) > 0; {
		event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[0]))
		name := buf[unix.SizeofInotifyEvent:][:event.Len]
		names = append(names, string(bytes.TrimRight(name, "\x00")))
		buf = buf[unix.SizeofInotifyEvent+len(name):]
	}
	return names
}

func TestWarmRunOpensNoComposeFile(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	env := environment(t, p.engine.Host())
	run := func() {
		cmd := exec.Command("docker-toxrun", "exec", "true")
		cmd.Dir, cmd.Env = p.dir, env
		start(t, cmd).exits(t, 0)
	}
	if opened := opens(t, p.dir, run); !slices.Contains(opened, "compose.yaml") {
		t.Fatalf("a cold run opens %q, want compose.yaml among them", opened)
	}
	// A file younger than two seconds could change once more without its times
	// showing it, so that it is read.
	info, err := os.Stat(filepath.Join(p.dir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(info.ModTime().Add(2100 * time.Millisecond)))
	run()
	if opened := opens(t, p.dir, run); len(opened) > 0 {
		t.Errorf("a warm run opens %q", opened)
	}
}

func TestTwentyFirstRunsAtOnce(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	env := environment(t, p.engine.Host())
	cache := filepath.Join(cacheOf(env), "docker-toxrun")
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			cmd := exec.Command("docker-toxrun", "exec", "sh", "-c", "echo $((6*7))")
			cmd.Dir, cmd.Env = p.dir, env
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "42\n" {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wait.Wait()
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 1 || filepath.Ext(entries[0].Name()) != ".json" {
		t.Errorf("the cache has %v (%v), want one entry", entries, err)
	}
}

func cacheOf(env []string) string {
	for _, variable := range env {
		if dir, ok := strings.CutPrefix(variable, "XDG_CACHE_HOME="); ok {
			return dir
		}
	}
	return ""
}

// Another Engine is another container, with the same project, directory and cache.
func TestAnotherEngineIsAnotherContainer(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	other := new(enginetest.Engine)
	other.Start(t)
	containers := map[string]string{p.engine.Host(): p.container, other.Host(): serve(other)}
	env := environment(t, "unix:///nobody")
	for range 2 {
		for host, id := range containers {
			cmd := exec.Command("docker-toxrun", "-H", host, "exec", "sh", "-c", "echo $HOSTNAME")
			cmd.Dir, cmd.Env = p.dir, env
			if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != id[:12] {
				t.Errorf("%v: %s, want %s", err, out, id[:12])
			}
		}
	}
}

// `: | docker-toxrun exec cat` ends at once, every time. -q: a busy Engine may be silent
// for a while, and is told of.
func TestEmptyStdinEnds(t *testing.T) {
	t.Parallel()
	const parallel = 4
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		const runs = 40
		env := in(t, e, "docker-toxrun").Env
		ctx, cancel := context.WithDeadline(t.Context(), enginetest.Deadline(t))
		defer cancel()
		var wait sync.WaitGroup
		for range parallel {
			wait.Go(func() {
				for range runs / parallel {
					cmd := exec.CommandContext(ctx, "sh", "-c", ": | exec docker-toxrun -q exec cat")
					cmd.Env = env
					if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
						t.Errorf("%v: %s", err, out)
					}
				}
			})
		}
		wait.Wait()
	})
}
