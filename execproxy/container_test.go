//go:build unix

package execproxy_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

const waiting = "echo ready; while :; do sleep 0.1; done"

func TestContainerThatGoesAwayEndsTheRun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		away func(enginetest.Target, *testing.T)
		want string
	}{
		"stopped": {func(e enginetest.Target, t *testing.T) { e.Stop(t) }, "was stopped"},
		"killed":  {func(e enginetest.Target, t *testing.T) { e.Kill(t) }, "was stopped"},
		"removed": {func(e enginetest.Target, t *testing.T) { e.Remove(t) }, "was removed"},
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
				s := start(t, sh(e, waiting))
				test.away(e, t)
				s.ends(t, test.want, name == "removed")
			})
		})
	}
}

// ends checks that the run ends, with a status that is not 0, and that
// the user is told why.
func (s *started) ends(t *testing.T, want string, orStopped bool) {
	t.Helper()
	err := s.wait(t)
	told := strings.Join(s.notices(), "\n")
	if lost, ok := errors.AsType[*execproxy.LostError](err); ok {
		told += lost.Error()
	} else if code(err) != 137 {
		t.Errorf("Run() = %v, want a LostError or exit status 137", err)
	}
	if !strings.Contains(told, want) && !(orStopped && strings.Contains(told, "was stopped")) {
		t.Errorf("the user is told %q, want %q", told, want)
	}
	if strings.Contains(told, "\n") {
		t.Errorf("the user is told more than one line: %q", told)
	}
}

// A restarted container is soon up again: that it is another one now shows only
// in when it was started.
func TestRestartOfTheContainerEndsTheRun(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		s := start(t, sh(e, "echo ready; sleep 2.5; echo seen; while :; do sleep 0.1; done"))
		s.expect(t, "seen") // by now the run has looked at the container
		e.Restart(t)
		err := s.wait(t)
		if code(err) == 0 {
			t.Error("Run() = nil")
		}
		if told := strings.Join(s.notices(), "\n") + " " + err.Error(); !strings.Contains(told, "was restarted") && !strings.Contains(told, "was stopped") {
			t.Errorf("the user is told %q", told)
		}
	})
}

func TestPauseIsToldAndSurvived(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		stdin, write := io.Pipe()
		defer write.Close()
		c := sh(e, "echo ready; read line; exit 6")
		c.Stdin = stdin
		s := start(t, c)
		e.Pause(t)
		s.told(t, "is paused")
		e.Unpause(t)
		s.told(t, "goes on")
		write.Write([]byte("line\n"))
		if err := s.wait(t); code(err) != 6 {
			t.Errorf("Run() = %v, want exit status 6", err)
		}
	})
}

// told waits until the user was told something.
func (s *started) told(t *testing.T, want string) {
	t.Helper()
	for deadline := enginetest.Deadline(t); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(strings.Join(s.notices(), "\n"), want) {
			return
		}
	}
	t.Fatalf("the user is told %q, want %q", s.notices(), want)
}

func TestInterruptOfAPausedContainerDoesNotHang(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		s := start(t, sh(e, waiting))
		e.Pause(t)
		defer e.Unpause(t)
		s.signals <- syscall.SIGINT
		err := s.wait(t)
		if frozen, ok := errors.AsType[*execproxy.SignalError](err); !ok || !strings.Contains(frozen.Error(), "frozen") {
			t.Errorf("Run() = %v, want a SignalError that says frozen", err)
		}
	})
}

func TestContainerThatIsNotThereIsGone(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		gone := func(name string, paused bool) {
			t.Helper()
			err := sh(e, "exit 0").Run(t.Context())
			if g, ok := errors.AsType[*execproxy.GoneError](err); !ok || g.Paused != paused {
				t.Errorf("%s: Run() = %v, want a GoneError", name, err)
			}
		}
		e.Pause(t)
		gone("paused", true)
		e.Unpause(t)
		e.Kill(t)
		gone("stopped", false)
		e.Remove(t)
		gone("removed", false)
	})
}

func TestEngineThatDiesEndsTheRun(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	s := start(t, sh(e, waiting))
	e.Engine.Die()
	err := s.wait(t)
	if lost, ok := errors.AsType[*execproxy.LostError](err); !ok || !strings.Contains(lost.Error(), "engine") {
		t.Errorf("Run() = %v, want a LostError about the engine", err)
	}
}

// The connection breaks, the Engine and the command are well: what was missed
// can't be had again, so the command is ended and the run has failed.
func TestBrokenConnectionEndsTheCommand(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	token := number()
	s := start(t, sh(e, "echo ready; sleep 1$1", token))
	e.Engine.Cut(e.Container)
	err := s.wait(t)
	if lost, ok := errors.AsType[*execproxy.LostError](err); !ok || !strings.Contains(lost.Error(), "connection") {
		t.Errorf("Run() = %v, want a LostError about the connection", err)
	}
	nothingLeft(t, e, token)
}

// Nor does it matter that the Engine can't be reached again at once, as where ssh has to
// log in anew.
func TestBrokenConnectionIsTriedAgain(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	token := number()
	s := start(t, sh(e, "echo ready; sleep 1$1", token))
	var left atomic.Int32
	left.Store(6)
	e.Engine.Fault(func(w http.ResponseWriter, _ *http.Request) bool {
		if left.Add(-1) < 0 {
			return false
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return false
		}
		conn.Close()
		return true
	})
	e.Engine.Cut(e.Container)
	err := s.wait(t)
	if lost, ok := errors.AsType[*execproxy.LostError](err); !ok || !strings.Contains(lost.Error(), "connection") {
		t.Errorf("Run() = %v, want a LostError about the connection", err)
	}
	nothingLeft(t, e, token)
}

// A connection that is left open after the command's end does not hold the run.
func TestLostEndOfTheStreamEndsTheRun(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{EndLost: true})
	s := start(t, sh(e, "echo ready; exit 7"))
	if err := s.wait(t); code(err) != 7 {
		t.Errorf("Run() = %v, want exit status 7", err)
	}
	if told := s.notices(); len(told) != 1 || !strings.Contains(told[0], "has ended") {
		t.Errorf("the user is told %q, want one line", told)
	}
}

func TestDeadEngineIsAnError(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	e.Engine.Die()
	if err := sh(e, "exit 0").Run(t.Context()); err == nil {
		t.Error("Run() = nil")
	}
}
