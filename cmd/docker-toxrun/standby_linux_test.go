package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

// A stander is a user who has standby on.
type stander struct {
	testing.TB
	e   enginetest.Target
	dir string // where it runs; "": here
	env []string
}

func newStander(t testing.TB, e enginetest.Target) *stander {
	s := &stander{t, e, "", environment(t, e.Host, "TOXRUN_CONTAINER="+e.Container, "TOXRUN_STANDBY=10m", "XDG_RUNTIME_DIR="+t.TempDir())}
	t.Cleanup(func() {
		if out, err := s.run("standby", "stop").CombinedOutput(); err != nil {
			t.Errorf("standby stop: %v\n%s", err, out)
		}
	})
	return s
}

func (s *stander) run(args ...string) *exec.Cmd {
	cmd := exec.Command(programName, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

// log is the keepers' log.
func (s *stander) log() string {
	return filepath.Join(strings.TrimPrefix(s.env[1], "XDG_CACHE_HOME="), "docker-toxrun", "standby.log")
}

// exits5 does a run, and fails the test unless it goes as it should.
func (s *stander) exits5() {
	s.Helper()
	cmd := s.run("exec", "sh", "-c", "cat; echo err >&2; exit 5")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader("in"), &stderr
	out, err := cmd.Output()
	if exitStatus(err) != 5 || string(out) != "in" || unhurried(stderr.String()) != "err\n" {
		s.Errorf("%v, stdout %q, stderr %q", err, out, &stderr)
	}
}

// unhurried is a text without what toxrun says of an engine that takes long to answer,
// as one by ssh does on a busy machine.
func unhurried(text string) string {
	var rest strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "does not answer") && !strings.Contains(line, "answers again") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// terminalWaits is the environment of a user for whom a spare with a terminal waits.
func terminalWaits(t testing.TB, e enginetest.Target) []string {
	t.Helper()
	s := newStander(t, e)
	s.atTerminal(0, "exec", "true")
	s.terminalKeeper()
	return s.env
}

// atTerminal does a run at a terminal, and returns what that shows.
func (s *stander) atTerminal(status int, args ...string) string {
	s.Helper()
	screen := openScreen(s.TB)
	screen.start(s.TB, s.run(args...)).exits(s.TB, status)
	screen.end()
	return screen.out.String()
}

// terminalKeeper waits for a keeper that has a spare with a terminal.
func (s *stander) terminalKeeper() standby.Info {
	s.Helper()
	for deadline := enginetest.Deadline(s.TB); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if k := s.keeper(0); k.Terminal {
			return k
		}
	}
	s.Fatal("no spare with a terminal")
	return standby.Info{}
}

// keeper waits for a keeper that is ready, and that is another one than before.
func (s *stander) keeper(before int) standby.Info {
	s.Helper()
	var said []byte
	for deadline := enginetest.Deadline(s.TB); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var err error
		if said, err = s.run("standby", "--format", "json").Output(); err != nil {
			s.Fatal(err)
		}
		var infos []standby.Info
		if err := json.Unmarshal(said, &infos); err != nil {
			s.Fatal(err)
		}
		if len(infos) == 1 && infos[0].State == "ready" && infos[0].PID != before {
			return infos[0]
		}
	}
	s.Fatalf("the keepers: %s", said)
	return standby.Info{}
}

// Whatever is killed, the next run works, and so does standby after it.
func TestKilledWithStandby(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		s := newStander(t, e)
		s.exits5()
		k := s.keeper(0)
		s.exits5()
		if k = s.keeper(0); k.Hits != 1 {
			t.Errorf("%+v", k)
		}

		t.Log("the keeper, between two runs")
		syscall.Kill(k.PID, syscall.SIGKILL)
		processEnds(t, k.PID)
		s.exits5()
		k = s.keeper(k.PID)

		t.Log("the keeper, under a run")
		p := start(t, s.run("exec", "-n", "sh", "-c", "echo begun; while [ ! -e /tmp/go-on ]; do sleep 0.1; done; exit 6"))
		p.out.expect(t, "begun\n")
		syscall.Kill(k.PID, syscall.SIGKILL)
		processEnds(t, k.PID)
		s.exits5()
		e.Exec(t, "touch", "/tmp/go-on")
		p.exits(t, 6)
		e.Exec(t, "rm", "/tmp/go-on")
		s.exits5()
		k = s.keeper(k.PID)

		t.Log("a client, whose command ends for it")
		token := number()
		for _, family := range []string{"exec sleep " + token, "trap '' HUP; sleep " + token + " & sleep " + token} {
			p = start(t, s.run("exec", "-n", "sh", "-c", "echo begun; "+family))
			p.out.expect(t, "begun\n")
			p.Process.Kill()
			s.keeper(0) // which has reaped before it is ready again
			nothingLeft(t, e, token)
			s.exits5()
			k = s.keeper(0)
		}

		t.Log("the spare")
		for _, p := range e.Processes(t, "_toxrun_c") {
			syscall.Kill(p.PID, syscall.SIGKILL)
		}
		s.exits5()
		s.keeper(0)
	})
}

func TestContainerAndEngineKilledWithStandby(t *testing.T) {
	t.Parallel()
	e, killEngine := mortalEngine(t)
	s := newStander(t, e)
	s.exits5()
	k := s.keeper(0)
	e.Kill(t)
	out, err := s.run("exec", "true").CombinedOutput()
	if exitStatus(err) != 125 || !strings.Contains(string(out), "is not running") {
		t.Errorf("%v, %s", err, out)
	}
	if err := e.Client.ContainerStart(t.Context(), e.Container, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	s.exits5()
	s.keeper(k.PID)
	s.exits5()
	k = s.keeper(0)
	if k.Hits != 1 {
		t.Errorf("%+v", k)
	}

	killEngine()
	p := start(t, s.run("exec", "true"))
	p.exits(t, 125)
	if said := p.err.String(); !strings.Contains(said, "no docker engine answers") {
		t.Errorf("the user is told %q", said)
	}
	processEnds(t, k.PID) // it does not outlive the engine
}

// processEnds waits for the end of a process; a zombie has ended.
func processEnds(t *testing.T, pid int) {
	t.Helper()
	for deadline := enginetest.Deadline(t); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
	}
	t.Fatalf("process %d is still there", pid)
}

// A keeper holds nothing of the run that has left it behind: neither its files,
// nor its session, its directory or its variables.
func TestKeeperStandsAlone(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	s := newStander(t, e)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.run("exec", "-n", "true")
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Env, "SECRET=xyzzy")
	cmd.Stderr = w
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	k := s.keeper(0)
	r.SetReadDeadline(enginetest.Deadline(t))
	if said, err := io.ReadAll(r); len(said) > 0 || err != nil { // at its end
		t.Errorf("it has our files: %q, %v", said, err)
	}
	proc := fmt.Sprintf("/proc/%d/", k.PID)
	if environ, err := os.ReadFile(proc + "environ"); err != nil || bytes.Contains(environ, []byte("xyzzy")) {
		t.Errorf("its variables are %q, %v", environ, err)
	}
	if cmdline, err := os.ReadFile(proc + "cmdline"); err != nil || bytes.Contains(cmdline, []byte(e.Container)) {
		t.Errorf("its arguments are %q, %v", cmdline, err)
	}
	if cwd, err := os.Readlink(proc + "cwd"); cwd != "/" {
		t.Errorf("its directory is %s, %v", cwd, err)
	}
	stat, err := os.ReadFile(proc + "stat")
	if err != nil {
		t.Fatal(err)
	}
	var state string
	var parent, group, session int
	fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent, &group, &session)
	if session != k.PID {
		t.Errorf("its session is %d, it is %d", session, k.PID)
	}
	if log, err := os.ReadFile(s.log()); !bytes.Contains(log, []byte("begins")) {
		t.Errorf("its log is %q, %v", log, err)
	}
}

// However the Engine is reached, a run wakes what waits, and all of it goes by what the
// keeper has: where ssh can't be started any more, nobody notices.
func TestStandbyByEveryWay(t *testing.T) {
	t.Parallel()
	for name, reach := range map[string]way{"tcp": overTCP, "tls": overTLS, "ssh": overSSH} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			project := newProject(t)
			e := project.engine.Target(project.container)
			s := newStander(t, e)
			s.dir, s.env = project.dir, append(slices.DeleteFunc(s.env, func(v string) bool { return strings.HasPrefix(v, "TOXRUN_CONTAINER=") }), reach(t, e)...)
			s.exits5()
			s.keeper(0)
			whole := s.env
			bin := t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte("#!/bin/sh\necho no ssh >&2\nexit 1\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			s.env = append(s.env, "PATH="+bin+":"+os.Getenv("PATH"))
			s.exits5()
			if k := s.keeper(0); k.Hits != 1 {
				t.Errorf("%+v", k)
			}

			data := make([]byte, 20<<20)
			rand.Read(data)
			cmd := s.run("exec", "cat")
			sum := sha256.New()
			cmd.Stdin, cmd.Stdout = bytes.NewReader(data), sum
			start(t, cmd).exits(t, 0)
			if want := sha256.Sum256(data); !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Error("what comes back from cat is not what went in")
			}
			s.keeper(0)

			token := number()
			p := start(t, s.run("exec", "sh", "-c", family, "sh", token))
			p.out.expect(t, "ready\n")
			e.Sleeps(t, token, 5)
			p.Process.Signal(syscall.SIGINT)
			p.out.expect(t, "trapped\n")
			p.exits(t, 3)
			nothingLeft(t, e, token)
			if k := s.keeper(0); k.Hits != 3 {
				t.Errorf("%+v", k)
			}

			s.env = whole
			s.atTerminal(0, "exec", "true")
			s.terminalKeeper()
			s.env = append(s.env, "PATH="+bin+":"+os.Getenv("PATH"))
			if shown := s.atTerminal(5, "exec", "sh", "-c", "stty size; exit 5"); !strings.Contains(shown, "40 120") {
				t.Errorf("shown %q", shown)
			}
		})
	}
}

// Output that a keeper was to relay is lost with it, and that is said; the command ends.
func TestKeeperThatRelaysIsKilled(t *testing.T) {
	t.Parallel()
	for name, reach := range map[string]way{"tls": overTLS, "ssh": overSSH} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.Real(t, enginetest.DefaultImage)
			s := newStander(t, e)
			s.env = append(s.env, reach(t, e)...)
			s.exits5()
			k := s.keeper(0)
			token := number()
			p := start(t, s.run("exec", "-n", "sh", "-c", "echo begun; sleep "+token+"; exit 0"))
			p.out.expect(t, "begun\n")
			syscall.Kill(k.PID, syscall.SIGKILL)
			p.exits(t, 125)
			if said := unhurried(p.err.String()); strings.Count(said, "\n") != 1 || !strings.Contains(said, "output is missing") {
				t.Errorf("stderr %q", said)
			}
			nothingLeft(t, e, token)
			s.exits5()
			s.keeper(k.PID)
			s.exits5()
		})
	}
}

func TestTimesAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 400 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m", 70 * time.Second: "1m10s",
		10 * time.Minute: "10m", time.Hour: "1h0m", time.Hour + 20*time.Second: "1h0m20s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %s, want %s", d, got, want)
		}
	}
}

// A keeper has a spare of each kind that was used, and lends none of one kind for the other.
func TestTerminalFromStandby(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		s := newStander(t, e)
		s.exits5()
		if k := s.keeper(0); k.Terminal || k.Hits != 0 {
			t.Errorf("%+v", k)
		}
		if text := s.atTerminal(0, "exec", "tty"); !strings.HasPrefix(text, "/dev/") {
			t.Errorf("tty: %q", text)
		}
		if k := s.terminalKeeper(); k.Hits != 0 || k.Misses != 1 {
			t.Errorf("%+v", k)
		}
		s.exits5()
		s.keeper(0)
		if text := s.atTerminal(3, "exec", "sh", "-c", "stty size; tty -s; exit 3"); text != "40 120\r\n" {
			t.Errorf("%q", text)
		}
		if k := s.terminalKeeper(); k.Hits != 2 {
			t.Errorf("%+v", k)
		}

		t.Log("a shell that is open holds no other run up")
		screen := openScreen(t)
		shell := screen.start(t, s.run("shell"))
		screen.raw(t)
		screen.enter("echo $((6*7))\r")
		screen.out.expect(t, "42\r\n")
		for deadline := enginetest.Deadline(t); len(e.Processes(t, "_toxrun_c")) < 2; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("no spares while the shell is open")
			}
		}
		s.exits5()
		screen.enter("exit 4\r")
		shell.exits(t, 4)
		if k := s.terminalKeeper(); k.Hits != 4 {
			t.Errorf("%+v", k)
		}
	})
}
