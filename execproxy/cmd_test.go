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
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/docker/docker/api/types/container"

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
	t.Parallel()
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
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		const parallel = 6
		runs := 300
		if e.Name == "real" {
			runs = 60
		}
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

// A status is only what the Engine has said as a number.
func TestStatusThatIsNotThereIsNotZero(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	c := sh(e, "true")
	c.Engine = &execproxy.Client{Client: e.Client, Header: map[string]string{"X-Test": "yes"}}
	run := func(status string) error {
		e.Engine.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			if enginetest.Route(r) != "GET /exec/{id}/json" {
				return false
			}
			if got := r.Header.Get("X-Test"); got != "yes" {
				t.Errorf("header X-Test: %q", got)
			}
			fmt.Fprintf(w, `{"ID": "x", "Running": false, "ExitCode": %s, "Pid": 4711}`, status)
			return true
		})
		return c.Run(t.Context())
	}
	err := run("null")
	if _, ok := errors.AsType[*execproxy.LostError](err); !ok || !errors.Is(err, execproxy.ErrNoStatus) {
		t.Errorf("Run() = %v, want a LostError for ErrNoStatus", err)
	}
	if err := run("0"); err != nil {
		t.Errorf("Run() = %v", err)
	}
}

// What a Client says of an exec is what the docker client says, on any connection.
func TestClientInspectsAsTheDockerClient(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		ctx, ours := t.Context(), &execproxy.Client{Client: e.Client}
		created, err := e.Client.ContainerExecCreate(ctx, e.Container, container.ExecOptions{Cmd: []string{"sh", "-c", "read x; exit 7"}, AttachStdin: true, AttachStdout: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ours.ContainerExecInspect(ctx, created.ID); got.Running || !errors.Is(err, execproxy.ErrNoStatus) {
			t.Errorf("before its start: %+v, %v", got, err)
		}
		attached, err := e.Client.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer attached.Close()
		same := func() container.ExecInspect {
			t.Helper()
			want, errWant := e.Client.ContainerExecInspect(ctx, created.ID)
			got, err := ours.ContainerExecInspect(ctx, created.ID)
			if err != nil || errWant != nil || got != want {
				t.Errorf("%+v, %v; the docker client: %+v, %v", got, err, want, errWant)
			}
			return got
		}
		// Between two states the two clients may see one each.
		until := func(is func(container.ExecInspect) bool) {
			for got, err := ours.ContainerExecInspect(ctx, created.ID); err != nil || !is(got); {
				time.Sleep(time.Millisecond)
				got, err = ours.ContainerExecInspect(ctx, created.ID)
			}
		}
		// Engine 28.5 says for a moment that it runs, and has no PID yet.
		until(func(got container.ExecInspect) bool { return got.Running && got.Pid != 0 })
		same()
		attached.CloseWrite()
		io.Copy(io.Discard, attached.Reader)
		until(func(got container.ExecInspect) bool { return !got.Running })
		if got := same(); got.ExitCode != 7 {
			t.Errorf("%+v, want exit code 7", got)
		}
		if _, err := ours.ContainerExecInspect(ctx, "no-such-exec"); err == nil || !strings.Contains(err.Error(), "no-such-exec") {
			t.Errorf("no-such-exec: %v", err)
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
	t.Parallel()
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

// One receiver of both streams gets them in the order in which the Engine sends them.
// That is not always the order in which they were written: the Engine reads them from
// two pipes.
func TestOneReceiverKeepsTheOrder(t *testing.T) {
	t.Parallel()
	const lines = 2000
	e := newScripted()
	var got bytes.Buffer
	c := execproxy.Command(e, "box", "true")
	c.Stdout, c.Stderr = &got, &got
	var want strings.Builder
	for i := range lines {
		fmt.Fprintf(&want, "o%d\ne%[1]d\n", i)
	}
	go func() {
		for i := range lines {
			e.saysOn(t, 1, fmt.Sprintf("o%d\n", i))
			e.saysOn(t, 2, fmt.Sprintf("e%d\n", i))
		}
		e.ends(0)
		e.far.Close()
	}()
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Errorf("the order is lost: %.200q", &got)
	}
}

func TestOutputIsLive(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		const size = 20 << 20 // on the way there is room for 1 MiB
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
// end, so 4 seconds are the thing under test.
func TestSlowReceiverGetsEverything(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		var wait sync.WaitGroup
		defer wait.Wait()
		for _, size := range []int64{500_000, 1_500_000, 50_000_000} {
			for i := range 2 {
				wait.Go(func() {
					receiver := &sleeper{time: 4 * time.Second}
					c := sh(e, "head -c $1 /dev/zero", fmt.Sprint(size))
					c.Stdout = receiver
					if err := c.Run(t.Context()); err != nil || receiver.got != size {
						t.Errorf("run %d: %d of %d bytes, %v", i, receiver.got, size, err)
					}
				})
			}
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
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		var wait sync.WaitGroup
		for range 5 {
			wait.Go(func() {
				for range 10 {
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

// An end of stdin that is there at once, with nothing before it, is not lost where the
// Engine would lose it; and it is the only one for which the Engine is asked.
func TestEarlyEndOfStdinIsNotLost(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{EarlyEndLost: true})
	ctx, cancel := context.WithDeadline(t.Context(), enginetest.Deadline(t))
	defer cancel()
	for _, in := range []string{"", "x"} {
		e.Engine.ResetRequests()
		var out strings.Builder
		c := execproxy.Command(e.Client, e.Container, "cat")
		c.Stdin, c.Stdout = strings.NewReader(in), &out
		if err := c.Run(ctx); err != nil || out.String() != in {
			t.Errorf("%q: Run() = %v, output %q", in, err, out.String())
		}
		if in != "" && len(e.Engine.Requests()) != 3 {
			t.Errorf("%q: %q, want 3 requests", in, e.Engine.Requests())
		}
	}
}

// /dev/null is not passed on: the Engine has one, whose end it can't lose.
func TestNullStdinIsTheEnginesOwn(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		var out strings.Builder
		c := sh(e, "[ -c /proc/self/fd/0 ] && cat && echo end")
		c.Stdin, c.Stdout = null, &out
		if err := c.Run(t.Context()); err != nil || out.String() != "end\n" {
			t.Errorf("Run() = %v, output %q", err, out.String())
		}
	})
}

func TestEndlessStdinDoesNotHoldTheEnd(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// A read that fails, at once or in the middle, is not the end of the input.
func TestInputThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		for _, before := range []string{"", "half of it"} {
			token := number()
			c := sh(e, "cat; echo whole; sleep 1$1", token)
			bad := errors.New("bad sector")
			var stdout bytes.Buffer
			c.Stdin, c.Stdout = io.MultiReader(strings.NewReader(before), iotest.ErrReader(bad)), &stdout
			err := c.Run(t.Context())
			if _, ok := errors.AsType[*execproxy.InputError](err); !ok || !errors.Is(err, bad) {
				t.Errorf("after %q: Run() = %v, want an InputError", before, err)
			}
			if strings.Contains(stdout.String(), "whole") {
				t.Errorf("after %q: the command saw the end of its input", before)
			}
			nothingLeft(t, e, token)
		}
	})
}

func TestFullDiskIsAnError(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
