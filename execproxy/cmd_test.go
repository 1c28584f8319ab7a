//go:build unix

package execproxy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// sh is a Cmd for a script in the container of e.
func sh(e enginetest.Target, script string, args ...string) *execproxy.Cmd {
	return command(e, append([]string{"sh", "-c", script, "sh"}, args...)...)
}

// command is execproxy.Command for the container of e. With the tests' switch for
// spares on, it has one.
func command(e enginetest.Target, args ...string) *execproxy.Cmd {
	c := execproxy.Command(e.Client, e.Container, args...)
	if withSpares {
		c.Spare, _ = c.Prepare(context.Background()) // where there is no shell, none
	}
	return c
}

// code is what a shell would have as $? after Run returned err.
func code(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*execproxy.ExitError](err); ok {
		return exit.Code
	}
	return -1
}

func TestExitStatusComesBack(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		for _, want := range []int{0, 1, 2, 42, 124, 125, 126, 127, 130, 137, 255} {
			if err := sh(e, "exit $1", fmt.Sprint(want)).Run(t.Context()); code(err) != want {
				t.Errorf("exit %d: Run() = %v", want, err)
			}
		}
		for number, name := range map[int]string{1: "HUP", 2: "INT", 9: "KILL", 13: "PIPE", 15: "TERM"} {
			if err := sh(e, "kill -$1 $$; sleep 60", name).Run(t.Context()); code(err) != 128+number {
				t.Errorf("killed by SIG%s: Run() = %v, want exit status %d", name, err, 128+number)
			}
		}
	})
}

func TestExitStatusIsNeverGuessed(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		const runs, parallel = 300, 6
		var wrong []error
		var mu sync.Mutex
		var wait sync.WaitGroup
		for range parallel {
			wait.Go(func() {
				for range runs / parallel {
					if err := sh(e, "exit 7").Run(t.Context()); code(err) != 7 {
						mu.Lock()
						wrong = append(wrong, err)
						mu.Unlock()
					}
				}
			})
		}
		wait.Wait()
		if len(wrong) > 0 {
			t.Errorf("%d of %d runs did not give 7, the first: %v", len(wrong), runs, wrong[0])
		}
	})
}

func TestEndIsSeenWhenOutputIsClosed(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		in, end := io.Pipe()
		defer end.Close()
		c := sh(e, "read line; exec >&- 2>&-; sleep 1; exit 9")
		c.Stdin = in
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		fmt.Fprintln(end, "go on") // blocks until the command is there to read
		if err := <-done; code(err) != 9 {
			t.Errorf("Run() = %v, want exit status 9", err)
		}
	})
}

func TestStreamsStayApart(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		var stdout, stderr bytes.Buffer
		c := sh(e, "echo o; echo e >&2")
		c.Stdout, c.Stderr = &stdout, &stderr
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if stdout.String() != "o\n" || stderr.String() != "e\n" {
			t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
		}
	})
}

func TestOneReceiverKeepsTheOrder(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		var both bytes.Buffer
		c := sh(e, "for i in 1 2 3 4 5 6 7 8; do echo o$i; sleep 0.02; echo e$i >&2; sleep 0.02; done")
		c.Stdout, c.Stderr = &both, &both
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := both.String(), "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\no6\ne6\no7\ne7\no8\ne8\n"; got != want {
			t.Errorf("output %q, want %q", got, want)
		}
	})
}

func TestOutputIsLive(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		fromTest, stdin := io.Pipe()
		defer stdin.Close()
		stdout, toTest := io.Pipe()
		c := sh(e, "printf 'name? '; read name; echo hello $name")
		c.Stdin, c.Stdout = fromTest, toTest
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()); toTest.Close() }()
		question := make([]byte, len("name? "))
		if _, err := io.ReadFull(stdout, question); err != nil || string(question) != "name? " {
			t.Fatalf("question %q, %v", question, err)
		}
		fmt.Fprintln(stdin, "world")
		if answer, err := io.ReadAll(stdout); err != nil || string(answer) != "hello world\n" {
			t.Errorf("answer %q, %v", answer, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// noise is an endless stream of random bytes.
type noise struct{ source *rand.ChaCha8 }

func newNoise(seed byte) io.Reader { return noise{rand.NewChaCha8([32]byte{seed})} }

func (n noise) Read(p []byte) (int, error) { return n.source.Read(p) }

func sum(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

func TestBigStreamsArriveWhole(t *testing.T) {
	const size = 100 << 20
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Run("both ways at once", func(t *testing.T) {
			sent, got := sha256.New(), sha256.New()
			c := command(e, "cat")
			c.Stdin = io.TeeReader(io.LimitReader(newNoise(1), size), sent)
			c.Stdout = got
			if err := c.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if sum(got) != sum(sent) {
				t.Error("what came back is not what was sent")
			}
		})
		t.Run("in", func(t *testing.T) {
			sent, got := sha256.New(), new(strings.Builder)
			c := command(e, "sha256sum")
			c.Stdin = io.TeeReader(io.LimitReader(newNoise(2), size), sent)
			c.Stdout = got
			if err := c.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got.String(), sum(sent)) {
				t.Errorf("the command read %s, want %s", got, sum(sent))
			}
		})
		t.Run("out", func(t *testing.T) {
			got, there := sha256.New(), new(strings.Builder)
			c := sh(e, "f=$(mktemp); head -c $1 /dev/urandom >$f; sha256sum <$f >&2; cat $f; rm $f", fmt.Sprint(size))
			c.Stdout, c.Stderr = got, there
			if err := c.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(there.String(), sum(got)) {
				t.Errorf("the command wrote %s, %s arrived", there, sum(got))
			}
		})
	})
}

// A sleeper takes nothing for a while.
type sleeper struct {
	once sync.Once
	time time.Duration
	got  int64
}

func (s *sleeper) Write(p []byte) (int, error) {
	s.once.Do(func() { time.Sleep(s.time) })
	s.got += int64(len(p))
	return len(p), nil
}

// The Engine drops output that is not read within 2 seconds of the command's
// end, so 8 seconds are the thing under test.
func TestSlowReceiverGetsEverything(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		for _, size := range []int64{500_000, 1_500_000, 50_000_000} {
			var wait sync.WaitGroup
			for i := range 20 {
				wait.Go(func() {
					receiver := &sleeper{time: 8 * time.Second}
					c := sh(e, "head -c $1 /dev/zero", fmt.Sprint(size))
					c.Stdout = receiver
					if err := c.Run(t.Context()); err != nil || receiver.got != size {
						t.Errorf("run %d: %d of %d bytes, %v", i, receiver.got, size, err)
					}
				})
			}
			wait.Wait()
		}
	})
}

// A trickle takes a little at a time and is never done in 2 seconds.
type trickle struct{ got int64 }

func (s *trickle) Write(p []byte) (int, error) {
	for rest := len(p); rest > 0; rest -= 256 << 10 {
		time.Sleep(300 * time.Millisecond)
	}
	s.got += int64(len(p))
	return len(p), nil
}

func TestTricklingReceiverGetsEverything(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		const size = 6_000_000
		receiver := &trickle{}
		c := sh(e, "head -c $1 /dev/zero", fmt.Sprint(size))
		c.Stdout = receiver
		if err := c.Run(t.Context()); err != nil || receiver.got != size {
			t.Errorf("%d of %d bytes, %v", receiver.got, size, err)
		}
	})
}

func TestStdinReachesItsEnd(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		var wait sync.WaitGroup
		for range 5 {
			wait.Go(func() {
				for range 40 {
					c := command(e, "cat")
					c.Stdin = strings.NewReader("")
					if err := c.Run(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
	})
}

func TestEndlessStdinDoesNotHoldTheEnd(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		var stdout bytes.Buffer
		c := sh(e, "head -c 4")
		c.Stdin, c.Stdout = newNoise(3), &stdout
		if err := c.Run(t.Context()); err != nil || stdout.Len() != 4 {
			t.Errorf("%d bytes, %v", stdout.Len(), err)
		}
	})
}

func TestUnheardCommandEnds(t *testing.T) {
	for name, command := range map[string]string{
		"yes":             "exec yes",
		"ignores SIGPIPE": "trap '' PIPE; while :; do echo y 2>/dev/null; done",
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
				read, write, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer write.Close()
				c := sh(e, command+" # unheard")
				c.Stdout = write
				done := make(chan error, 1)
				go func() { done <- c.Run(t.Context()) }()
				if _, err := io.ReadFull(read, make([]byte, 2)); err != nil {
					t.Fatal(err)
				}
				read.Close()
				if err := <-done; code(err) != 128+13 && code(err) != 128+15 {
					t.Errorf("Run() = %v, want the end by SIGPIPE or SIGTERM", err)
				}
				nothingLeft(t, e, "unheard")
			})
		})
	}
}

func TestFullDiskIsAnError(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		c := sh(e, "echo lost; exit 0")
		c.Stdout = full
		err = c.Run(t.Context())
		if output, ok := errors.AsType[*execproxy.OutputError](err); !ok || !strings.Contains(output.Error(), "no space left") {
			t.Errorf("Run() = %v, want an OutputError", err)
		}
	})
}

func TestCommandThatCannotRun(t *testing.T) {
	eachVersion(t, func(t *testing.T, e enginetest.Target) {
		for name, test := range map[string]struct {
			change func(*execproxy.Cmd)
			code   int
			text   string
		}{
			"missing":       {func(c *execproxy.Cmd) { c.Args = []string{"no-such-program"} }, 127, "no-such-program: not found"},
			"missing path":  {func(c *execproxy.Cmd) { c.Args = []string{"/no/such/program"} }, 127, "/no/such/program: not found"},
			"directory":     {func(c *execproxy.Cmd) { c.Args = []string{"/etc"} }, 126, "/etc: not executable"},
			"no directory":  {func(c *execproxy.Cmd) { c.Dir = "/no/such/dir" }, 125, "directory /no/such/dir"},
			"unknown user":  {func(c *execproxy.Cmd) { c.User = "nosuchuser" }, 125, "user nosuchuser"},
			"on a terminal": {func(c *execproxy.Cmd) { c.Args, c.TTY = []string{"no-such-program"}, true }, 127, "no-such-program: not found"},
		} {
			var stdout, stderr bytes.Buffer
			c := command(e, "true")
			c.Stdout, c.Stderr = &stdout, &stderr
			test.change(c)
			err := c.Run(t.Context())
			start, ok := errors.AsType[*execproxy.StartError](err)
			if !ok || start.Code != test.code || !strings.Contains(start.Error(), test.text) {
				t.Errorf("%s: Run() = %v, want %q with code %d", name, err, test.text, test.code)
			}
			if stdout.Len()+stderr.Len() > 0 {
				t.Errorf("%s: stdout %q, stderr %q", name, &stdout, &stderr)
			}
		}
		// A spare that was no use takes a moment to end; one that was never started has
		// no end.
		settle(t, "execs", 0, func() int { return len(e.ExecIDs(t)) })
	})
}

// A command's own output that looks like the Engine's word for a missing
// program is the command's.
func TestCommandMayTalkLikeTheEngine(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		const text = "OCI runtime exec failed: executable file not found in $PATH: unknown\r\n"
		var stdout bytes.Buffer
		c := sh(e, `printf %s "$1"; exit 126`, text)
		c.Stdout = &stdout
		if err := c.Run(t.Context()); code(err) != 126 || stdout.String() != text {
			t.Errorf("Run() = %v, stdout %q", err, stdout.String())
		}
	})
}

func TestSurroundingsReachTheCommand(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		var stdout bytes.Buffer
		c := sh(e, `pwd; id -u; id -g; echo "$A|$B"`)
		c.Dir, c.User, c.Env = "/tmp", "1000:1001", []string{"A=a b\nc", "B="}
		c.Stdout = &stdout
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := stdout.String(), "/tmp\n1000\n1001\na b\nc|\n"; got != want {
			t.Errorf("output %q, want %q", got, want)
		}
	})
}

// The Engine's API would change such bytes silently.
func TestBytesThatWouldChangeAreRefused(t *testing.T) {
	e := enginetest.Fake(t, enginetest.Container{})
	for _, text := range []string{"caf\xe9", "a\x00b"} {
		inArg := sh(e, "exit 0", text)
		inEnv := sh(e, "exit 0")
		inEnv.Env = []string{"A=" + text}
		for _, c := range []*execproxy.Cmd{inArg, inEnv} {
			if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "UTF-8") {
				t.Errorf("%q: Run() = %v", text, err)
			}
		}
	}
}

func TestPanicOfAStreamReachesTheCaller(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		defer func() {
			if p := fmt.Sprint(recover()); !strings.Contains(p, "the reader's own") {
				t.Errorf("recovered %q", p)
			}
		}()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := sh(e, "cat")
		c.Stdin = panicker{}
		err := c.Run(ctx)
		t.Errorf("Run() = %v, want a panic", err)
	})
}

type panicker struct{}

func (panicker) Read([]byte) (int, error) { panic("the reader's own") }
