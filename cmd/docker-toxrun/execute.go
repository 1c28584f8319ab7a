package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"

	"github.com/containerd/errdefs"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/internal/queue"
)

// execute is the line from the options to the end of the run.
func (o *options) execute(ctx context.Context, std stdio, what command) error {
	received, stop := receiveSignals()
	defer stop()
	engines, err := until(received, o.engines)
	if err != nil {
		return err
	}
	p, err := o.ready(ctx, engines, std, what, received, o.find)
	if err != nil {
		return err
	}
	err = o.runs(ctx, p, std, received)
	if p.remembered() && outdated(err) { // and nothing has run
		p, err = until(received, func() (plan, error) { return o.plan(ctx, engines, std, what, o.refind) })
		if err == nil {
			err = o.runs(ctx, p, std, received)
		}
	}
	return err
}

// until returns what f does, or a signal that comes before. The signal has
// nothing to end then: f is left alone with what it waits for. ^Z stops us.
func until[T any](received received, f func() (T, error)) (T, error) {
	results := begin(f)
	for {
		select {
		case r := <-results:
			return r.value, r.err
		case sig := <-received.signals:
			if execproxy.Suspends(sig) {
				received.suspend()
				continue
			}
			var none T
			return none, &execproxy.SignalError{Signal: sig}
		}
	}
}

// untilDone returns what f does, or why ctx is done before. f is left alone then.
func untilDone[T any](ctx context.Context, f func() (T, error)) (T, error) {
	select {
	case r := <-begin(f):
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

type result[T any] struct {
	value T
	err   error
}

func begin[T any](f func() (T, error)) <-chan result[T] {
	results := make(chan result[T], 1) // room for one: nobody may wait for it any more
	go func() {
		value, err := f()
		results <- result[T]{value, err}
	}()
	return results
}

// outdated tells whether err shows that a remembered target is no longer right:
// its container is gone, or the Engine speaks another API version by now.
func outdated(err error) bool {
	_, gone := errors.AsType[*execproxy.GoneError](err)
	return gone || errdefs.IsInvalidArgument(err)
}

// A place is where and as whom a command runs; empty: the container's own.
type place struct {
	dir, user string
}

// place decides by option (or variable), then x-toxrun, then what is mounted.
func (o *options) place(t *compose.Target) (place, error) {
	p := place{dir: o.workdir, user: o.user}
	source := "--workdir"
	if p.dir == "" {
		p.dir, source = t.Config.Workdir, "x-toxrun.workdir"
	}
	if p.dir != "" && !path.IsAbs(p.dir) {
		return p, usage(fmt.Sprintf("%s %s: must be an absolute path in the container", source, p.dir), "")
	}
	if p.dir == "" {
		if here, err := os.Getwd(); err == nil {
			p.dir, _ = t.PathFor(here)
		}
	}
	if p.user == "" {
		p.user = t.Config.User
	}
	if p.user == "self" {
		self, err := self()
		if err != nil {
			return p, err
		}
		p.user = self
	}
	return p, nil
}

// run runs the command in a lane, and there alone on this terminal.
func (o *options) run(ctx context.Context, l lane, what command) error {
	e, t := l.target.engine, l.target.Target
	var keeper keeping
	if !e.plain() {
		e.dial = func(ctx context.Context) (net.Conn, error) { return keeper.dial(ctx) }
	}
	connected := l.client
	if connected == nil {
		var err error
		if connected, err = e.connect(t.APIVersion); err != nil {
			return err
		}
		defer connected.Close()
	}
	c, err := until(l.received, func() (*execproxy.Cmd, error) { return o.command(connected, t, l.screen, what) })
	if err != nil {
		return err
	}
	keeper = o.keeper(e, t, c, false)
	c.Stdin, c.Stdout, c.Stderr, c.Notice = l.in, l.out, l.err, l.to.say
	c.Signals, c.Suspend = l.received.signals, l.received.suspend
	if o.detach {
		id, err := c.Start(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(l.out, id)
		return err
	}
	var place *queue.Place
	if what.queued && o.parallel > 0 {
		if place, err = o.turn(ctx, l.received, c, l.to.say); err != nil {
			return err
		}
		defer place.Leave()
	}
	if l.begins != nil {
		l.begins()
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, timeoutError(o.timeout))
		defer cancel()
	}
	if c.TTY {
		restore, err := l.screen.raw()
		if err != nil {
			return err
		}
		defer func() { restore() }()
		c.Suspend = func() {
			restore()
			l.received.suspend()
			if again, err := l.screen.raw(); err == nil {
				restore = again
			}
		}
		resize, stop := l.screen.resizes()
		defer stop()
		c.Resize = resize
		l.to.ending = "\r\n"
		c.Notice = l.to.say
	}
	with := o.translate(connected, t, l.screen, what, c)
	if err := with.send(ctx, l.received); err != nil {
		return err
	}
	keeper.take(c)
	if keeper.lease != nil {
		place.Runs(runOf(c))
	}
	if err := keeper.teach(ctx, l.received, c); err != nil {
		return err
	}
	err = c.Run(ctx)
	keeper.done(err) // not deferred: to the keeper a panic is a killed client
	return with.receive(ctx, l.received, with.end(err))
}

// command is the command as the options and the target have it, without stdin,
// signals and a lane's own streams.
func (o *options) command(e execproxy.Engine, t *compose.Target, screen *terminal, what command) (*execproxy.Cmd, error) {
	where, err := o.place(t)
	if err != nil {
		return nil, err
	}
	c := execproxy.Command(e, t.Container, what.args(t.Config)...)
	c.Name = t.ContainerName
	c.Dir, c.User, c.Privileged = where.dir, where.user, o.privileged
	c.Sources = sources(t)
	if t.Config.Preload == nil {
		c.Learn = new(execproxy.Lesson)
	} else if c.Args[0] == serviceCommand(nil).args(t.Config)[0] {
		c.Preload = t.Config.Preload
	}
	if c.TTY = o.wantsTTY(screen, what); c.TTY {
		c.Size = screen.size()
	}
	own := append(o.shim.environment(t), what.env...)
	if c.Env, err = o.environment(t, own, screen, c.TTY); err != nil {
		return nil, err
	}
	c.Env = append(c.Env, execproxy.ClientVariable+"="+clientName())
	c.StopSignal = o.stop
	c.StopGrace = cmp.Or(o.stopGrace, t.Config.StopGrace)
	c.Stdout, c.Stderr = screen.outputs()
	c.Notice = o.messages(screen.std.err).say
	return c, nil
}

// wantsTTY decides whether the command gets a terminal. One that runs in the
// background has none to give, and a shim whose stderr goes elsewhere keeps it apart.
func (o *options) wantsTTY(screen *terminal, what command) bool {
	switch {
	case o.tty:
		return true
	case o.several(), o.detach, o.noTTY, o.noStdin, !what.interactive:
		return false
	}
	return screen.in && screen.out && (screen.err || o.shim == nil) && screen.foreground()
}
