package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// openShell is a person's shell, with job control, on a terminal.
func openShell(t testing.TB, e enginetest.Target) *screen {
	t.Helper()
	s := openScreen(t)
	cmd := exec.Command(needProgram(t, "bash"), "--norc", "--noprofile", "--noediting", "-i")
	cmd.Env = environment(t, e.Host, "TOXRUN_CONTAINER="+e.Container, "PS1=$ ")
	s.start(t, cmd)
	s.out.expect(t, "$ ")
	return s
}

// says types a command of which the typed text does not have the answer, and waits for
// that and for the shell's next prompt.
func (s *screen) says(t testing.TB, command, answer string) {
	t.Helper()
	s.enter(command + "\n")
	s.out.expect(t, answer)
	s.out.expect(t, "$ ")
}

func TestBackgroundJobLeavesTheTerminalAlone(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]string{"direct": "docker-toxrun", "docker": "docker toxrun"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engineFor(program)(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				s := openShell(t, e)
				before := s.mode(t)
				token := number()
				// It reads stdin as soon as it may, and writes.
				s.enter(program + ` exec sh -c 'trap "exit 7" TERM; cat & while :; do echo >/dev/null; sleep 0.1; done' ` + token + " &\n")
				there(t, e, token)
				s.says(t, "echo $((6*7))", "42") // is the shell's input
				s.says(t, "jobs", "[1]+  Running")
				s.enter("kill %1; wait %1; echo status $?\n")
				s.out.expect(t, "status 7")
				gone(t, e, token)
				s.restored(t, before)
			})
		})
	}
}

// In the foreground again, a job reads the terminal.
func TestForegroundJobReads(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		s := openShell(t, e)
		token := number()
		s.enter(`docker-toxrun exec sh -c 'read line; echo "read $line"; exit 7' ` + token + " &\n")
		there(t, e, token)
		s.says(t, "echo $((6*7))", "42")
		s.enter("fg\n")
		s.out.expect(t, "fg\r\n")
		s.out.expect(t, "docker-toxrun exec") // the shell says what goes on
		s.enter("this\n")
		s.out.expect(t, "read this")
		s.out.expect(t, "$ ")
		s.says(t, "echo status $?", "status 7")
	})
}

func TestSuspendAndForeground(t *testing.T) {
	t.Parallel()
	const ticks = `sh -c 'trap "exit 7" INT; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done' `
	for name, program := range map[string]string{"direct": "docker-toxrun -T", "docker": "docker toxrun -T"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engineFor(program)(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				s := openShell(t, e)
				token := number()
				s.enter(program + " exec " + ticks + token + "\n")
				s.out.expect(t, "tick 3\r\n")
				s.enter("\x1a")
				s.out.expect(t, "Stopped")
				s.says(t, "echo $((6*7))", "42") // docker stops before its plugin does
				stopped(t, e, token)

				s.enter("fg\n")
				s.out.expect(t, "fg\r\n")
				s.out.expect(t, "\ntick ")
				s.enter("\x03")
				s.out.expect(t, "$ ")
				s.says(t, "echo status $?", "status 7")
				gone(t, e, token)
			})
		})
	}
}

// docker stops at once, its plugin only when the command has: who is quick with fg
// finds a job that goes on.
func TestForegroundBeforeTheCommandIsStopped(t *testing.T) {
	t.Parallel()
	fakeOnly(t, func(t *testing.T, e enginetest.Target) {
		needProgram(t, "docker")
		s := openShell(t, e)
		shell := s.foreground(t)
		s.enter(`docker toxrun -T exec sh -c 'trap "exit 7" INT; while :; do echo tick; sleep 0.1; done'` + "\n")
		s.out.expect(t, "\ntick\r\n")
		asked, hold := newTranscript(), make(chan struct{})
		release := sync.OnceFunc(func() { close(hold) })
		t.Cleanup(release)
		e.Engine.Fault(slow(asked, hold))
		s.enter("\x1a")
		s.out.expect(t, "Stopped")
		asked.expect(t, "asked")
		s.enter("fg\n")
		for deadline := enginetest.Deadline(t); s.foreground(t) == shell; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the job is not in the foreground")
			}
		}
		release()
		s.out.expect(t, "fg\r\n")
		for range 10 { // more than were on their way
			s.out.expect(t, "\ntick\r")
		}
		s.enter("\x03")
		s.out.expect(t, "$ ")
		s.says(t, "echo status $?", "status 7")
	})
}

// foreground is the process group that has the terminal.
func (s *screen) foreground(t testing.TB) int {
	t.Helper()
	conn, err := s.master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var group int
	conn.Control(func(fd uintptr) { group, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP) })
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// stopped waits until all processes of a command are stopped.
func stopped(t testing.TB, e enginetest.Target, token string) {
	t.Helper()
	running := func() (list []string) {
		for _, p := range e.Processes(t, token) {
			stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/stat")
			_, state, _ := strings.Cut(string(stat), ") ")
			if children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.PID)); strings.HasPrefix(state, "D") && len(children) > 0 {
				continue // in vfork, until its child, stopped as well, is another program
			}
			if err != nil || !strings.HasPrefix(state, "T") {
				list = append(list, fmt.Sprintf("%q: %s", p.Args, stat))
			}
		}
		return list
	}
	for deadline := enginetest.Deadline(t); len(running()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not stopped: %q", running())
		}
	}
}

// sized waits until the terminal of a command has a size.
func sized(t testing.TB, e enginetest.Target, token, size string) {
	t.Helper()
	for deadline := enginetest.Deadline(t); ; time.Sleep(10 * time.Millisecond) {
		var got string
		for _, p := range e.Processes(t, token) {
			stty := exec.Command("stty", "size", "-F", "/proc/"+strconv.Itoa(p.PID)+"/fd/0")
			out, _ := stty.Output()
			got += string(out)
		}
		if strings.Contains(got, size) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the command's terminal has %q, want %s", got, size)
		}
	}
}

// A suspended command with a terminal of its own: only a signal does that, since
// ^Z is the command's key. The shell has a usable terminal meanwhile, the command
// its raw one afterwards.
func TestSuspendWithATerminal(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		s := openShell(t, e)
		token := number()
		s.enter(`docker-toxrun exec sh -c 'echo $((6*7)); read key; echo "key $key, $(stty size)"; exit 7' ` + token + "\n")
		s.out.expect(t, "42\r\n")
		s.raw(t)
		syscall.Kill(pidOf(t, "docker-toxrun", token), syscall.SIGTSTP)
		s.out.expect(t, "Stopped")
		s.says(t, "echo $((6*8))", "48")
		s.resize(t, 50, 150)
		s.enter("fg\n")
		s.raw(t)
		sized(t, e, token, "50 150")
		s.enter("this\r")
		s.out.expect(t, "key this, 50 150")
		s.out.expect(t, "$ ")
		s.says(t, "echo status $?", "status 7")
	})
}
