package standby_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

// A counting is an Engine that counts who asks for an exec.
type counting struct {
	execproxy.Engine
	asked atomic.Int32
}

func (c *counting) ContainerExecInspect(ctx context.Context, exec string) (container.ExecInspect, error) {
	c.asked.Add(1)
	return c.Engine.ContainerExecInspect(ctx, exec)
}

// A slow is an Engine that answers nothing about an exec before it is told to.
type slow struct {
	standby.Engine
	answer <-chan struct{}
}

func (s slow) ContainerExecInspect(ctx context.Context, exec string) (container.ExecInspect, error) {
	select {
	case <-s.answer:
		return s.Engine.ContainerExecInspect(ctx, exec)
	case <-ctx.Done():
		return container.ExecInspect{}, ctx.Err()
	}
}

// exitsWith5 runs a command that says go, and exits with 5 at the end of its stdin, with
// the spare of a lease. meanwhile is called while it runs.
func (k *keeper) exitsWith5(lease *standby.Lease, meanwhile func()) (asked int) {
	k.t.Helper()
	engine := &counting{Engine: k.e.Client}
	c := k.sh("echo go; cat; exit 5")
	c.Engine, c.Spare = engine, lease.Spare
	in, end := io.Pipe()
	out, say := io.Pipe()
	c.Stdin, c.Stdout = in, say
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(k.t.Context())
		say.Close()
	}()
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		k.t.Fatal(err, <-ended)
	}
	meanwhile()
	end.Close()
	err := <-ended
	if exit, ok := errors.AsType[*execproxy.ExitError](err); !ok || exit.Code != 5 {
		k.t.Errorf("Run() = %v, want exit status 5", err)
	}
	lease.Done()
	return int(engine.asked.Load())
}

func TestExitStatusComesByTheKeeper(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		if asked := k.exitsWith5(k.take(true), func() {}); asked > 0 {
			t.Errorf("the client has asked the Engine %d times", asked)
		}
		if now := k.is("ready"); now.Hits != 1 || now.Misses != 0 {
			t.Errorf("the keeper has counted %+v", now)
		}
	})
}

func TestExitStatusIsAskedWhereTheKeeperHasEnded(t *testing.T) {
	passed(t, func(t *testing.T, k *keeper) {
		asked := k.exitsWith5(k.take(true), func() {
			if _, err := standby.Stop(k.dir, ""); err != nil {
				t.Error(err)
			}
			k.ends()
		})
		if asked == 0 {
			t.Error("nobody has asked the Engine")
		}
	})
}

// A telling is an Engine whose events are the test's.
type telling struct {
	standby.Engine
	events chan events.Message
}

func (t telling) Events(ctx context.Context, _ events.ListOptions) (<-chan events.Message, <-chan error) {
	failed := make(chan error, 1)
	context.AfterFunc(ctx, func() { failed <- ctx.Err() })
	return t.events, failed
}

// What the Engine tells by itself need not be asked.
func TestExitStatusComesByAnEvent(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		engine := telling{slow{e.Client, nil}, make(chan events.Message)}
		k := keepWith(t, t.TempDir(), e, engine, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
		k.is("ready")
		lease := k.take(true)
		died := func(exec string) {
			engine.events <- events.Message{Action: events.ActionExecDie, Actor: events.Actor{Attributes: map[string]string{"execID": exec, "exitCode": "5"}}}
		}
		if asked := k.exitsWith5(lease, func() {
			died("another")
			died(lease.Spare.Exec)
			died("another") // and the one before was taken in
		}); asked > 0 {
			t.Errorf("the client has asked the Engine %d times", asked)
		}
	})
}

// What a keeper says too late is no answer to another question, and the last message still
// gets there.
func TestExitStatusIsAskedWhereTheKeeperIsSlow(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		answer := make(chan struct{})
		k := keepWith(t, t.TempDir(), e, slow{e.Client, answer}, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
		k.is("ready")
		lease := k.take(true)
		state := lease.Spare.State
		if asked := k.exitsWith5(lease, func() {
			if _, err := state(t.Context()); err == nil {
				t.Error("the keeper has answered")
			}
			close(answer)
		}); asked == 0 {
			t.Error("nobody has asked the Engine")
		}
		if now := k.is("ready"); now.Hits != 1 || now.Misses != 0 {
			t.Errorf("the keeper has counted %+v", now)
		}
	})
}
