package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// A fifo is a file that keeps its reader waiting.
type fifo string

func newFIFO(t *testing.T, path string) fifo {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return fifo(path)
}

// writer waits until someone reads, and is the other end.
func (f fifo) writer(t *testing.T) *os.File {
	t.Helper()
	for deadline := enginetest.Deadline(t); ; time.Sleep(5 * time.Millisecond) {
		w, err := os.OpenFile(string(f), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			t.Cleanup(func() { w.Close() })
			return w
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody reads %s: %v", f, err)
		}
	}
}

// Whatever a run waits for before its command is there, a signal ends it: at once,
// with its own status, and nothing is started.
func TestSignalEndsWhatComesBeforeTheCommand(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file string // in the home directory
		args []string
	}{
		"exec":               {"env", []string{"--env-file", "env", "exec", "true"}},
		"command":            {"env", []string{"--env-file", "env", "--"}},
		"standby":            {"env", []string{"--standby", "1m", "--env-file", "env", "exec", "true"}},
		"watch":              {"env", []string{"watch", "--env-file", "env"}},
		"configuration":      {".docker/config.json", []string{"exec", "true"}},
		"watch's":            {".docker/config.json", []string{"watch"}},
		"target's":           {".docker/config.json", []string{"target"}},
		"TLS":                {"ca.pem", []string{"--tlscacert", "ca.pem", "--tlsverify", "exec", "true"}},
		"context":            {fmt.Sprintf(".docker/contexts/meta/%x/meta.json", sha256.Sum256([]byte("box"))), []string{"--context", "box", "exec", "true"}},
		"Compose file":       {"compose.yaml", []string{"-f", "compose.yaml", "exec", "true"}},
		"Compose file's":     {"compose.yaml", []string{"-f", "compose.yaml", "target"}},
		"watch without keys": {"env", []string{"watch", "-n", "--env-file", "env"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
				dir := t.TempDir()
				e := enginetest.Fake(t, enginetest.Container{Mounts: []container.MountPoint{{Type: mount.TypeBind, Source: dir, Destination: "/app"}}})
				cmd := in(t, e, append([]string{"docker-toxrun"}, test.args...)...)
				if slices.Contains(test.args, "-f") {
					cmd.Env = append(cmd.Env, "TOXRUN_CONTAINER=")
				}
				cmd.Dir = dir
				cmd.Env = append(cmd.Env, "DOCKER_CONFIG="+filepath.Join(dir, ".docker"))
				waits := newFIFO(t, filepath.Join(dir, test.file))
				p := start(t, cmd)
				waits.writer(t) // and writes nothing
				p.Process.Signal(sig)
				p.exits(t, statusSignal+int(sig))
				if said := p.err.String(); strings.Contains(said, "toxrun: ") && !slices.Contains(test.args, "watch") {
					t.Errorf("%v: stderr %q", sig, said)
				}
				if slices.Contains(e.Engine.Requests(), "POST /containers/{id}/exec") {
					t.Errorf("%v: an exec is created", sig)
				}
			}
		})
	}
}

// ^Z stops a run that waits, and it goes on afterwards.
func TestSuspendBeforeTheCommand(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]*syscall.SysProcAttr{
		"job":      {Setpgid: true},
		"orphaned": {Setsid: true}, // where ^Z stops no program: nobody could continue it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.Fake(t, enginetest.Container{})
			waits := newFIFO(t, filepath.Join(t.TempDir(), "env"))
			cmd := in(t, e, "docker-toxrun", "exec", "--env-file", string(waits), "sh", "-c", "echo $WORD")
			cmd.SysProcAttr = place
			p := start(t, cmd)
			w := waits.writer(t)
			p.Process.Signal(syscall.SIGTSTP)
			if place.Setpgid {
				isStopped(t, p.Process.Pid)
				p.Process.Signal(syscall.SIGCONT)
			}
			if _, err := w.WriteString("WORD=hello\n"); err != nil {
				t.Fatal(err)
			}
			w.Close()
			p.exits(t, 0)
			if got := p.out.String(); got != "hello\n" {
				t.Errorf("stdout %q", got)
			}
		})
	}
}

// isStopped waits until the process is stopped.
func isStopped(t *testing.T, pid int) {
	t.Helper()
	for deadline := enginetest.Deadline(t); ; time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, state, _ := bytes.Cut(stat, []byte(") "))
		if state[0] == 'T' {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d is not stopped: %s", pid, stat)
		}
	}
}

// What can be read only once is enough for a second attempt, when the container that
// was remembered is another one by now.
func TestEnvironmentFromAPipeIsReadOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, "exit 1", false)
	run := func(args ...string) *process {
		cmd := exec.Command("docker-toxrun", append([]string{"exec"}, args...)...)
		cmd.Dir, cmd.Env = b.src, b.env
		return start(t, cmd)
	}
	run("true").exits(t, 0)
	b.engine.Recreate(b.Container)
	b.engine.ResetRequests()
	waits := newFIFO(t, filepath.Join(t.TempDir(), "env"))
	p := run("--env-file", string(waits), "sh", "-c", "echo $WORD")
	w := waits.writer(t)
	if _, err := w.WriteString("WORD=hello\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p.exits(t, 0)
	if got := p.out.String(); got != "hello\n" {
		t.Errorf("stdout %q", got)
	}
	creates := 0
	for _, route := range b.engine.Requests() {
		if route == "POST /containers/{id}/exec" {
			creates++
		}
	}
	if creates != 2 {
		t.Errorf("%d attempts, want 2: %q", creates, b.engine.Requests())
	}
}

// An Engine that does not answer while the container is looked up is told of, once,
// and when it is back.
func TestSilentEngineIsToldBeforeTheRun(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	answers := make(chan struct{})
	back := sync.OnceFunc(func() { close(answers) })
	t.Cleanup(back) // before the Engine's own end
	e.Engine.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		<-answers
		return false
	})
	p := start(t, in(t, e, "docker-toxrun", "exec", "sh", "-c", "exit 6"))
	p.err.expect(t, "toxrun: engine "+e.Host+" does not answer; toxrun goes on waiting for it\n")
	back()
	p.exits(t, 6)
	told(t, p.err, "toxrun: the engine answers again")
}
