package main

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/compose"
)

// A waitedFor is an Engine of which the user is told when it does not answer, and
// when it does again. Where there are others it is waited for engineTime.
type waitedFor struct {
	*client.Client
	engine engine
	to     messages
}

// silentTime is how long a request may be without an answer before the user is told,
// less than 5 seconds. On a busy machine some answers take 3 (measured).
const silentTime = 4500 * time.Millisecond

func (w *waitedFor) ContainerList(ctx context.Context, o container.ListOptions) ([]container.Summary, error) {
	return wait(ctx, w, func(ctx context.Context) ([]container.Summary, error) { return w.Client.ContainerList(ctx, o) })
}

func (w *waitedFor) ContainerInspect(ctx context.Context, name string) (container.InspectResponse, error) {
	return wait(ctx, w, func(ctx context.Context) (container.InspectResponse, error) {
		return w.Client.ContainerInspect(ctx, name)
	})
}

func wait[T any](ctx context.Context, w *waitedFor, request func(context.Context) (T, error)) (T, error) {
	answer := begin(func() (T, error) {
		if w.engine.others {
			return within(ctx, engineTime, request)
		}
		return request(ctx)
	})
	silent := time.NewTimer(silentTime)
	defer silent.Stop()
	select {
	case r := <-answer:
		return r.value, r.err
	case <-silent.C:
		w.to.say(fmt.Sprintf("engine %s does not answer; toxrun goes on waiting for it", w.engine.host))
	}
	r := <-answer
	if r.err == nil {
		w.to.say("the engine answers again")
	}
	return r.value, r.err
}

// engineTime is how long an engine may take to answer where nobody waits for it; a busy
// one has taken 3 seconds (measured).
const engineTime = 10 * time.Second

// A silentError is an engine that has not answered within that time.
type silentError time.Duration

func (e silentError) Error() string {
	return fmt.Sprintf("it does not answer within %v", time.Duration(e))
}

// within makes a request that may take so long.
func within[T any](ctx context.Context, limit time.Duration, request func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, silentError(limit))
	defer cancel()
	answer, err := untilDone(ctx, func() (T, error) { return request(ctx) })
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return answer, err
}

// runs tells whether a remembered target's container is still there and running,
// for those who don't find out by running something in it.
func (e engine) runs(ctx context.Context, t *compose.Target) bool {
	connected, err := e.connect(t.APIVersion)
	if err != nil {
		return false
	}
	defer connected.Close()
	found, err := within(ctx, engineTime, func(ctx context.Context) (container.InspectResponse, error) {
		return connected.ContainerInspect(ctx, t.Container)
	})
	return err == nil && found.State.Running
}
