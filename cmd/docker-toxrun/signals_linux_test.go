package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// family is a command with processes of every kind: in the background, with a
// scrubbed environment, in a session of its own, and both. Its trap takes a moment.
const family = `
trap 'sleep 0.3; echo trapped; exit 3' INT TERM HUP
sleep 1$1 &
env -i sleep 2$1 &
setsid sleep 3$1 &
sh -c 'env -i setsid sleep 4$1 & exec sleep 5$1' sh $1 &
echo ready
while :; do sleep 0.1; done`

// Each way in which a signal may come ends the command through its trap, brings
// its status back and leaves nothing.
func TestSignalEndsTheCommand(t *testing.T) {
	t.Parallel()
	direct := []string{"docker-toxrun", "exec", "sh", "-c", family, "sh"}
	plugin := append([]string{"docker", "toxrun"}, direct[1:]...)
	pid := func(p *process, sig syscall.Signal) error { return syscall.Kill(p.Process.Pid, sig) }
	group := func(p *process, sig syscall.Signal) error { return syscall.Kill(-p.Process.Pid, sig) }
	for name, test := range map[string]struct {
		args   []string
		signal func(*process, syscall.Signal) error
		sig    syscall.Signal
		status int
	}{
		"INT":                    {direct, pid, syscall.SIGINT, 3},
		"TERM":                   {direct, pid, syscall.SIGTERM, 3},
		"HUP":                    {direct, pid, syscall.SIGHUP, 3},
		"INT to docker":          {plugin, pid, syscall.SIGINT, 3},
		"TERM to docker":         {plugin, pid, syscall.SIGTERM, 3},
		"HUP to docker":          {plugin, pid, syscall.SIGHUP, 129}, // docker dies of it
		"KILL to docker":         {plugin, pid, syscall.SIGKILL, 137},
		"INT to docker's group":  {plugin, group, syscall.SIGINT, 3},
		"TERM to docker's group": {plugin, group, syscall.SIGTERM, 3},
		// Its time is up when its alarm goes off.
		"timeout":                   {append([]string{"timeout", "--preserve-status", "1h"}, direct...), pid, syscall.SIGALRM, 3},
		"timeout's own status":      {append([]string{"timeout", "1h"}, direct...), pid, syscall.SIGALRM, 124},
		"timeout in the foreground": {append([]string{"timeout", "--foreground", "--preserve-status", "1h"}, direct...), pid, syscall.SIGALRM, 3},
		"timeout -s INT":            {append([]string{"timeout", "-s", "INT", "--preserve-status", "1h"}, direct...), pid, syscall.SIGALRM, 3},
		// timeout sends its signal twice, and docker may die of the second.
		"timeout of docker":                   {append([]string{"timeout", "--preserve-status", "1h"}, plugin...), pid, syscall.SIGALRM, failure},
		"timeout of docker in the foreground": {append([]string{"timeout", "--foreground", "--preserve-status", "1h"}, plugin...), pid, syscall.SIGALRM, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(name, "docker") && !strings.Contains(name, "group") && dockerVersion(t) < 25 {
				return // before version 25 docker tells its plugins of nothing
			}
			each := fakeOnly
			if test.args[0] == direct[0] {
				each = enginetest.Each
			}
			each(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				token := number()
				cmd := in(t, e, append(test.args, token)...)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
				out := file(t)
				cmd.Stdout = out.File
				p := start(t, cmd)
				out.expect(t, "ready\n")
				e.Sleeps(t, token, 5)
				if err := test.signal(p, test.sig); err != nil {
					t.Fatal(err)
				}
				p.exits(t, test.status)
				out.expect(t, "trapped\n")
				gone(t, e, token)
				if said := p.err.String(); strings.Contains(said, "toxrun: ") {
					t.Errorf("stderr %q", said)
				}
			})
		})
	}
}

// gone waits until nothing of a command is left in the container.
func gone(t *testing.T, e enginetest.Target, token string) {
	t.Helper()
	for deadline := enginetest.Deadline(t); len(e.Processes(t, token)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			nothingLeft(t, e, token)
			return
		}
	}
}

// A written is a file that a process writes to.
type written struct{ *os.File }

func file(t *testing.T) written {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return written{f}
}

// expect waits until text is in the file.
func (w written) expect(t *testing.T, text string) {
	t.Helper()
	for deadline := enginetest.Deadline(t); ; time.Sleep(10 * time.Millisecond) {
		content, err := os.ReadFile(w.Name())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %q in %q", text, content)
		}
	}
}

// deaf ignores what it can.
const deaf = `trap '' INT TERM HUP; sleep 1$1 & echo ready; while :; do sleep 0.1; done`

func TestDeafCommandIsKilledAfterTheGrace(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		token := number()
		p := start(t, in(t, e, "docker-toxrun", "--stop-grace", "1s", "exec", "sh", "-c", deaf, "sh", token))
		p.out.expect(t, "ready\n")
		begin := time.Now()
		p.Process.Signal(syscall.SIGTERM)
		p.exits(t, 137)
		if took := time.Since(begin); took < time.Second {
			t.Errorf("killed after %v", took)
		}
		nothingLeft(t, e, token)
	})
}

func TestSecondInterruptKillsAtOnce(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		token := number()
		p := start(t, in(t, e, "docker-toxrun", "--stop-grace", "10m", "exec", "sh", "-c",
			`trap 'echo asked' INT; echo ready; while :; do sleep 0.1; done`, "sh", token))
		p.out.expect(t, "ready\n")
		p.Process.Signal(syscall.SIGINT)
		p.out.expect(t, "asked\n")
		time.Sleep(onceTime) // less would be one interrupt
		p.Process.Signal(syscall.SIGINT)
		p.exits(t, 137)
		nothingLeft(t, e, token)
	})
}

// Other signals are passed on and end nothing by themselves.
func TestUserSignalsArePassedOn(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		p := start(t, in(t, e, "docker-toxrun", "exec", "sh", "-c",
			`trap 'echo one' USR1; trap 'exit 5' USR2; echo ready; while :; do sleep 0.1; done`))
		p.out.expect(t, "ready\n")
		p.Process.Signal(syscall.SIGUSR1)
		p.out.expect(t, "one\n")
		p.Process.Signal(syscall.SIGUSR1)
		p.out.expect(t, "one\n")
		p.Process.Signal(syscall.SIGUSR2)
		p.exits(t, 5)
	})
}

// A signal before the command is there: status 128 and its number, and nothing is
// started.
func TestSignalWhileTheEngineIsSlow(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	asked := newTranscript()
	hold := make(chan struct{})
	defer close(hold)
	e.Engine.Fault(slow(asked, hold))
	p := start(t, in(t, e, "docker-toxrun", "--stop-grace", "1s", "exec", "true"))
	asked.expect(t, "asked")
	p.Process.Signal(syscall.SIGTERM)
	p.exits(t, 143)
	if got := p.err.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "toxrun: ") {
		t.Errorf("stderr %q, want one line", got)
	}
}

// slow holds each exec create back until hold is closed, and tells of it.
func slow(asked io.Writer, hold <-chan struct{}) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if enginetest.Route(r) == "POST /containers/{id}/exec" {
			io.WriteString(asked, "asked")
			<-hold
		}
		return false
	}
}

// As nohup has it: a signal that was ignored from the start stays so.
func TestIgnoredSignalStaysIgnored(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		cmd := in(t, e, "sh", "-c", `trap '' HUP; exec docker-toxrun exec sh -c 'echo ready; while read line; do echo got $line; done; exit 5'`)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, cmd)
		p.out.expect(t, "ready\n")
		p.Process.Signal(syscall.SIGHUP)
		stdin.Write([]byte("it\n"))
		p.out.expect(t, "got it\n")
		stdin.Close()
		p.exits(t, 5)
	})
}
