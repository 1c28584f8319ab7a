package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/spf13/pflag"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
)

// ready finds the targets of a plan when they are ready: started with --up, and waited
// for with --wait. What it waits for is told. A signal ends it. Without these find is
// all that is done.
func (o *options) ready(ctx context.Context, engines []engine, std stdio, what command, received received, find finding) (plan, error) {
	if !o.up && o.wait == 0 {
		return until(received, func() (plan, error) { return o.plan(ctx, engines, std, what, find) })
	}
	return interruptible(ctx, received, func(ctx context.Context) (plan, error) {
		return o.together(engines, what, func(e engine) ([]placed, error) { return o.readyIn(ctx, e, std) })
	})
}

// readyIn is ready in an engine.
func (o *options) readyIn(ctx context.Context, e engine, std stdio) (targets []placed, err error) {
	if o.up {
		if err := o.composeUp(ctx, e, std); err != nil {
			return nil, err
		}
	}
	if o.wait == 0 {
		targets, err = o.findIn(ctx, e, std, o.refind)
	} else {
		targets, err = o.await(ctx, e, std)
	}
	if down, ok := errors.AsType[*compose.NotRunningError](err); ok && o.up && down.Service != "" {
		query, _ := o.query(e.host)
		err = hinted(err, compose.CommandLine(query.ComposeCommand("logs", down.Service))) // it has been started
	}
	return targets, err
}

// interruptible returns what f does. The first signal ends f's ctx, and the second one
// leaves f alone. ^Z stops us.
func interruptible[T any](ctx context.Context, received received, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := begin(func() (T, error) { return f(ctx) })
	for {
		select {
		case r := <-ended:
			if signal, ok := errors.AsType[*execproxy.SignalError](context.Cause(ctx)); ok && r.err != nil {
				r.err = signal
			}
			return r.value, r.err
		case sig := <-received.signals:
			if execproxy.Suspends(sig) {
				received.suspend()
				continue
			}
			if ctx.Err() != nil {
				var none T
				return none, context.Cause(ctx)
			}
			cancel(&execproxy.SignalError{Signal: sig})
		}
	}
}

var errNotReady = errors.New("--wait is over")

// A notReadyError is a target that --wait has waited for in vain.
type notReadyError struct {
	why   error
	after time.Duration
}

func (e *notReadyError) Error() string {
	text := fmt.Sprintf("%v, after --wait %v", e.why, e.after)
	if sick, ok := errors.AsType[*unhealthyError](e.why); ok {
		text += "; " + sick.last()
	}
	return text
}

func (e *notReadyError) Unwrap() error { return e.why }

// await waits for targets that are running and, where they have a health check, healthy.
// The engine's events tell when to look again.
func (o *options) await(ctx context.Context, e engine, std stdio) ([]placed, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.wait, errNotReady)
	defer cancel()
	connected, err := e.connect("")
	if err != nil {
		return nil, err
	}
	defer connected.Close()
	happened, failed := connected.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("type", "container"), filters.Arg("event", "start"), filters.Arg("event", "pause"), filters.Arg("event", "unpause"),
		filters.Arg("event", "die"), filters.Arg("event", "health_status"),
	)})
	look := func(ctx context.Context) (targets []placed, why error, err error) {
		targets, err = o.findIn(ctx, e, std, o.refind)
		if _, down := errors.AsType[*compose.NotRunningError](err); down {
			return targets, err, nil
		}
		if err == nil {
			why, err = unhealthy(ctx, connected, targets)
		}
		return targets, why, err
	}
	to := o.messages(std.err)
	if e.others {
		to.about = e.name
	}
	told := ""
	for {
		targets, why, err := look(ctx)
		switch {
		case ctx.Err() != nil:
		case why == nil || err != nil:
			return targets, err
		case why.Error() != told:
			told = why.Error()
			to.say("waiting: " + told)
		}
		select {
		case <-happened:
			continue
		case err := <-failed:
			if ctx.Err() == nil {
				return nil, err
			}
		case <-ctx.Done():
		}
		if context.Cause(ctx) != errNotReady {
			return nil, context.Cause(ctx)
		}
		now, stop := context.WithTimeout(context.WithoutCancel(ctx), silentTime)
		defer stop()
		if targets, why, err = look(now); why == nil {
			return targets, err // in the last moment
		}
		return nil, &notReadyError{why, o.wait}
	}
}

// An unhealthyError is a container whose health check does not pass.
type unhealthyError struct {
	container, status string
	check             *container.HealthcheckResult // the last one; nil: there was none yet
}

func (e *unhealthyError) Error() string {
	return fmt.Sprintf("container %s is %s", e.container, e.status)
}

// last is what the last check has said.
func (e *unhealthyError) last() string {
	if e.check == nil {
		return "no check has ended yet"
	}
	lines := strings.Split(strings.TrimSpace(e.check.Output), "\n")
	return fmt.Sprintf("the last check: exit status %d, %s", e.check.ExitCode, cmp.Or(strings.TrimSpace(lines[len(lines)-1]), "no output"))
}

func (e *unhealthyError) Hint() string {
	return compose.CommandLine([]string{"docker", "inspect", "--format", "{{json .State.Health}}", e.container})
}

// unhealthy says which of the targets is not healthy; nil where all are or have no check.
func unhealthy(ctx context.Context, e *execproxy.Client, targets []placed) (why error, err error) {
	for _, t := range targets {
		found, err := e.ContainerInspect(ctx, t.Container)
		if err != nil {
			return nil, err
		}
		health := found.State.Health
		if health == nil || health.Status == container.NoHealthcheck || health.Status == container.Healthy {
			continue
		}
		why := &unhealthyError{container: t.ContainerName, status: health.Status}
		if len(health.Log) > 0 {
			why.check = health.Log[len(health.Log)-1]
		}
		return why, nil
	}
	return nil, nil
}

// stopTime is how long docker compose may take to end once it was interrupted.
const stopTime = 10 * time.Second

// composeUp starts the services, with those that they depend on, and shows the progress
// on stderr.
func (o *options) composeUp(ctx context.Context, e engine, std stdio) error {
	if o.container != "" {
		return usage("--up starts a service: --container does not go with it", "")
	}
	query, err := o.query(e.host)
	if err != nil {
		return err
	}
	services := strings.Split(o.service, ",")
	if o.service == "" {
		service, _, err := o.finder(e, messages{quiet: true}).Config(ctx, query)
		if err != nil {
			return err
		}
		services = []string{service}
	}
	args := query.ComposeCommand(append([]string{"up", "-d"}, services...)...) // docker compose ...
	env := os.Environ()
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() == nil {
		args = slices.Concat(args[:1], o.dockerArgs(e), args[1:])
	} else {
		args = append([]string{"docker-compose"}, args[2:]...)
		env = append(env, "DOCKER_HOST="+e.host)
	}
	o.upTurn.Lock() // each draws on the same terminal
	defer o.upTurn.Unlock()
	up := exec.CommandContext(ctx, args[0], args[1:]...)
	up.Stdout, up.Stderr, up.Env, up.Dir = std.err, std.err, env, query.Dir
	up.Cancel = func() error { return up.Process.Signal(syscall.SIGTERM) }
	up.WaitDelay = stopTime
	if err := up.Run(); err != nil {
		return fmt.Errorf("%s: %w", compose.CommandLine(args), err)
	}
	return nil
}

// dockerArgs are the options of docker's own that were given, for one of the engines.
func (o *options) dockerArgs(e engine) []string {
	args := o.given(func(f *pflag.Flag) bool {
		return o.dockerFlags.Lookup(f.Name) != nil && !(e.others && (f.Name == "context" || f.Name == "host"))
	})
	if e.others {
		args = append(args, e.means()...)
	}
	return args
}
