package standby_test

import (
	"bytes"
	"context"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

func TestMain(m *testing.M) {
	if what := os.Getenv("TOXRUN_TEST_STRANGER"); what != "" {
		beStranger(os.Getenv("DIR"), what, []byte(os.Getenv("WANT")))
		return
	}
	enginetest.Unignore()
	goleak.VerifyTestMain(m)
}

// stranger is the ID of another user.
const stranger = 65534

// A keeper is one that runs in this process.
type keeper struct {
	t      testing.TB
	e      enginetest.Target
	engine standby.Engine // the keeper's own
	dir    string
	want   standby.Want
	log    *bytes.Buffer // to be read when it has ended
	done   chan struct{}
}

// keep starts a keeper for commands such as c. It ends with the test.
func keep(t testing.TB, e enginetest.Target, c *execproxy.Cmd, idle time.Duration) *keeper {
	t.Helper()
	return keepIn(t, t.TempDir(), e, c, idle)
}

// keepIn starts it with its socket in a directory of that one.
func keepIn(t testing.TB, runtime string, e enginetest.Target, c *execproxy.Cmd, idle time.Duration) *keeper {
	t.Helper()
	return keepWith(t, runtime, e, e.Client, c, idle)
}

// keepWith starts it with an Engine of its own.
func keepWith(t testing.TB, runtime string, e enginetest.Target, engine standby.Engine, c *execproxy.Cmd, idle time.Duration) *keeper {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	dir, err := standby.Dir()
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{t: t, e: e, engine: engine, dir: dir, want: standby.WantFor(c, e.Host, e.Client.ClientVersion(), idle)}
	k.start()
	return k
}

func (k *keeper) start() {
	ctx, cancel := context.WithCancel(context.Background())
	k.log, k.done = new(bytes.Buffer), make(chan struct{})
	done := k.done
	go func() {
		defer close(done)
		if err := standby.Keep(ctx, k.dir, k.engine, k.want, log.New(k.log, "", 0)); err != nil {
			k.t.Error(err)
		}
	}()
	k.t.Cleanup(func() {
		cancel()
		<-done
		if k.t.Failed() {
			k.t.Logf("keeper:\n%s", k.log)
		}
	})
}

// ends waits for the keeper's end and returns its log.
func (k *keeper) ends() string {
	k.t.Helper()
	select {
	case <-k.done:
	case <-enginetest.Late(k.t):
		k.t.Fatal("the keeper goes on")
	}
	if sockets, _ := filepath.Glob(filepath.Join(k.dir, "*.sock")); len(sockets) > 0 {
		k.t.Errorf("left behind: %s", sockets)
	}
	return k.log.String()
}

// is waits until the keeper is in a state, and returns what it says then.
func (k *keeper) is(state string) standby.Info {
	k.t.Helper()
	return k.until(func(i standby.Info) bool { return i.State == state })
}

// until is the same for any state.
func (k *keeper) until(good func(standby.Info) bool) standby.Info {
	k.t.Helper()
	var infos []standby.Info
	var err error
	for deadline := enginetest.Deadline(k.t); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if infos, err = standby.List(k.dir); len(infos) == 1 && good(infos[0]) {
			return infos[0]
		}
	}
	k.t.Fatalf("the keepers are %+v, %v", infos, err)
	return standby.Info{}
}

// take is a client's lease, with a spare or without.
func (k *keeper) take(spare bool) *standby.Lease {
	k.t.Helper()
	lease, err := standby.Take(k.dir, k.want)
	if err != nil || lease == nil || (lease.Spare != nil) != spare {
		k.t.Fatalf("Take() = %+v, %v; want a spare: %v", lease, err, spare)
	}
	return lease
}

func (k *keeper) sh(script string, args ...string) *execproxy.Cmd {
	return execproxy.Command(k.e.Client, k.e.Container, append([]string{"sh", "-c", script, "sh"}, args...)...)
}

// waiting is how many spares there are in the container.
func (k *keeper) waiting() int {
	n := 0
	for _, p := range k.e.Processes(k.t, "TOXRUN_RUN") {
		if strings.Contains(strings.Join(p.Args, " "), "_toxrun_c") {
			n++
		}
	}
	return n
}

// each runs body with a keeper on each engine, and with one that has to relay.
func each(t *testing.T, body func(t *testing.T, k *keeper)) {
	passed(t, body)
	t.Run("relayed", func(t *testing.T) { relayed(t, enginetest.Fake(t, enginetest.Container{}), body) })
}

// passed runs body with keepers that pass on their connections.
func passed(t *testing.T, body func(t *testing.T, k *keeper)) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		k := keep(t, e, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
		k.is("ready")
		body(t, k)
	})
}

// A kind of spare that nobody has used for its time is dropped, while the keeper has other
// work.
func TestKindThatIsNotUsedIsDropped(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		run := func(want standby.Want, more func()) {
			lease, err := standby.Take(k.dir, want)
			if err != nil || lease == nil {
				t.Fatalf("Take() = %+v, %v", lease, err)
			}
			if lease.Spare != nil {
				lease.Spare.Close()
			}
			more()
			lease.Done()
		}
		terminal := k.want
		terminal.TTY = true
		run(terminal, func() {})
		k.until(func(i standby.Info) bool { return i.Terminal })
		terminal.Idle = time.Second
		run(k.want, func() { run(terminal, func() {}) }) // without which the keeper may end with it
		used := time.Now()
		k.until(func(i standby.Info) bool {
			run(k.want, func() {})
			return time.Since(used) > terminal.Idle && !i.Terminal
		})
	})
}

func TestSpareIsLentOnceAndRenewedAfterTheRun(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		for round := 1; round <= 3; round++ {
			lease := k.take(true)
			if other := k.take(false); other.Spare == nil {
				other.Done() // a second run meanwhile is told at once
			}
			var out bytes.Buffer
			c := k.sh("cat; exit 7")
			c.Spare, c.Stdin, c.Stdout = lease.Spare, strings.NewReader("in"), &out
			err := c.Run(t.Context())
			if err == nil || err.Error() != "exit status 7" || out.String() != "in" {
				t.Errorf("Run() = %v, output %q", err, &out)
			}
			if n := k.waiting(); n != 0 || k.is("running").Hits != round-1 {
				t.Errorf("%d spares wait before the run is over", n)
			}
			lease.Done()
			if info := k.is("ready"); info.Hits != round || info.Misses != round {
				t.Errorf("%+v, want %d hits and misses", info, round)
			}
			if n := k.waiting(); n != 1 {
				t.Errorf("%d spares wait", n)
			}
		}
	})
}

func TestWithoutAKeeperThereIsNoLease(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		for name, change := range map[string]func(*standby.Want){
			"engine":     func(w *standby.Want) { w.Engine += "x" },
			"container":  func(w *standby.Want) { w.Container += "x" },
			"user":       func(w *standby.Want) { w.User = "1000" },
			"privileged": func(w *standby.Want) { w.Privileged = true },
		} {
			want := k.want
			change(&want)
			if lease, err := standby.Take(k.dir, want); lease != nil || err != nil {
				t.Errorf("another %s: Take() = %+v, %v", name, lease, err)
			}
		}
	})
}

func TestKeeperEnds(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		c := execproxy.Command(e.Client, e.Container, "sh")
		t.Run("when it is told to", func(t *testing.T) {
			k := keep(t, e, c, time.Minute)
			k.is("ready")
			if stopped, err := standby.Stop(k.dir, "no-such"); len(stopped) != 0 || err != nil {
				t.Errorf("Stop(no-such) = %v, %v", stopped, err)
			}
			stopped, err := standby.Stop(k.dir, e.Container[:12])
			if len(stopped) != 1 || err != nil {
				t.Errorf("Stop() = %v, %v", stopped, err)
			}
			if said := k.ends(); !strings.Contains(said, "ends: stopped") {
				t.Errorf("it says %q", said)
			}
			k.nothingRuns("_toxrun_c")
		})
		t.Run("unused", func(t *testing.T) {
			k := keep(t, e, c, 300*time.Millisecond)
			if said := k.ends(); !strings.Contains(said, "ends: unused") {
				t.Errorf("it says %q", said)
			}
		})
		t.Run("never under a run", func(t *testing.T) {
			const idle = 2 * time.Second // for this test to take the spare
			k := keep(t, e, c, idle)
			k.is("ready")
			lease := k.take(true)
			defer lease.Spare.Close()
			select {
			case <-k.done:
				t.Error("it has ended")
			case <-time.After(2 * idle):
			}
			lease.Done()
			k.ends()
		})
		t.Run("with its container", func(t *testing.T) {
			k := keep(t, e, c, time.Minute)
			k.is("ready")
			e.Remove(t)
			if said := k.ends(); !strings.Contains(said, "ends: no spare") && !strings.Contains(said, "ends: the container has ended") {
				t.Errorf("it says %q", said)
			}
			if lease, err := standby.Take(k.dir, k.want); lease != nil || err != nil {
				t.Errorf("Take() = %+v, %v", lease, err)
			}
		})
	})
}

func TestKeeperEndsWithTheEngine(t *testing.T) {
	e := enginetest.Fake(t, enginetest.Container{})
	k := keep(t, e, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
	k.is("ready")
	e.Engine.Die()
	k.ends()
}

// A container that can't have a spare costs one try.
func TestContainerWithoutShellHasAKeeperWithoutSpare(t *testing.T) {
	e := enginetest.Fake(t, enginetest.Container{NoShell: true})
	k := keep(t, e, execproxy.Command(e.Client, e.Container, "true"), time.Minute)
	k.is("sh: not found in container " + e.Container[:12])
	e.Engine.ResetRequests()
	for range 3 {
		k.take(false).Done()
	}
	k.is("sh: not found in container " + e.Container[:12])
	if requests := e.Engine.Requests(); len(requests) > 0 {
		t.Errorf("requests %q", requests)
	}
	e.Remove(t)
	k.ends()
}

func TestSecondKeeperOfATargetEndsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		if err := standby.Keep(t.Context(), k.dir, k.e.Client, k.want, log.New(k.log, "", 0)); err != nil {
			t.Error(err)
		}
		k.take(true).Spare.Close()
	})
}

func TestSpareThatDiesIsReplaced(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		killed := map[int]bool{}
		for _, p := range k.e.Processes(t, "TOXRUN_RUN") {
			killed[p.PID] = true
			kill(t, p.PID)
		}
		another := func(p enginetest.Process) bool { return !killed[p.PID] }
		for deadline := enginetest.Deadline(t); !slices.ContainsFunc(k.e.Processes(t, "TOXRUN_RUN"), another); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("there is no other")
			}
		}
		k.is("ready")
		k.take(true).Spare.Close()
	})
}

// A spare in a paused container would keep silent, where a plain start is an error.
func TestPausedContainerLendsNothing(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		k.e.Pause(t)
		k.is("paused")
		k.take(false).Done()
		k.e.Unpause(t)
		k.is("ready")
		lease := k.take(true)
		lease.Spare.Close()
		lease.Done()
	})
}

// What a spare has imported can be turned off, from the next run on.
func TestPreloadIsTurnedOff(t *testing.T) {
	e := enginetest.Fake(t, enginetest.Container{})
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/usr/bin/python3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := execproxy.Command(e.Client, e.Container, script)
	c.Preload = []string{"json"}
	k := keep(t, e, c, time.Minute)
	if now := k.is("ready"); !now.Python {
		t.Fatalf("%+v", now)
	}
	done := func(l *standby.Lease) {
		if l.Spare != nil {
			l.Spare.Close()
			l.Spare.Conn.Close()
		}
		l.Done()
	}
	another := k.want
	another.Program, another.Preload = []string{"true"}, nil
	lease, err := standby.Take(k.dir, another)
	if err != nil || lease == nil || lease.Spare == nil || !lease.Spare.Python {
		t.Fatalf("Take() of another program = %+v, %v", lease, err)
	}
	done(lease)
	if now := k.is("ready"); !now.Python {
		t.Fatalf("%+v", now)
	}
	k.want.Preload = nil
	done(k.take(false))
	if now := k.is("ready"); now.Python {
		t.Fatalf("%+v", now)
	}
	done(k.take(true))
}
