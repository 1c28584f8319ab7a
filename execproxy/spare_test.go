//go:build unix

package execproxy_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// withSpares makes every test of this package run its commands in spares, where
// they can be: make test runs the tests both ways.
var withSpares = os.Getenv("TOXRUN_TEST_STANDBY") != ""

// spare gives c a spare that fits it.
func spare(t testing.TB, c *execproxy.Cmd) *execproxy.Cmd {
	t.Helper()
	s, err := c.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c.Spare = s
	return c
}

func TestSpareBecomesTheCommand(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, images, func(t *testing.T, e enginetest.Target) {
		arg := "quote ' \" \\ $HOME `id` \n newline\r\n\n\ttab \x01\x7f é end\n"
		run := func(prepare bool) (string, string) {
			var stdout, stderr bytes.Buffer
			c := sh(e, `printf '<%s>' "$0" "$@"; echo; pwd; env | sort; cat; echo e >&2; exit 9`, arg, "", "*")
			c.Dir = "/tmp"
			c.Env = []string{"A=" + arg, "EMPTY=", "PWD=/mine"}
			c.Stdin, c.Stdout, c.Stderr = strings.NewReader("in\n"), &stdout, &stderr
			if prepare {
				other := *c
				other.Dir = ""
				s, err := other.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				c.Spare = s
				begun := e.ExecIDs(t)
				defer func() {
					if !slices.Contains(begun, s.Exec) {
						t.Errorf("spare %s is not among the execs %v", s.Exec, begun)
					}
				}()
			}
			if err := c.Run(t.Context()); code(err) != 9 {
				t.Errorf("Run() = %v, want exit status 9", err)
			}
			return withoutToken(stdout.String()), stderr.String()
		}
		plainOut, plainErr := run(false)
		spareOut, spareErr := run(true)
		if plainOut != spareOut || plainErr != spareErr {
			t.Errorf("with a spare:\n%q\n%q\nwithout:\n%q\n%q", spareOut, spareErr, plainOut, plainErr)
		}
	})
}

func withoutToken(env string) string {
	lines := strings.Split(env, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "TOXRUN_RUN=") }), "\n")
}

// A spare is used: no other exec is created.
func TestSpareNeedsNoOtherExec(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	c := spare(t, sh(e, "exit 4"))
	e.Engine.ResetRequests()
	if err := c.Run(t.Context()); code(err) != 4 {
		t.Errorf("Run() = %v", err)
	}
	for _, request := range e.Engine.Requests() {
		if strings.HasPrefix(request, "POST") {
			t.Errorf("request %s", request)
		}
	}
}

// Whatever has become of a spare, the command runs, and runs once.
func TestSpareThatFailsIsNoLoss(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		for name, fail := range map[string]func(*execproxy.Cmd){
			"closed": func(c *execproxy.Cmd) { c.Spare.Close() },
			"killed": func(c *execproxy.Cmd) {
				for _, p := range e.Processes(t, c.Spare.Token) {
					syscall.Kill(p.PID, syscall.SIGKILL)
				}
			},
			"other container": func(c *execproxy.Cmd) { c.Spare.Container = "other" },
			"other user":      func(c *execproxy.Cmd) { c.Spare.User = "1000" },
			"odd variable":    func(c *execproxy.Cmd) { c.Env = []string{"a.b=c"} },
			"no home":         func(c *execproxy.Cmd) { c.Env = []string{"HOME"} },
			"long":            func(c *execproxy.Cmd) { c.Args = append(c.Args, strings.Repeat("x\n", 60_000)) },
		} {
			var stdout bytes.Buffer
			c := spare(t, sh(e, "cat; exit 3"))
			c.Stdin, c.Stdout = strings.NewReader("in"), &stdout
			fail(c)
			if err := c.Run(t.Context()); code(err) != 3 || stdout.String() != "in" {
				t.Errorf("%s: Run() = %v, output %q", name, err, &stdout)
			}
		}
	})
}

func TestSpareGivesTheUsualErrors(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		for _, args := range [][]string{{"no-such-program"}, {"/etc"}, {"cd", "/"}} {
			plain := command(e, args...).Run(t.Context())
			woken := spare(t, command(e, args...)).Run(t.Context())
			if plain == nil || woken == nil || plain.Error() != woken.Error() {
				t.Errorf("%q: %v, without a spare %v", args, woken, plain)
			}
		}
	})
}

// What the shell of a spare says before the command is no word of it.
func TestSpareThatCannotGoThereIsNoLoss(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, images, func(t *testing.T, e enginetest.Target) {
		run := func(prepare bool) string {
			c := execproxy.Command(e.Client, e.Container, "true")
			if prepare {
				spare(t, c)
			}
			c.Dir = "/no/such/dir"
			var stdout, stderr bytes.Buffer
			c.Stdout, c.Stderr = &stdout, &stderr
			return fmt.Sprintf("%v, %q, %q", c.Run(t.Context()), &stdout, &stderr)
		}
		if plain, woken := run(false), run(true); plain != woken {
			t.Errorf("with a spare %s, without %s", woken, plain)
		}
	})
}

func TestSpareEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		c := spare(t, sh(e, "exit 0"))
		if len(e.Processes(t, c.Spare.Token)) != 1 {
			t.Fatal("there is no process that waits")
		}
		c.Spare.Close()
		for deadline := enginetest.Deadline(t); len(e.Processes(t, c.Spare.Token)) > 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the process that waits is left")
			}
		}
	})
}

// The directory is the one of that name now, not the one that the spare was started
// in.
func TestSpareRunsInADirectoryMadeAnew(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, images, func(t *testing.T, e enginetest.Target) {
		dir := "/tmp/toxrun-" + number()
		e.Exec(t, "mkdir", dir)
		c := sh(e, "cat file; pwd")
		c.Dir = dir
		spare(t, c)
		e.Exec(t, "sh", "-c", "rm -r $0 && mkdir $0 && echo new >$0/file", dir)
		var stdout bytes.Buffer
		c.Stdout = &stdout
		if err := c.Run(t.Context()); err != nil || stdout.String() != "new\n"+dir+"\n" {
			t.Errorf("Run() = %v, output %q", err, &stdout)
		}
		if !c.Spare.Woken {
			t.Error("the spare was not used")
		}
		e.Exec(t, "rm", "-r", dir)
	})
}

// Without stdin a command has the same one either way, and a variable without a value
// is none.
func TestSpareHasTheSameSurroundings(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, images, func(t *testing.T, e enginetest.Target) {
		run := func(prepare bool) string {
			var stdout bytes.Buffer
			c := sh(e, `readlink /proc/self/fd/0; echo "${PATH+path} ${NOSUCH+nosuch} ${HOSTNAME+host} ${SHELL+shell}"`)
			c.Env = []string{"NOSUCH", "HOSTNAME"}
			if prepare {
				spare(t, c)
			} else if c.Spare != nil { // of the way in which all tests are run
				c.Spare.Close()
				c.Spare = nil
			}
			c.Stdout = &stdout
			if err := c.Run(t.Context()); err != nil || prepare != (c.Spare != nil && c.Spare.Woken) {
				t.Errorf("Run() = %v, with a spare: %v", err, prepare)
			}
			return stdout.String()
		}
		if plain, woken := run(false), run(true); plain != woken {
			t.Errorf("with a spare %q, without %q", woken, plain)
		}
	})
}

// A spare that does not fit is no part of the run: a signal finds the command alone.
func TestSpareThatDoesNotFitEnds(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		c := sh(e, `trap 'sleep 1; exit 9' INT; echo ready; while :; do sleep 0.1; done`)
		spare(t, c)
		c.Token = c.Spare.Token
		c.Env = []string{"UID=5"}
		s := start(t, c)
		s.signals <- os.Interrupt
		if err := s.wait(t); code(err) != 9 {
			t.Errorf("Run() = %v, want the trap's status 9", err)
		}
	})
}
