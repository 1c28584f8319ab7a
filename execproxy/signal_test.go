//go:build unix

package execproxy_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// images are those with a shell that signals are tried in.
var images = []string{"toxrun-test:busybox", "toxrun-test:alpine", "toxrun-test:debian"}

// nothingLeft fails the test if a process of a command is alive in the container.
func nothingLeft(t *testing.T, e enginetest.Target, token string) {
	t.Helper()
	for _, p := range e.Processes(t, token) {
		t.Errorf("left in the container: %q", p.Args)
	}
}

// A started is a command that runs until a signal ends it.
type started struct {
	signals chan os.Signal
	done    chan error
	lines   *bufio.Scanner // of its output
	notices func() []string
	stop    context.CancelCauseFunc
}

// start runs c and waits for its first line of output, which is to be "ready". What
// ends has not been killed for its grace, unless c has one of its own.
func start(t *testing.T, c *execproxy.Cmd) *started {
	t.Helper()
	stdout, to := io.Pipe()
	var mu sync.Mutex
	var notices []string
	s := &started{
		signals: make(chan os.Signal, 4),
		done:    make(chan error, 1),
		lines:   bufio.NewScanner(stdout),
		notices: func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(notices) },
	}
	c.Signals, c.Stdout = s.signals, to
	c.StopGrace = cmp.Or(c.StopGrace, time.Hour)
	c.Notice = func(line string) {
		if strings.Contains(line, "the engine ") { // takes its time, on a busy machine
			return
		}
		mu.Lock()
		notices = append(notices, line)
		mu.Unlock()
	}
	ctx, stop := context.WithCancelCause(t.Context())
	s.stop = stop
	go func() {
		err := c.Run(ctx)
		to.Close()
		s.done <- err
	}()
	s.expect(t, "ready")
	return s
}

// expect waits for a line of output.
func (s *started) expect(t *testing.T, want string) {
	t.Helper()
	if !s.lines.Scan() || s.lines.Text() != want {
		t.Fatalf("output %q, want %q", s.lines.Text(), want)
	}
}

// wait waits for the end of the run.
func (s *started) wait(t *testing.T) error {
	t.Helper()
	go func() {
		for s.lines.Scan() {
		}
	}()
	select {
	case err := <-s.done:
		return err
	case <-enginetest.Late(t):
		t.Fatal("the run goes on")
		return nil
	}
}

// family leaves processes behind in every way that a shell knows: in the
// background, with a scrubbed environment, in a session of its own, and both.
const family = `
trap 'echo trapped; exit 3' INT TERM HUP
sleep 1$1 &
env -i sleep 2$1 &
setsid sleep 3$1 &
env -i setsid sleep 4$1 &
sh -c 'setsid sleep 5$1 & exec env -i sleep 6$1' sh $1 &
echo ready
while :; do sleep 0.1; done`

// number is one that no other process has in its arguments.
func number() string { return fmt.Sprint(time.Now().UnixNano() % 1e9) }

func TestSignalEndsTheWholeFamily(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, images, func(t *testing.T, e enginetest.Target) {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			token := number()
			s := start(t, sh(e, family, token))
			e.Sleeps(t, token, 6)
			s.signals <- sig
			s.expect(t, "trapped")
			if err := s.wait(t); code(err) != 3 {
				t.Errorf("%v: Run() = %v, want the trap's exit status 3", sig, err)
			}
			nothingLeft(t, e, token)
		}
	})
}

func TestSignalKillsWhereThereIsNoTrap(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2} {
			s := start(t, sh(e, "echo ready; exec sleep 1000"))
			s.signals <- sig
			want := 128 + int(sig)
			switch sig { // these two have other numbers on other systems
			case syscall.SIGUSR1:
				want = 128 + 10
			case syscall.SIGUSR2:
				want = 128 + 12
			}
			if err := s.wait(t); code(err) != want {
				t.Errorf("%v: Run() = %v, want exit status %d", sig, err, want)
			}
		}
	})
}

// deaf ignores what it can.
const deaf = `trap '' INT TERM HUP; sleep 1$1 & echo ready; while :; do sleep 0.1; done`

func TestDeafCommandIsKilledAfterTheGrace(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, images, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		const grace = 1500 * time.Millisecond
		token := number()
		c := sh(e, deaf, token)
		c.StopGrace = grace
		s := start(t, c)
		begin := time.Now()
		s.signals <- syscall.SIGTERM
		if err := s.wait(t); code(err) != 137 {
			t.Errorf("Run() = %v, want exit status 137", err)
		}
		if took := time.Since(begin); took < grace-20*time.Millisecond {
			t.Errorf("killed after %v, before its grace of %v was over", took, grace)
		}
		nothingLeft(t, e, token)
	})
}

func TestSecondInterruptKillsAtOnce(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		token := number()
		c := sh(e, deaf, token)
		c.StopGrace = time.Minute
		s := start(t, c)
		s.signals <- syscall.SIGINT
		s.signals <- syscall.SIGINT
		if err := s.wait(t); code(err) != 137 {
			t.Errorf("Run() = %v, want exit status 137", err)
		}
		nothingLeft(t, e, token)
	})
}

func TestStopSignalIsSentInstead(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		c := sh(e, "trap 'exit 4' USR1; trap 'exit 5' INT; echo ready; while :; do sleep 0.1; done")
		c.StopSignal = syscall.SIGUSR1
		s := start(t, c)
		s.signals <- syscall.SIGINT
		if err := s.wait(t); code(err) != 4 {
			t.Errorf("Run() = %v, want exit status 4", err)
		}
	})
}

func TestEndOfContextEndsTheCommand(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		cause := errors.New("the caller's reason")
		token := number()
		s := start(t, sh(e, family, token))
		e.Sleeps(t, token, 6)
		s.stop(cause)
		s.expect(t, "trapped")
		err := s.wait(t)
		if !errors.Is(err, cause) || code(err) != 3 {
			t.Errorf("Run() = %v, want the context's cause and exit status 3", err)
		}
		nothingLeft(t, e, token)
	})
}

func TestSignalBeforeTheStartStartsNothing(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		signals := make(chan os.Signal, 1)
		signals <- syscall.SIGTERM
		c := sh(e, "exit 0")
		c.Signals = signals
		err := c.Run(t.Context())
		if s, ok := errors.AsType[*execproxy.SignalError](err); !ok || s.Signal != syscall.SIGTERM {
			t.Errorf("Run() = %v, want a SignalError", err)
		}
		settle(t, "execs", 0, func() int { return len(e.ExecIDs(t)) })
	})
}

// ^Z before the start stops this process, and what was to be started is.
func TestSuspendBeforeTheStart(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTSTP
	c := sh(e, "exit 5")
	suspended := 0
	c.Signals, c.Suspend = signals, func() { suspended++ }
	if err := c.Run(t.Context()); code(err) != 5 || suspended != 1 {
		t.Errorf("Run() = %v, suspended %d times; want exit status 5, once", err, suspended)
	}
}

// A signal in the moment in which the command starts must find it.
func TestSignalAtTheStartIsNotLost(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		for i := range 12 {
			token := number()
			c := sh(e, "sleep 1$1", token)
			signals := make(chan os.Signal, 1)
			c.Signals = signals
			time.AfterFunc(time.Duration(i)*8*time.Millisecond, func() { signals <- syscall.SIGTERM })
			err := c.Run(t.Context())
			if _, early := errors.AsType[*execproxy.SignalError](err); !early && code(err) != 143 {
				t.Errorf("signal after %d ms: Run() = %v", 8*i, err)
			}
			nothingLeft(t, e, token)
		}
	})
}

// A command whose process the Engine has still to start is looked for until it is there.
func TestSignalWaitsForASlowStart(t *testing.T) {
	t.Parallel()
	token := number()
	signals := make(chan os.Signal, 1)
	e := enginetest.Fake(t, enginetest.Container{StartDelay: func(command []string) time.Duration {
		if command[len(command)-1] != token {
			return 0
		}
		signals <- syscall.SIGTERM
		return 4 * time.Second // signal.sh gives up after 2
	}})
	c := execproxy.Command(e.Client, e.Container, "sh", "-c", "sleep 1$0", token) // a spare has been started before
	c.Signals = signals
	if err := c.Run(t.Context()); code(err) != 143 {
		t.Errorf("Run() = %v, want exit status 143", err)
	}
	nothingLeft(t, e, token)
}

func TestOtherUsersCommandIsReached(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		token := number()
		c := sh(e, family, token)
		c.User = "1000:1000"
		s := start(t, c)
		e.Sleeps(t, token, 6)
		s.signals <- syscall.SIGINT
		if err := s.wait(t); code(err) != 3 {
			t.Errorf("Run() = %v, want exit status 3", err)
		}
		nothingLeft(t, e, token)
	})
}

// Where the Engine may not give all capabilities away, as in a virtual machine
// that lacks one, docker exec can't either, and says the same.
func TestPrivilegedCommandIsReached(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		token := number()
		c := sh(e, "grep CapEff /proc/self/status")
		var ours bytes.Buffer
		c.Privileged, c.Stdout = true, &ours
		err := c.Run(t.Context())
		if e.Name == "real" {
			theirs, errTheirs := exec.Command("docker", "-H", e.Host, "exec", "--privileged", e.Container, "grep", "CapEff", "/proc/self/status").CombinedOutput()
			refused, ok := errors.AsType[*execproxy.StartError](err)
			if ok && errTheirs != nil && refused.Engine == strings.TrimSpace(string(theirs)) {
				return
			}
			if errTheirs != nil || ours.String() != string(theirs) {
				t.Fatalf("Run() = %v, %q; docker exec: %v, %q", err, ours.String(), errTheirs, theirs)
			}
		}
		c = sh(e, family, token)
		c.Privileged = true
		s := start(t, c)
		e.Sleeps(t, token, 6)
		s.signals <- syscall.SIGINT
		if err := s.wait(t); code(err) != 3 {
			t.Errorf("Run() = %v, want exit status 3", err)
		}
		nothingLeft(t, e, token)
	})
}

// Where the container has no shell the signal is sent from this machine, on which the
// Engine is.
func TestSignalNeedsNoShell(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, []string{"toxrun-test:noshell"}, func(t *testing.T, e enginetest.Target) {
		if err := endsAtOnce(t, command(e, "cat")); code(err) != 130 {
			t.Errorf("Run() = %v, want exit status 130", err)
		}
	})
}

// A command without its token can't be told from others: the user is told.
func TestWithoutShellTheUserIsTold(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, []string{"toxrun-test:noshell"}, func(t *testing.T, e enginetest.Target) {
		err := endsAtOnce(t, command(e, "env", "-i", "cat"))
		s, ok := errors.AsType[*execproxy.SignalError](err)
		if !ok || s.Signal != syscall.SIGINT || !strings.Contains(s.Error(), "no shell") {
			t.Errorf("Run() = %v, want a SignalError about the shell", err)
		}
	})
}

// endsAtOnce runs c, a cat, until it has begun, interrupts it, and returns the end.
func endsAtOnce(t *testing.T, c *execproxy.Cmd) error {
	t.Helper()
	signals := make(chan os.Signal, 1)
	in, end := io.Pipe()
	defer end.Close()
	out, ready := io.Pipe()
	c.Stdin, c.Stdout, c.Signals = in, ready, signals
	done := make(chan error, 1)
	go func() { done <- c.Run(t.Context()) }()
	go fmt.Fprintln(end, "ready")
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err)
	}
	signals <- syscall.SIGINT
	select {
	case err := <-done:
		return err
	case <-enginetest.Late(t):
		t.Fatal("the run goes on")
		return nil
	}
}

// A container in which no other process can start is no hindrance, either: the whole
// family ends.
func TestSignalNeedsNoProcess(t *testing.T) {
	t.Parallel()
	e := enginetest.Real(t, enginetest.DefaultImage)
	for _, room := range []int64{0, 1} { // none for the exec, and for a sh that can start nothing
		token := number()
		s := start(t, sh(e, strings.ReplaceAll(family, "sleep 0.1", "wait"), token))
		sleeps := func() (n int) {
			for _, p := range e.Processes(t, token) {
				if p.Args[0] == "sleep" {
					n++
				}
			}
			return n
		}
		for deadline := enginetest.Deadline(t); sleeps() < 6; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d processes sleep", sleeps())
			}
		}
		top, err := e.Client.ContainerTop(t.Context(), e.Container, nil)
		if err != nil {
			t.Fatal(err)
		}
		e.LimitProcesses(t, int64(len(top.Processes))+room)
		if err := command(e, "sh", "-c", "(:); (:)").Run(t.Context()); err == nil {
			t.Error("there is room for processes")
		}
		s.signals <- syscall.SIGINT
		s.expect(t, "trapped")
		if err := s.wait(t); code(err) != 3 {
			t.Errorf("room for %d: Run() = %v, want exit status 3", room, err)
		}
		e.LimitProcesses(t, -1)
		nothingLeft(t, e, token)
	}
}

// Without grep the environments are read by the shell itself, without awk all the rest is.
func TestSignalNeedsNeitherGrepNorAwk(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		// A function of the name is found first.
		for _, without := range []string{"grep() { return 2; }", "awk() { return 127; }", "grep() { return 2; }\nawk() { return 127; }"} {
			token := number()
			c := sh(e, family, token)
			c.User, c.Token = "0", rand.Text()
			s := start(t, c)
			e.Sleeps(t, token, 6)
			if out, err := signalScript(t, e, without, c.Token, "INT", "100000", "yes"); err != nil || out != "" {
				t.Errorf("%s: signal.sh: %v\n%s", without, err, out)
			}
			s.expect(t, "trapped")
			if err := s.wait(t); code(err) != 3 {
				t.Errorf("%s: Run() = %v, want exit status 3", without, err)
			}
			nothingLeft(t, e, token)
		}
	})
}

// orphans are processes whose parents are gone: one carries the token, one has only the
// session, and one has neither but a parent that has.
const orphans = `
trap 'echo trapped; exit 3' TERM
(setsid sleep 1$1 &)
(env -i sleep 2$1 &)
(env -i sh -c 'env -i setsid sleep 3$1 & wait' sh $1 &)
echo ready
while :; do sleep 0.1; done`

func TestSignalReachesOrphans(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, images, func(t *testing.T, e enginetest.Target) {
		token := number()
		s := start(t, sh(e, orphans, token))
		e.Sleeps(t, token, 3)
		s.signals <- syscall.SIGTERM
		s.expect(t, "trapped")
		if err := s.wait(t); code(err) != 3 {
			t.Errorf("Run() = %v, want exit status 3", err)
		}
		nothingLeft(t, e, token)
	})
}

// A PID that is not the command's, as it may come from another machine, is not taken for
// it, even if it is that of one of the run.
func TestWrongPIDIsNotTheCommand(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		for _, variable := range []string{"$!", "1", "999999999", "none"} {
			token := number()
			c := sh(e, "trap 'echo trapped; exit 3' TERM; sleep 1$1 & echo ready; echo "+variable+"; wait", token)
			c.User, c.Token = "0", rand.Text()
			s := start(t, c)
			s.lines.Scan()
			if out, err := signalScript(t, e, "", c.Token, "TERM", "100000", "yes", "", s.lines.Text()); err != nil || out != "" {
				t.Errorf("%s: signal.sh: %v\n%s", variable, err, out)
			}
			s.expect(t, "trapped")
			if err := s.wait(t); code(err) != 3 {
				t.Errorf("%s: Run() = %v, want exit status 3", variable, err)
			}
			nothingLeft(t, e, token)
		}
	})
}

// signalScript runs signal.sh by itself, behind more, as root, and returns what it says.
func signalScript(t *testing.T, e enginetest.Target, more string, args ...string) (string, error) {
	t.Helper()
	text := more + "\n"
	for _, file := range []string{"carriers.sh", "signal.sh"} {
		part, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text += string(part)
	}
	var output bytes.Buffer
	c := command(e, append([]string{"sh", "-c", text, "signal.sh"}, args...)...)
	c.User, c.Stdout, c.Stderr = "0", &output, &output
	err := c.Run(t.Context())
	return output.String(), err
}

// Another user's process that has a run's variable is no run, and Cancel leaves it alone
// where it has been given a run's own. (In a container as the Engine makes it nobody can
// see it; the fake's processes are those of a machine, where root can.)
func TestCancelLeavesOtherUsersAlone(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		token := number()
		c := execproxy.Command(e.Client, e.Container, "sh", "-c", `su -s /bin/sh nobody -c "sleep 1$0" & sleep 2$0`, token)
		c.User = "0"
		run, err := c.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Reap(t.Context(), run)
		forger := execproxy.Command(e.Client, e.Container, "sh", "-c", `export TOXRUN_RUN=$1; sleep 3$0 & sleep 4$0`, token, run)
		forger.User = "65534"
		theirs, err := forger.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer forger.Reap(t.Context(), theirs)
		e.Sleeps(t, token, 4)
		runs, err := c.Runs(t.Context())
		if err != nil || slices.ContainsFunc(runs, func(r execproxy.RunInfo) bool { return r.Run == theirs }) {
			t.Errorf("another user's is among %+v (%v)", runs, err)
		}
		err = c.Cancel(t.Context(), run)
		others, _ := errors.AsType[*execproxy.OthersError](err)
		if e.Name == "fake" && others == nil || err != nil && others == nil {
			t.Errorf("Cancel() = %v", err)
		}
		alone := 0
		for _, p := range e.Processes(t, token) {
			switch {
			case p.Contains("1" + token), p.Contains("2" + token):
				t.Errorf("left of the run: %q", p.Args)
			case p.Contains("3" + token), p.Contains("4" + token):
				alone++
			}
		}
		if alone != 2 {
			t.Errorf("%d of another user's 2 processes are left", alone)
		}
	})
}
