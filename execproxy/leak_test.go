//go:build unix

package execproxy_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"go.uber.org/goleak"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.Unignore()
	goleak.VerifyTestMain(m)
}

// descriptors counts this process's open file descriptors.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func TestManyRunsLeaveNothing(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		runs, parallel := 500, 50
		if e.Name == "real" { // which takes five times as long
			runs, parallel = 100, 20
		}
		token := number()
		var givenUp atomic.Int64 // the Engine was silent: what it makes later is never started, and stays
		run := func(i int) {
			var stdout bytes.Buffer
			switch {
			case i%10 < 3: // interrupted
				c := sh(e, "trap 'exit 3' TERM; sleep 1000$1 & while :; do sleep 0.2; done", token)
				signals := make(chan os.Signal, 1)
				signals <- syscall.SIGTERM
				c.Signals = late{signals}.after(20 * time.Millisecond)
				err := c.Run(t.Context())
				early, _ := errors.AsType[*execproxy.SignalError](err) // before it has begun
				switch {
				case early != nil && early.Cause == "the engine does not answer":
					givenUp.Add(1)
				case code(err) != 3 && code(err) != 143 && (early == nil || early.Cause != ""):
					t.Errorf("interrupted: Run() = %v", err)
				}
			case i%10 == 3: // can't start
				if err := command(e, "no-such-program").Run(t.Context()); err == nil {
					t.Error("no-such-program: Run() = nil")
				}
			default:
				c := sh(e, "echo $1; cat; exit 5", token)
				c.Stdin = bytes.NewReader([]byte("in"))
				c.Stdout = &stdout
				if err := c.Run(t.Context()); code(err) != 5 || stdout.String() != token+"\nin" {
					t.Errorf("Run() = %v, output %q", err, &stdout)
				}
			}
		}
		// A client whose idle connections can be closed: they are no leak.
		idle := &http.Transport{}
		c, err := client.NewClientWithOpts(client.WithHTTPClient(&http.Client{Transport: idle}), client.WithHost(e.Host), client.WithVersion("1.41"))
		if err != nil {
			t.Fatal(err)
		}
		e.Client = c
		t.Cleanup(idle.CloseIdleConnections)
		run(9) // whatever is opened once is open now
		idle.CloseIdleConnections()
		goroutines, files := runtime.NumGoroutine(), descriptors(t)

		work := make(chan int)
		var wait sync.WaitGroup
		for range parallel {
			wait.Go(func() {
				for i := range work {
					run(i)
				}
			})
		}
		for i := range runs {
			work <- i
		}
		close(work)
		wait.Wait()

		if t.Failed() {
			return // what such a run has left may never go
		}
		idle.CloseIdleConnections()
		settle(t, "goroutines", goroutines, runtime.NumGoroutine)
		if e.Engine == nil { // the fake's own are in this process too
			settle(t, "file descriptors", files, func() int { return descriptors(t) })
		}
		settle(t, "execs", int(givenUp.Load()), func() int { return len(e.ExecIDs(t)) })
		nothingLeft(t, e, token)
	})
}

// settle waits until a count is down to what it was.
func settle(t *testing.T, what string, want int, count func() int) {
	t.Helper()
	got := count()
	for deadline := enginetest.Deadline(t); got > want && time.Now().Before(deadline); got = count() {
		time.Sleep(10 * time.Millisecond)
	}
	if got > want {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d %s, %d before\n%s", got, what, want, stacks[:runtime.Stack(stacks, true)])
	}
}

// late passes signals on after a time.
type late struct{ signals chan os.Signal }

func (l late) after(d time.Duration) <-chan os.Signal {
	out := make(chan os.Signal, 1)
	time.AfterFunc(d, func() { out <- <-l.signals })
	return out
}
