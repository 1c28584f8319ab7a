package main

import (
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

const untilSignal = `echo ready; while :; do sleep 0.1; done`

// A container that goes away in the middle of a run ends it: in time, with one
// line that says what happened, and never with 0.
func TestContainerGoesAway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		away func(enginetest.Target, testing.TB)
		told string
	}{
		"stop":      {enginetest.Target.Stop, "was stopped"},
		"kill":      {enginetest.Target.Kill, "was stopped"},
		"remove":    {enginetest.Target.Remove, "was (stopped|removed)"},
		"restarted": {enginetest.Target.Restart, "was (stopped|restarted)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				// A run looks at its container after a second. A shell with a child would say
				// that it was killed, where it lives a moment longer.
				p := start(t, in(t, e, "docker-toxrun", "exec", "sh", "-c", `trap '' TERM; sleep 2; echo ready; exec sleep 1000`))
				p.out.expect(t, "ready\n")
				if e.Engine != nil { // whose restart may be too quick to be seen: it is known by another start
					for deadline := enginetest.Deadline(t); inspections(e) < 2; time.Sleep(10 * time.Millisecond) {
						if time.Now().After(deadline) {
							t.Fatalf("the run does not look: %q", e.Engine.Requests())
						}
					}
				}
				test.away(e, t)
				p.exits(t, failure)
				line := regexp.MustCompile(`^toxrun: container \S+ ` + test.told + ` while the command was running\n$`)
				if said := p.err.String(); !line.MatchString(said) {
					t.Errorf("stderr %q, want %s", said, line)
				}
			})
		})
	}
}

// inspections counts those of a container: one finds it, and a run makes one a second.
func inspections(e enginetest.Target) (n int) {
	for _, request := range e.Engine.Requests() {
		if request == "GET /containers/{id}/json" {
			n++
		}
	}
	return n
}

// In a paused container a command is frozen: toxrun says so, and that it goes on.
func TestContainerIsPaused(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		cmd := in(t, e, "docker-toxrun", "exec", "sh", "-c", "echo ready; read line; exit 6")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, cmd)
		p.out.expect(t, "ready\n")
		e.Pause(t)
		p.err.expect(t, " is paused: the command is frozen until docker unpause ")
		e.Unpause(t)
		p.err.expect(t, " goes on\n")
		stdin.Write([]byte("line\n"))
		p.exits(t, 6)
	})
}

func TestInterruptWhilePausedDoesNotHang(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		p := start(t, in(t, e, "docker-toxrun", "exec", "sh", "-c", untilSignal))
		p.out.expect(t, "ready\n")
		e.Pause(t)
		defer e.Unpause(t)
		p.Process.Signal(syscall.SIGINT)
		p.exits(t, 130)
		if said := p.err.String(); !strings.Contains(said, "frozen inside") {
			t.Errorf("stderr %q", said)
		}
	})
}

// The address is the same and the Engine behind it another one, of another
// version: the run just works, and the next one is warm.
func TestEngineIsUpgradedOrDowngraded(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	other := &enginetest.Engine{APIVersion: "1.51"}
	other.Start(t)
	serve(other)
	engines := []*enginetest.Engine{p.engine, other}
	address, turn := switchable(t, p.engine.Host(), other.Host())
	env := environment(t, "tcp://"+address)
	for _, i := range []int{0, 1, 0} {
		turn(i)
		for _, requests := range []int{0, 3} { // the second run's
			engines[i].ResetRequests()
			cmd := exec.Command("docker-toxrun", "exec", "true")
			cmd.Dir, cmd.Env = p.dir, env
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %s", err, out)
			}
			if got := engines[i].Requests(); requests > 0 && len(got) != requests {
				t.Errorf("requests %q, want %d", got, requests)
			}
		}
	}
}
