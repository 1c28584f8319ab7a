package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/opts"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/compose/loadexec"
	"github.com/toxrun/docker-toxrun/execproxy"
)

// execute is the line from the options to the end of the run.
func (o *options) execute(ctx context.Context, std stdio, what command) error {
	signals, stop := receiveSignals()
	defer stop()
	engine, err := findEngine(o.docker)
	if err != nil {
		return err
	}
	target, err := until(signals, func() (*compose.Target, error) { return o.find(ctx, engine, std) })
	if err != nil {
		return err
	}
	err = o.run(ctx, engine, target, std, signals, what)
	if target.Cached && outdated(err) { // and nothing has run
		target, err = until(signals, func() (*compose.Target, error) { return o.refind(ctx, engine, std) })
		if err == nil {
			err = o.run(ctx, engine, target, std, signals, what)
		}
	}
	return err
}

// until returns what f does, or a signal that comes before. The signal has
// nothing to end then: f is left alone with what it waits for.
func until[T any](signals <-chan os.Signal, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		value, err := f()
		results <- result{value, err}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case sig := <-signals:
		var none T
		return none, &execproxy.SignalError{Signal: sig}
	}
}

// outdated tells whether err shows that a remembered target is no longer right:
// its container is gone, or the Engine speaks another API version by now.
func outdated(err error) bool {
	_, gone := errors.AsType[*execproxy.GoneError](err)
	return gone || errdefs.IsInvalidArgument(err)
}

// finder looks containers up in an engine.
func (o *options) finder(e engine) *compose.Finder {
	finder := &compose.Finder{
		Connect: func() (compose.Engine, error) { return e.connect("") },
		Load:    loadexec.Program{}.Model,
	}
	if dir, err := cacheDir(); err == nil {
		finder.CacheDir = dir
	}
	return finder
}

// cacheDir is where what can be made again is kept. It need not be there.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "docker-toxrun"), err
}

// find finds the target, in the cache or with the Engine's help.
func (o *options) find(ctx context.Context, e engine, std stdio) (*compose.Target, error) {
	if o.noCache {
		return o.refind(ctx, e, std)
	}
	query, err := o.query(e.host)
	if err != nil {
		return nil, err
	}
	target, err := o.finder(e).Find(ctx, query)
	return o.found(target, err, std)
}

// refind finds the target without the cache.
func (o *options) refind(ctx context.Context, e engine, std stdio) (*compose.Target, error) {
	query, err := o.query(e.host)
	if err != nil {
		return nil, err
	}
	target, err := o.finder(e).Refresh(ctx, query)
	return o.found(target, err, std)
}

func (o *options) found(target *compose.Target, err error, std stdio) (*compose.Target, error) {
	if err != nil {
		return nil, err
	}
	to := o.messages(std.err)
	if target.Warning != "" {
		to.say(target.Warning)
	}
	if o.verbose {
		source := "looked up"
		if target.Cached {
			source = "from the cache"
		}
		to.say(fmt.Sprintf("container %s, %s", target.ContainerName, source))
	}
	return target, nil
}

// A place is where and as whom a command runs; empty: the container's own.
type place struct {
	dir, user string
}

// place decides by option (or variable), then x-toxrun, then what is mounted.
func (o *options) place(t *compose.Target) (place, error) {
	p := place{dir: o.workdir, user: o.user}
	said := "--workdir"
	if p.dir == "" {
		p.dir, said = t.Config.Workdir, "x-toxrun.workdir"
	}
	if p.dir != "" && !path.IsAbs(p.dir) {
		return p, usage(fmt.Sprintf("%s %s: must be an absolute path in the container", said, p.dir), "")
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

// run runs the command in the target, on our own streams and terminal.
func (o *options) run(ctx context.Context, e engine, t *compose.Target, std stdio, signals <-chan os.Signal, what command) error {
	connected, err := e.connect(t.APIVersion)
	if err != nil {
		return err
	}
	defer connected.Close()
	screen := openTerminal(std)
	defer screen.close()
	c, err := o.command(connected, t, screen, what)
	if err != nil {
		return err
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, timeoutError(o.timeout))
		defer cancel()
	}
	if !o.noStdin {
		c.Stdin = screen.input()
	}
	c.Signals = signals
	c.Suspend = screen.suspend
	if c.TTY {
		restore, err := screen.raw()
		if err != nil {
			return err
		}
		defer func() { restore() }()
		c.Suspend = func() {
			restore()
			screen.suspend()
			if again, err := screen.raw(); err == nil {
				restore = again
			}
		}
		resize, stop := screen.resizes()
		defer stop()
		c.Resize = resize
		to := o.messages(std.err)
		to.ending = "\r\n"
		c.Notice = to.say
	}
	keeper := o.ask(e, t, c)
	err = c.Run(ctx)
	keeper.done(err) // not deferred: to the keeper a panic is a killed client
	return err
}

// command is the command as the options and the target have it, without stdin
// and signals.
func (o *options) command(e execproxy.Engine, t *compose.Target, screen *terminal, what command) (*execproxy.Cmd, error) {
	where, err := o.place(t)
	if err != nil {
		return nil, err
	}
	c := execproxy.Command(e, t.Container, what.args(t.Config)...)
	c.Name = t.ContainerName
	c.Dir, c.User, c.Privileged = where.dir, where.user, o.privileged
	if c.Args[0] == serviceCommand(nil).args(t.Config)[0] {
		c.Preload, c.Sources = t.Config.Preload, sources(t)
	}
	if c.TTY = o.wantsTTY(screen, what); c.TTY {
		c.Size = screen.size()
	}
	if c.Env, err = o.environment(t, screen, c.TTY); err != nil {
		return nil, err
	}
	c.StopSignal = o.stop
	c.StopGrace = cmp.Or(o.stopGrace, t.Config.StopGrace)
	c.Stdout, c.Stderr = screen.outputs()
	c.Notice = o.messages(screen.std.err).say
	return c, nil
}

// wantsTTY decides whether the command gets a terminal. One that runs in the
// background has none to give.
func (o *options) wantsTTY(screen *terminal, what command) bool {
	switch {
	case o.tty:
		return true
	case o.noTTY, o.noStdin, !what.interactive:
		return false
	}
	return screen.in && screen.out && screen.foreground()
}

// environment is what the command gets over the container's own variables: so
// that its output is live, looks as in a terminal where it goes to one, and then
// what the user has asked for, last.
func (o *options) environment(t *compose.Target, screen *terminal, tty bool) ([]string, error) {
	env := []string{"PYTHONUNBUFFERED=1"}
	env = append(env, screen.environment(tty)...)
	files, err := opts.ReadKVEnvStrings(o.envFiles, nil)
	if err != nil {
		return nil, usage(err.Error(), "")
	}
	for _, assignment := range slices.Concat(t.Config.Environment, files, o.env) {
		assignment, err := opts.ValidateEnv(assignment) // KEY takes its value from here
		if err != nil {
			return nil, usage(err.Error(), "")
		}
		env = append(env, assignment)
	}
	return lastOfEach(env), nil
}

// lastOfEach keeps the last of each variable, in their order.
func lastOfEach(env []string) []string {
	last := map[string]int{}
	for i, assignment := range env {
		key, _, _ := strings.Cut(assignment, "=")
		last[key] = i
	}
	var kept []string
	for i, assignment := range env {
		if key, _, _ := strings.Cut(assignment, "="); last[key] == i {
			kept = append(kept, assignment)
		}
	}
	return kept
}
