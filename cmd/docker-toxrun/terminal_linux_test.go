package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// A screen is a terminal with its person: what is typed goes to master, and out
// has what is shown.
type screen struct {
	master, tty *os.File
	out         *transcript
	read        chan struct{} // closed when the terminal is gone
}

// openScreen is a terminal of 40 rows and 120 columns.
func openScreen(t testing.TB) *screen {
	t.Helper()
	blocking, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer blocking.Close()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	master := os.NewFile(uintptr(fd), "terminal") // of which Close ends a Read
	s := &screen{master: master, tty: tty, out: newTranscript(), read: make(chan struct{})}
	s.resize(t, 40, 120)
	go func() {
		io.Copy(s.out, master) // until nobody has the terminal any more: EIO
		close(s.read)
	}()
	t.Cleanup(func() {
		tty.Close()
		master.Close()
		<-s.read
	})
	return s
}

func (s *screen) resize(t testing.TB, rows, columns uint16) {
	t.Helper()
	if err := pty.Setsize(s.tty, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
		t.Fatal(err)
	}
}

// start starts cmd on the terminal, as the leader of its session, like a shell.
func (s *screen) start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	if cmd.Stdin == nil {
		cmd.Stdin = s.tty
	}
	if cmd.Stdout == nil {
		cmd.Stdout = s.tty
	}
	cmd.Stderr = s.tty
	cmd.Env = append([]string{"TERM=xterm-256color"}, cmd.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if cmd.Stdin != io.Reader(s.tty) {
		cmd.SysProcAttr.Ctty = 1
	}
	p := start(t, cmd)
	p.out = s.out
	return p
}

// end takes the terminal away when its processes are gone; out then has it all.
func (s *screen) end() {
	s.tty.Close()
	<-s.read
}

func (s *screen) enter(text string) { io.WriteString(s.master, text) }

// mode is what stty -g shows.
func (s *screen) mode(t testing.TB) unix.Termios {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *mode
}

// restored fails the test unless the terminal's mode is as before.
func (s *screen) restored(t testing.TB, before unix.Termios) {
	t.Helper()
	if now := s.mode(t); now != before {
		t.Errorf("the terminal's mode is\n%+v, before it was\n%+v", now, before)
	}
}

// raw waits until the terminal is in raw mode.
func (s *screen) raw(t testing.TB) {
	t.Helper()
	for deadline := enginetest.Deadline(t); s.mode(t).Lflag&unix.ICANON != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the terminal is not in raw mode")
		}
	}
}

// at is in, for a terminal: with one that waits, where the tests are run with spares.
func at(t testing.TB, e enginetest.Target, args ...string) *exec.Cmd {
	t.Helper()
	cmd := in(t, e, args...)
	if os.Getenv("TOXRUN_TEST_STANDBY") != "" {
		cmd.Env = terminalWaits(t, e)
	}
	return cmd
}

// engines calls test with an Engine from before API 1.42, which knows no size of a
// terminal at the start, with a newer one, and with the real one.
func engines(t *testing.T, test func(t *testing.T, e enginetest.Target)) {
	t.Helper()
	for _, version := range []string{"1.41", "1.51"} {
		t.Run("fake-"+version, func(t *testing.T) {
			e := &enginetest.Engine{APIVersion: version}
			e.Start(t)
			test(t, e.Target(e.Add(enginetest.Container{})))
		})
	}
	t.Run("real", func(t *testing.T) { test(t, enginetest.Real(t, enginetest.DefaultImage)) })
}

func TestTerminalHasItsSizeFromTheFirstByte(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		for range 10 {
			s := openScreen(t)
			p := s.start(t, at(t, e, "docker-toxrun", "exec", "stty", "size"))
			p.exits(t, 0)
			s.out.expect(t, "40 120\r\n")
		}
	})
}

func TestTerminalFollowsAResize(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		s := openScreen(t)
		p := s.start(t, at(t, e, "docker-toxrun", "exec", "sh", "-c",
			`stty size; until [ "$(stty size)" = "50 150" ]; do sleep 0.05; done; echo follows`))
		s.out.expect(t, "40 120\r\n")
		s.resize(t, 50, 150)
		s.out.expect(t, "follows\r\n")
		p.exits(t, 0)
	})
}

// keys is a command that says which n bytes its terminal has brought it.
func keys(n int) []string {
	return []string{"sh", "-c", fmt.Sprintf(`stty raw -echo; echo ready; echo got $(dd bs=1 count=%d 2>/dev/null | od -An -tx1)`, n)}
}

func TestEveryKeyArrivesAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ keys, want string }{
		"^P":            {"\x10", "got 10"},
		"^P^Q detaches": {"\x10\x11x", "got 10 11 78"},
		"^C":            {"\x03", "got 03"},
		"^Z and ^\\":    {"\x1a\x1c", "got 1a 1c"},
		"^S and ^Q":     {"\x13\x11", "got 13 11"},
	} {
		t.Run(strings.TrimSuffix(name, " detaches"), func(t *testing.T) {
			t.Parallel()
			enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				s := openScreen(t)
				p := s.start(t, at(t, e, append([]string{"docker-toxrun", "exec"}, keys(len(test.keys))...)...))
				s.out.expect(t, "ready")
				s.enter(test.keys)
				s.out.expect(t, test.want)
				p.exits(t, 0)
			})
		})
	}
}

// A shell, as a person uses it.
func TestShellOnATerminal(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"docker-toxrun", "shell"}, {"docker", "toxrun", "shell"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			engineFor(args[0])(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				s := openScreen(t)
				before := s.mode(t)
				p := s.start(t, at(t, e, args...))
				s.raw(t)
				s.enter("echo $((6*7)) $TERM\r")
				s.out.expect(t, "42 xterm-256color\r\n")
				token := number()
				s.enter("sleep " + token + "\r")
				there(t, e, token)
				s.enter("\x03") // ends the sleep, not the shell
				gone(t, e, token)
				s.enter("echo $((6*8))\r")
				s.out.expect(t, "48\r\n")
				s.enter("exit 9\r")
				p.exits(t, 9)
				s.restored(t, before)
			})
		})
	}
}

// there waits for a process in the container with token in its arguments.
func there(t testing.TB, e enginetest.Target, token string) {
	t.Helper()
	for deadline := enginetest.Deadline(t); len(e.Processes(t, token)) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no process with %s in the container", token)
		}
	}
}

func TestTerminalIsRestored(t *testing.T) {
	t.Parallel()
	wait := []string{"exec", "sh", "-c", "echo ready; sleep 1000"}
	for name, test := range map[string]struct {
		args   []string
		end    func(enginetest.Target, *process)
		status int
	}{
		"normal end":           {args: []string{"exec", "sh", "-c", "echo ready; exit 3"}, status: 3},
		"missing command":      {args: []string{"exec", "no-such-program"}, status: 127},
		"interrupt":            {args: wait, end: sends(syscall.SIGINT), status: 130},
		"SIGTERM":              {args: wait, end: sends(syscall.SIGTERM), status: 143},
		"SIGHUP":               {args: wait, end: sends(syscall.SIGHUP), status: 129},
		"dead engine":          {args: wait, end: func(e enginetest.Target, _ *process) { e.Engine.Die() }, status: 125},
		"timeout":              {args: append([]string{"--timeout", "4s"}, wait...), status: 124},
		"container is removed": {args: wait, end: func(e enginetest.Target, _ *process) { e.Engine.Remove(e.Container) }, status: failure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each := enginetest.Each
			if test.status != 130 {
				each = fakeOnly
			}
			each(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				s := openScreen(t)
				before := s.mode(t)
				p := s.start(t, at(t, e, append([]string{"docker-toxrun"}, test.args...)...))
				if !slices.Contains(test.args, "no-such-program") {
					s.out.expect(t, "ready\r\n")
				}
				if test.end != nil {
					if s.mode(t) == before {
						t.Error("the terminal is not in raw mode during the run")
					}
					test.end(e, p)
				}
				p.exits(t, test.status)
				s.restored(t, before)
			})
		})
	}
}

// fakeOnly and realOnly are half of [enginetest.Each]: for one of several tests that
// differ in what docker or toxrun does, and not in what the Engine does.
func fakeOnly(t *testing.T, body func(t *testing.T, e enginetest.Target)) {
	t.Helper()
	t.Run("fake", func(t *testing.T) { body(t, enginetest.Fake(t, enginetest.Container{})) })
}

func realOnly(t *testing.T, body func(t *testing.T, e enginetest.Target)) {
	t.Helper()
	t.Run("real", func(t *testing.T) { body(t, enginetest.Real(t, enginetest.DefaultImage)) })
}

// engineFor is realOnly for docker-toxrun alone, and fakeOnly where docker is in front.
func engineFor(program string) func(*testing.T, func(*testing.T, enginetest.Target)) {
	if strings.HasPrefix(program, "docker-toxrun") {
		return realOnly
	}
	return fakeOnly
}

func sends(sig syscall.Signal) func(enginetest.Target, *process) {
	return func(_ enginetest.Target, p *process) { p.Process.Signal(sig) }
}

// A panic leaves a usable terminal too: in the program's main line, and in a
// goroutine of a run.
func TestTerminalIsRestoredAfterAPanic(t *testing.T) {
	t.Parallel()
	fakeOnly(t, func(t *testing.T, e enginetest.Target) {
		for _, in := range []struct {
			function string
			resize   bool // is needed to get there
		}{
			{"execproxy.(*Cmd).Run", false},
			{"ContainerExecResize", true},
		} {
			s := openScreen(t)
			before := s.mode(t)
			cmd := exec.Command("docker-toxrun-panics", "exec", "sh", "-c", "echo ready; sleep 1000")
			cmd.Env = environment(t, e.Host, "TOXRUN_CONTAINER="+e.Container, "PANIC_IN="+in.function)
			p := s.start(t, cmd)
			if in.resize {
				s.out.expect(t, "ready\r\n")
				s.resize(t, 10, 10)
			}
			s.out.expect(t, "panic: a defect in "+in.function)
			p.exits(t, 2)
			s.restored(t, before)
		}
	})
}

// Colours and sizes are for commands whose output goes to a terminal.
func TestEnvironmentOnATerminal(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		variables := func(more []string, args ...string) []string {
			s := openScreen(t)
			cmd := at(t, e, append([]string{"docker-toxrun"}, args...)...)
			cmd.Env = append(cmd.Env, more...)
			p := s.start(t, cmd)
			p.exits(t, 0)
			s.end()
			var list []string
			for line := range strings.Lines(s.out.String()) {
				name, _, _ := strings.Cut(line, "=")
				switch name {
				case "COLUMNS", "LINES", "TERM", "FORCE_COLOR", "PY_COLORS", "CLICOLOR_FORCE", "NO_COLOR", "PYTHONUNBUFFERED":
					list = append(list, strings.TrimSpace(line))
				}
			}
			slices.Sort(list)
			return list
		}
		for _, test := range []struct {
			what, args string
			more       []string
			want       string
		}{
			{"streams on a terminal", "-T exec env", nil, "CLICOLOR_FORCE=1 COLUMNS=120 FORCE_COLOR=1 LINES=40 PYTHONUNBUFFERED=1 PY_COLORS=1 TERM=xterm-256color"},
			{"NO_COLOR", "-T exec env", []string{"NO_COLOR=1"}, "COLUMNS=120 LINES=40 NO_COLOR=1 PYTHONUNBUFFERED=1 TERM=xterm-256color"},
			{"an option of the user's", "-T --env FORCE_COLOR=0 exec env", nil, "CLICOLOR_FORCE=1 COLUMNS=120 FORCE_COLOR=0 LINES=40 PYTHONUNBUFFERED=1 PY_COLORS=1 TERM=xterm-256color"},
			{"a terminal of its own", "exec env", nil, "PYTHONUNBUFFERED=1 TERM=xterm-256color"},
			{"a terminal few images know", "exec env", []string{"TERM=strange"}, "PYTHONUNBUFFERED=1 TERM=xterm"},
		} {
			if got := strings.Join(variables(test.more, strings.Fields(test.args)...), " "); got != test.want {
				t.Errorf("%s: %s, want %s", test.what, got, test.want)
			}
		}
	})
}

// A command gets a terminal where there is one on both sides, and none complains
// where there is not.
func TestTerminalOnOneSideIsNone(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		for name, test := range map[string]struct {
			args    []string
			in, out bool // whether it is the terminal
			status  int  // of tty(1)
		}{
			"both":           {[]string{"exec", "tty"}, true, true, 0},
			"stdin":          {[]string{"exec", "tty"}, true, false, 1},
			"stdout":         {[]string{"exec", "tty"}, false, true, 1},
			"--no-stdin":     {[]string{"-n", "exec", "tty"}, true, true, 1},
			"--no-tty":       {[]string{"-T", "exec", "tty"}, true, true, 1},
			"--tty, stdin":   {[]string{"-t", "exec", "tty"}, true, false, 0},
			"--tty, stdout":  {[]string{"-t", "exec", "tty"}, false, true, 0},
			"--tty, neither": {[]string{"-t", "exec", "tty"}, false, false, 0},
		} {
			s := openScreen(t)
			before := s.mode(t)
			cmd := at(t, e, append([]string{"docker-toxrun"}, test.args...)...)
			out := newTranscript()
			cmd.Stdout = out
			if test.in {
				cmd.Stdin = s.tty
			}
			if test.out {
				cmd.Stdout = s.tty
			}
			p := start(t, cmd)
			p.exits(t, test.status)
			if said := p.err.String(); said != "" {
				t.Errorf("%s: stderr %q", name, said)
			}
			s.restored(t, before)
		}
	})
}

// stderr's being a terminal is not enough.
func TestNoColoursIntoAPipe(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		s := openScreen(t)
		out := newTranscript()
		cmd := at(t, e, "docker-toxrun", "exec", "env")
		cmd.Stdout = out
		cmd.SysProcAttr = nil
		cmd.Stdin = s.tty
		cmd.Stderr = s.tty
		p := start(t, cmd)
		p.exits(t, 0)
		if got := out.String(); strings.Contains(got, "COLOR") || strings.Contains(got, "COLUMNS") {
			t.Errorf("the environment has\n%s", got)
		}
	})
}

// ^C reaches a command that has no terminal of its own as a signal, with all that
// follows from one. On a terminal of its own ^C is a key, and the terminal there
// interrupts whom a terminal here would have: not what has a session of its own.
func TestInterruptFromTheTerminal(t *testing.T) {
	t.Parallel()
	const session = `trap 'sleep 0.3; echo trapped; exit 3' INT; sleep 1$1 & env -i sleep 2$1 & echo ready; while :; do sleep 0.1; done`
	for name, test := range map[string]struct {
		args   []string
		script string
	}{
		"docker-toxrun":    {[]string{"docker-toxrun", "-T"}, family},
		"docker":           {[]string{"docker", "toxrun", "-T"}, family},
		"docker-toxrun -t": {[]string{"docker-toxrun", "-t"}, session},
		"docker -t":        {[]string{"docker", "toxrun", "-t"}, session},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engineFor(name)(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				token := number()
				s := openScreen(t)
				before := s.mode(t)
				p := s.start(t, at(t, e, append(test.args, "exec", "sh", "-c", test.script, "sh", token)...))
				s.out.expect(t, "ready")
				if test.script == family {
					e.Sleeps(t, token, 5)
				}
				s.enter("\x03")
				s.out.expect(t, "trapped")
				p.exits(t, 3)
				gone(t, e, token)
				s.restored(t, before)
			})
		})
	}
}

// TERM to docker alone is lost where its stdout is a terminal: docker leaves its
// plugins to the signals of the terminal then. To the whole group, it works.
func TestTermToTheForegroundGroup(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"docker-toxrun":    {"docker-toxrun", "-T"},
		"docker":           {"docker", "toxrun", "-T"},
		"docker-toxrun -t": {"docker-toxrun", "-t"},
		"docker -t":        {"docker", "toxrun", "-t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engineFor(name)(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				token := number()
				s := openScreen(t)
				before := s.mode(t)
				p := s.start(t, at(t, e, append(args, "exec", "sh", "-c", family, "sh", token)...))
				s.out.expect(t, "ready")
				e.Sleeps(t, token, 5)
				syscall.Kill(-p.Process.Pid, syscall.SIGTERM)
				s.out.expect(t, "trapped")
				p.exits(t, 3)
				gone(t, e, token)
				s.restored(t, before)
			})
		})
	}
}

// A terminal whose window is closed hangs up: the trap runs, nothing is left.
func TestClosedWindow(t *testing.T) {
	t.Parallel()
	const trap = `trap 'echo >/tmp/hungup$1; exit 3' HUP TERM; sleep 1$1 & echo ready; while :; do sleep 0.1; done`
	for name, args := range map[string][]string{
		"docker-toxrun":    {"docker-toxrun", "-T"},
		"docker":           {"docker", "toxrun", "-T"},
		"docker-toxrun -t": {"docker-toxrun", "-t"},
		"docker -t":        {"docker", "toxrun", "-t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engineFor(name)(t, func(t *testing.T, e enginetest.Target) {
				t.Parallel()
				token := number()
				s := openScreen(t)
				s.start(t, at(t, e, append(args, "exec", "sh", "-c", trap, "sh", token)...))
				s.out.expect(t, "ready")
				s.tty.Close()
				s.master.Close()
				gone(t, e, token)
				e.Exec(t, "rm", "/tmp/hungup"+token)
			})
		})
	}
}
