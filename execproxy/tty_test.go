//go:build unix

package execproxy_test

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// eachTerminal calls body for each engine, a fake of a newer one among them, with a command
// that is started and with one that a spare becomes. at gives that a terminal.
func eachTerminal(t *testing.T, body func(t *testing.T, e enginetest.Target, at func(*execproxy.Cmd) *execproxy.Cmd)) {
	both := func(t *testing.T, e enginetest.Target) {
		plain := func(c *execproxy.Cmd) *execproxy.Cmd {
			c.TTY, c.Size = true, size
			return c
		}
		t.Run("plain", func(t *testing.T) { body(t, e, plain) })
		t.Run("spare", func(t *testing.T) {
			body(t, e, func(c *execproxy.Cmd) *execproxy.Cmd {
				spare, err := plain(c).Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				c.Spare = spare
				t.Cleanup(func() {
					if !spare.Woken {
						t.Error("the spare was not woken")
					}
				})
				return c
			})
		})
	}
	eachVersion(t, both)
}

// eachVersion is Each, with a fake of a newer Engine as well.
func eachVersion(t *testing.T, body func(*testing.T, enginetest.Target)) {
	enginetest.Each(t, body)
	t.Run("fake-1.51", func(t *testing.T) {
		e := &enginetest.Engine{APIVersion: "1.51"}
		e.Start(t)
		body(t, e.Target(e.Add(enginetest.Container{})))
	})
}

// bare is command without a spare.
func bare(e enginetest.Target, args ...string) *execproxy.Cmd {
	return execproxy.Command(e.Client, e.Container, args...)
}

var size = execproxy.Size{Rows: 40, Columns: 120}

func TestTerminalHasItsSizeFromTheFirstByte(t *testing.T) {
	t.Parallel()
	eachTerminal(t, func(t *testing.T, e enginetest.Target, at func(*execproxy.Cmd) *execproxy.Cmd) {
		var wait sync.WaitGroup
		for range 5 {
			wait.Go(func() {
				for range 10 {
					var stdout bytes.Buffer
					c := at(bare(e, "stty", "size"))
					c.Stdout = &stdout
					if err := c.Run(t.Context()); err != nil || stdout.String() != "40 120\r\n" {
						t.Errorf("stty size: %q, %v", &stdout, err)
					}
				}
			})
		}
		wait.Wait()
	})
}

func TestTerminalFollowsAResize(t *testing.T) {
	t.Parallel()
	eachTerminal(t, func(t *testing.T, e enginetest.Target, at func(*execproxy.Cmd) *execproxy.Cmd) {
		resize := make(chan execproxy.Size)
		c := at(bare(e, "sh", "-c", `trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done`))
		c.Resize = resize
		s := start(t, c)
		resize <- execproxy.Size{Rows: 30, Columns: 100}
		s.expect(t, "30 100")
		if err := s.wait(t); err != nil {
			t.Error(err)
		}
	})
}

// ^P, the first of docker's detach keys, arrives at once, and ^P^Q detaches
// nothing.
func TestTerminalPassesEveryKeyOn(t *testing.T) {
	t.Parallel()
	eachTerminal(t, func(t *testing.T, e enginetest.Target, at func(*execproxy.Cmd) *execproxy.Cmd) {
		keys, press := io.Pipe()
		defer press.Close()
		c := at(bare(e, "sh", "-c", `stty raw -echo; echo ready; for i in 1 2 3; do head -c 1 | od -An -tx1; done`))
		c.Stdin = keys
		s := start(t, c)
		for _, key := range []string{"\x10", "\x10", "\x11"} {
			press.Write([]byte(key))
			// The next key is not pressed before this one is there.
			if !s.lines.Scan() || !strings.Contains(s.lines.Text(), map[string]string{"\x10": "10", "\x11": "11"}[key]) {
				t.Fatalf("key %q came as %q", key, s.lines.Text())
			}
		}
		if err := s.wait(t); err != nil {
			t.Error(err)
		}
	})
}

func TestTerminalReachesTheEndOfStdin(t *testing.T) {
	t.Parallel()
	eachTerminal(t, func(t *testing.T, e enginetest.Target, at func(*execproxy.Cmd) *execproxy.Cmd) {
		for _, input := range []string{"", "line\n", "half a line"} {
			var stdout bytes.Buffer
			c := at(bare(e, "sh", "-c", "stty -echo; cat"))
			c.Stdin, c.Stdout = strings.NewReader(input), &stdout
			done := make(chan error, 1)
			go func() { done <- c.Run(t.Context()) }()
			select {
			case err := <-done:
				if got := strings.ReplaceAll(stdout.String(), "\r\n", "\n"); err != nil || !strings.Contains(got, input) {
					t.Errorf("input %q: output %q, %v", input, got, err)
				}
			case <-enginetest.Late(t):
				t.Fatalf("input %q: the run goes on", input)
			}
		}
	})
}

func TestTerminalNeedsNoShell(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, []string{"toxrun-test:noshell"}, func(t *testing.T, e enginetest.Target) {
		var stdout bytes.Buffer
		c := command(e, "cat")
		c.TTY, c.Size, c.Stdin, c.Stdout = true, size, strings.NewReader("line\n"), &stdout
		if err := c.Run(t.Context()); err != nil || !strings.Contains(stdout.String(), "line") {
			t.Errorf("output %q, %v", &stdout, err)
		}
		c = command(e, "no-such-program")
		c.TTY, c.Size = true, size
		if start, ok := errors.AsType[*execproxy.StartError](c.Run(t.Context())); !ok || start.Code != 127 {
			t.Errorf("no-such-program: %v", start)
		}
	})
}

// A terminal that has waited is like a fresh one, and what it is told may be longer than a
// line at a terminal.
func TestTerminalThatHasWaitedIsLikeAFreshOne(t *testing.T) {
	t.Parallel()
	const script = `stty -a; tty; ps -o pid= -o pgid= -o sid= -o tpgid= -p $$ 2>/dev/null | awk '{print $1==$2, $2==$3, $3==$4}'
env | grep -v TOXRUN_RUN | sort; ulimit -a; echo ${#1}; echo err >&2; exit 7`
	enginetest.EachImage(t, images, func(t *testing.T, e enginetest.Target) {
		long := strings.Repeat("a bc", 7_500)
		run := func(c *execproxy.Cmd) string {
			t.Helper()
			var stdout bytes.Buffer
			c.TTY, c.Size, c.Stdout = true, size, &stdout
			c.Env = []string{"TERM=vt220", "A=b c"}
			if err := c.Run(t.Context()); code(err) != 7 {
				t.Errorf("Run() = %v, %q", err, &stdout)
			}
			return terminalName.ReplaceAllString(stdout.String(), "/dev/pts/N")
		}
		for _, arg := range []string{"x", long} {
			fresh := run(bare(e, "sh", "-c", script, "sh", arg))
			c := bare(e, "sh", "-c", script, "sh", arg)
			c.TTY = true
			spare, err := c.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.Spare = spare
			if waited := run(c); waited != fresh || !spare.Woken {
				t.Errorf("woken: %v; has waited:\n%s\nfresh:\n%s", spare.Woken, waited, fresh)
			}
		}
	})
}

var terminalName = regexp.MustCompile(`/dev/(pts/|tty|console)[0-9]*`)

// What is typed before the command is there is the command's.
func TestTypedAhead(t *testing.T) {
	t.Parallel()
	eachTerminal(t, func(t *testing.T, e enginetest.Target, at func(*execproxy.Cmd) *execproxy.Cmd) {
		for range 10 {
			var stdout bytes.Buffer
			c := at(bare(e, "sh", "-c", `read -r line; echo "got $line"`))
			c.Stdin, c.Stdout = strings.NewReader("typed\r"), &stdout
			if err := c.Run(t.Context()); err != nil || stdout.String() != "typed\r\ngot typed\r\n" {
				t.Errorf("%q, %v", &stdout, err)
			}
		}
	})
}

// A spare with a terminal ends with Close at once, and with its connection within 25
// seconds: nothing else would tell it.
func TestTerminalSpareEnds(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		for name, end := range map[string]func(*execproxy.Spare) error{
			"Close":                 (*execproxy.Spare).Close,
			"the connection's":      func(s *execproxy.Spare) error { s.Release(); return s.Conn.Close() },
			"a silent holder's":     func(s *execproxy.Spare) error { s.Release(); return nil },
			"another kind of run's": func(s *execproxy.Spare) error { return plainly(t, e, s) },
			"a missing program's":   func(s *execproxy.Spare) error { return plainly(t, e, s, "no-such-program") },
		} {
			c := bare(e, "true")
			c.TTY = true
			spare, err := c.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer spare.Close()
			if err := end(spare); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		settle(t, "spares", 0, func() int { return len(e.Processes(t, "_toxrun_c")) })
	})
}

// plainly runs a command that the spare can't become.
func plainly(t *testing.T, e enginetest.Target, spare *execproxy.Spare, args ...string) error {
	c := bare(e, append(args, "true")...)
	c.TTY, c.Spare = len(args) > 0, spare
	err := c.Run(t.Context())
	if start, ok := errors.AsType[*execproxy.StartError](err); ok && start.Code == 127 && len(args) > 0 {
		err = nil
	}
	return err
}
