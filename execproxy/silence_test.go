//go:build unix

package execproxy_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// A scripted is an Engine with one container and one exec, for tests in which time
// is a bubble's. The test has the far end of the exec's connection.
type scripted struct {
	near, far net.Conn

	mu       sync.Mutex
	creates  int // requests for an exec
	exec     container.ExecInspect
	mute     bool          // requests get no answer
	slow     bool          // nor does one for a start, while others do
	speaking chan struct{} // closed when mute ends
}

func newScripted() *scripted {
	near, far := net.Pipe()
	return &scripted{near: near, far: far, exec: container.ExecInspect{Running: true, Pid: 1}}
}

// ends has the command end.
func (e *scripted) ends(code int) { e.isNow(container.ExecInspect{Pid: 1, ExitCode: code}) }

// isNow is what the Engine says of the exec.
func (e *scripted) isNow(exec container.ExecInspect) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.exec = exec
}

func (e *scripted) setMute(mute bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mute = mute; mute {
		e.speaking = make(chan struct{})
	} else {
		close(e.speaking)
	}
}

// answers waits while the Engine is mute.
func (e *scripted) answers(ctx context.Context) error { return e.answersTo(ctx, false) }

func (e *scripted) answersTo(ctx context.Context, start bool) error {
	e.mu.Lock()
	waits, speaking := e.mute && (start || !e.slow), e.speaking
	e.mu.Unlock()
	if !waits {
		return nil
	}
	select {
	case <-speaking:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// says writes a frame of stdout.
func (e *scripted) says(t *testing.T, text string) {
	t.Helper()
	e.saysOn(t, 1, text)
}

// saysOn writes a frame of stdout, 1, or of stderr, 2.
func (e *scripted) saysOn(t *testing.T, stream byte, text string) {
	t.Helper()
	header := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(header[4:], uint32(len(text)))
	if _, err := io.WriteString(e.far, string(header)+text); err != nil {
		t.Error(err)
	}
}

func (e *scripted) ContainerExecCreate(ctx context.Context, _ string, _ container.ExecOptions) (container.ExecCreateResponse, error) {
	e.mu.Lock()
	e.creates++
	e.mu.Unlock()
	return container.ExecCreateResponse{ID: "exec"}, e.answers(ctx)
}

func (e *scripted) ContainerExecAttach(ctx context.Context, _ string, _ container.ExecAttachOptions) (types.HijackedResponse, error) {
	return types.HijackedResponse{Conn: e.near, Reader: bufio.NewReader(e.near)}, e.answersTo(ctx, true)
}

func (e *scripted) ContainerExecStart(ctx context.Context, _ string, _ container.ExecStartOptions) error {
	return e.answersTo(ctx, true)
}

func (e *scripted) ContainerExecInspect(ctx context.Context, _ string) (container.ExecInspect, error) {
	err := e.answers(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.exec, err
}

func (e *scripted) ContainerExecResize(ctx context.Context, _ string, _ container.ResizeOptions) error {
	return e.answers(ctx)
}

func (e *scripted) ContainerInspect(ctx context.Context, _ string) (container.InspectResponse, error) {
	state := &container.State{Running: true, StartedAt: "then"}
	return container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{State: state}}, e.answers(ctx)
}

func (e *scripted) ClientVersion() string { return "1.41" }

// A bubbled is a run on a scripted Engine, and when what of it was told.
type bubbled struct {
	*scripted
	begin time.Time
	out   io.Writer
	ended chan error

	mu      sync.Mutex
	notices []string
	at      []time.Duration
}

// inBubble starts a run whose stdout is out, and calls f, which waits for its end.
func inBubble(t *testing.T, out io.Writer, f func(t *testing.T, b *bubbled)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubbled{scripted: newScripted(), begin: time.Now(), out: out, ended: make(chan error, 1)}
		b.start(t)
		f(t, b)
		b.far.Close()
		b.near.Close()
	})
}

func (b *bubbled) start(t *testing.T) {
	c := execproxy.Command(b.scripted, "box", "true")
	c.Stdout = b.out
	c.Notice = func(line string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.notices, b.at = append(b.notices, line), append(b.at, time.Since(b.begin))
	}
	go func() { b.ended <- c.Run(t.Context()) }()
}

// told fails the test unless exactly these were the notices, by a word of each.
func (b *bubbled) told(t *testing.T, words ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.notices) != len(words) {
		t.Fatalf("the user is told %q, want %q", b.notices, words)
	}
	for i, word := range words {
		if !strings.Contains(b.notices[i], word) {
			t.Errorf("the user is told %q, want %q", b.notices, words)
		}
	}
}

// runEnds waits for the end of the run.
func (b *bubbled) runEnds(t *testing.T, want int) {
	t.Helper()
	if err := <-b.ended; code(err) != want {
		t.Errorf("Run() = %v, want exit status %d", err, want)
	}
}

// Within 5 seconds the user is told, once, however long it takes, and once when the
// Engine is back. A run that goes on is none the worse for it.
func TestSilentEngineIsTold(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"soon": 0, "in a run": 10*time.Second + time.Millisecond, "during a look": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, io.Discard, func(t *testing.T, b *bubbled) {
				synctest.Wait() // until it runs
				time.Sleep(after)
				b.setMute(true)
				time.Sleep(5 * time.Second)
				b.told(t, "does not answer")
				time.Sleep(12 * time.Second)
				b.told(t, "does not answer")
				b.setMute(false)
				time.Sleep(3 * time.Second)
				b.told(t, "does not answer", "answers again")
				time.Sleep(time.Minute)
				b.told(t, "does not answer", "answers again")
				b.ends(3)
				b.far.Close()
				b.runEnds(t, 3)
			})
		})
	}
}

// An Engine that is silent from the start is told of, too.
func TestSilentEngineIsToldBeforeTheCommandBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bubbled{scripted: newScripted(), begin: time.Now(), ended: make(chan error, 1)}
		b.setMute(true)
		b.start(t)
		time.Sleep(5 * time.Second)
		b.told(t, "does not answer")
		b.setMute(false)
		b.told(t, "does not answer", "answers again")
		b.ends(0)
		b.far.Close()
		b.runEnds(t, 0)
	})
}

// A command that an Engine takes long to start is waited for by a run that is to end:
// what begins later would have nobody to end it. Only an Engine that answers nothing is
// given up, as soon as that is known.
func TestSlowStartIsWaitedForByASignal(t *testing.T) {
	t.Parallel()
	for _, detached := range []bool{false, true} {
		for _, slow := range []bool{true, false} {
			t.Run(fmt.Sprintf("detached %v, slow %v", detached, slow), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := newScripted()
					e.slow = slow
					signals := make(chan os.Signal, 1)
					c := execproxy.Command(e, "box", "true")
					c.Signals = signals
					ended := make(chan error, 1)
					e.setMute(true)
					go func() {
						if detached {
							_, err := c.Start(t.Context())
							ended <- err
						} else {
							ended <- c.Run(t.Context())
						}
					}()
					synctest.Wait()
					signals <- syscall.SIGTERM
					time.Sleep(4 * time.Second)
					synctest.Wait()
					if len(ended) > 0 {
						t.Errorf("gives up at once: %v", <-ended)
					}
					time.Sleep(time.Second)
					synctest.Wait()
					if gaveUp := len(ended) > 0; gaveUp == slow {
						t.Errorf("after 5 s it has given up: %v", gaveUp)
					}
					if slow && !detached {
						signals <- syscall.SIGTERM
					} else if slow {
						time.Sleep(time.Minute)
					}
					var signal *execproxy.SignalError
					if err := <-ended; !errors.As(err, &signal) || strings.Contains(signal.Cause, "may still start") != slow {
						t.Errorf("it ends with %v", err)
					}
					e.setMute(false)
					e.far.Close()
					e.near.Close()
				})
			})
		}
	}
}

// An answer that takes 3 seconds, as on a busy machine, is nothing to tell.
func TestSlowEngineIsNotTold(t *testing.T) {
	t.Parallel()
	inBubble(t, io.Discard, func(t *testing.T, b *bubbled) {
		for range 10 {
			time.Sleep(999 * time.Millisecond) // just before a look
			b.setMute(true)
			time.Sleep(3001 * time.Millisecond)
			b.setMute(false)
		}
		b.told(t)
		b.ends(0)
		b.far.Close()
		b.runEnds(t, 0)
	})
}

// A stream that stays open after the command's end does not hold the run: 2 seconds
// are the Engine's, 5 of silence follow.
func TestStreamThatStaysOpenEndsTheRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	inBubble(t, &out, func(t *testing.T, b *bubbled) {
		synctest.Wait()
		b.says(t, "one\n")
		time.Sleep(time.Minute) // a silent command that runs is left alone
		b.told(t)
		b.says(t, "two\n")
		b.ends(7)
		for range 3 { // what comes late is taken
			time.Sleep(4 * time.Second)
			b.says(t, "late\n")
		}
		last := time.Now()
		b.runEnds(t, 7)
		if took := time.Since(last); took < 7*time.Second || took > 9*time.Second {
			t.Errorf("the run ends %v after the last byte, want 7 to 9 s", took)
		}
		b.told(t, "has ended")
	})
	if want := "one\ntwo\n" + strings.Repeat("late\n", 3); out.String() != want {
		t.Errorf("output %q, want %q", out.String(), want)
	}
}

// A command that has ended long after its last output gets the time as well.
func TestEndOfASilentCommandGetsItsTime(t *testing.T) {
	t.Parallel()
	inBubble(t, io.Discard, func(t *testing.T, b *bubbled) {
		synctest.Wait()
		time.Sleep(time.Hour)
		b.ends(0)
		time.Sleep(4900 * time.Millisecond)
		b.told(t)
		b.far.Close()
		b.runEnds(t, 0)
		b.told(t)
	})
}

// An exec that has had no process yet has not ended.
func TestExecThatHasNotStartedIsWaitedFor(t *testing.T) {
	t.Parallel()
	inBubble(t, io.Discard, func(t *testing.T, b *bubbled) {
		b.isNow(container.ExecInspect{})
		time.Sleep(time.Minute)
		b.told(t)
		b.isNow(container.ExecInspect{Pid: 1, ExitCode: 4})
		b.far.Close()
		b.runEnds(t, 4)
	})
}

// A receiver that takes nothing for a minute, with the command's last output waiting
// for it, gets all of it: a sink that is full is no silent stream.
func TestReceiverThatStandsStillIsNoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		b := &bubbled{scripted: newScripted(), begin: time.Now(), out: out, ended: make(chan error, 1)}
		b.start(t)
		const pieces = 600
		piece := strings.Repeat("x", 32<<10) // together many times what a sink holds
		go func() {
			for range pieces {
				b.says(t, piece)
			}
			b.far.Close()
		}()
		time.Sleep(time.Minute)
		b.ends(5)
		time.Sleep(time.Minute)
		b.told(t)
		got := make(chan int64, 1)
		go func() {
			n, _ := io.Copy(io.Discard, in)
			got <- n
		}()
		b.runEnds(t, 5)
		out.Close()
		if n := <-got; n != pieces*int64(len(piece)) {
			t.Errorf("%d bytes, want %d", n, pieces*len(piece))
		}
		b.told(t)
	})
}

// A half notes when its client has ended what it writes.
type half struct {
	net.Conn
	closed chan time.Time
}

func (h half) CloseWrite() error {
	h.closed <- time.Now()
	return nil
}

// The end of an empty stdin waits for a process, and then twice as long, half a second
// at most; one that is not empty and one that a spare gets are passed on at once.
func TestEndOfAnEmptyStdinWaitsForTheCommand(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		stdin        string
		spare, mute  bool
		ends, starts time.Duration // stdin, the command
		want         time.Duration
	}{
		"quick start":    {starts: 40 * ms, want: 150 * ms},
		"slow start":     {starts: 110 * ms, want: 112500 * time.Microsecond * 3},
		"silent Engine":  {mute: true, starts: 15000 * ms, want: 15500 * ms},
		"late end":       {ends: 60000 * ms, want: 60500 * ms},
		"something sent": {stdin: "x", starts: 40 * ms},
		"spare":          {spare: true, starts: 40 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newScripted()
				near := half{e.near, make(chan time.Time, 1)}
				e.near = near
				in, stdin := io.Pipe()
				c := execproxy.Command(e, "box", "cat")
				c.Stdin = in
				if test.spare {
					c.Spare = &execproxy.Spare{Exec: "exec", Token: "token", Conn: near, Container: "box"}
				}
				e.isNow(container.ExecInspect{Running: true})
				begin, ended := time.Now(), make(chan error, 1)
				go func() { ended <- c.Run(t.Context()) }()
				go io.Copy(io.Discard, e.far)
				synctest.Wait()
				if test.mute {
					e.setMute(true)
				}
				defer time.AfterFunc(test.starts, func() {
					e.isNow(container.ExecInspect{Running: true, Pid: 1})
					if test.mute {
						e.setMute(false)
					}
				}).Stop()
				if test.spare {
					e.saysOn(t, 2, "token")
				}
				time.Sleep(test.ends)
				io.WriteString(stdin, test.stdin)
				stdin.Close()
				if took := (<-near.closed).Sub(begin); took < test.want || took > test.want+10*ms {
					t.Errorf("the command is told after %v, want %v", took, test.want)
				}
				e.ends(0)
				e.far.Close()
				if err := <-ended; err != nil {
					t.Errorf("Run() = %v", err)
				}
			})
		})
	}
}

// What a spare had to say may be lost with its stream: that is not run again.
func TestSpareWhoseStreamStaysOpenIsNotRunAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newScripted()
		c := execproxy.Command(e, "box", "true")
		c.Spare = &execproxy.Spare{Exec: "exec", Token: "token", Conn: e.near, Container: "box"}
		ended := make(chan error, 1)
		go func() { ended <- c.Run(t.Context()) }()
		if _, err := bufio.NewReader(e.far).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		e.ends(0)
		err := <-ended
		if _, lost := errors.AsType[*execproxy.LostError](err); !lost {
			t.Errorf("Run() = %v, want a LostError", err)
		}
		if e.creates > 0 {
			t.Error("it is run again")
		}
		e.far.Close()
	})
}
