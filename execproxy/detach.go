package execproxy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
)

// Start starts the command and leaves it running, without streams: Stdin, Stdout,
// Stderr and Spare are not used. It returns what the command has in TOXRUN_RUN, by
// which its processes are found.
//
// A signal of those that end a run, or the end of ctx, that comes before Start
// returns ends the command. The errors are those of Run that are about a beginning:
// [StartError], [GoneError], [SignalError], [LostError], or the error of a request
// to the Engine.
func (c *Cmd) Start(ctx context.Context) (run string, err error) {
	if err := c.prepare(); err != nil {
		return "", err
	}
	select {
	case sig := <-c.Signals:
		return "", &SignalError{Signal: sig}
	case <-ctx.Done():
		return "", context.Cause(ctx)
	default:
	}
	c.detached, c.Stdin = true, nil
	r, cancel := c.newRun(ctx, attempt{args: c.Args})
	defer cancel()
	r.spawn(r.look)
	err = r.begin(ctx, r.detach)
	if err != nil {
		return "", err
	}
	end := slices.IndexFunc(r.taken, Ends)
	if end < 0 && r.cause == nil {
		return r.token, nil
	}
	left := c.Reap(r.requests, r.token)
	switch {
	case end < 0 && left == nil:
		return "", r.cause
	case end < 0:
		return "", fmt.Errorf("%w (%w)", r.cause, left)
	case left == nil:
		return "", &SignalError{Signal: r.taken[end]}
	}
	return "", &SignalError{Signal: r.taken[end], Cause: left.Error()}
}

// detach starts the exec and sees that there is a process. There is no stream.
func (c *Cmd) detach(ctx context.Context, id string) (*stream, error) {
	options := container.ExecStartOptions{Detach: true, Tty: c.TTY}
	if c.TTY {
		options.ConsoleSize = c.Size.console()
	}
	startErr := c.Engine.ContainerExecStart(ctx, id, options)
	if errdefs.IsNotFound(startErr) || errdefs.IsConflict(startErr) {
		if now, _, err := c.condition(ctx, ""); err != nil || now != running {
			return nil, c.notCreated(ctx, startErr)
		} // else it is the program that was not found
	}
	now, err := c.inspect(ctx, id)
	switch {
	case startErr != nil && err == nil && !now.started:
		return nil, c.refused(c.Args[0], startErr.Error())
	case startErr != nil:
		return nil, startErr
	case err != nil:
		return nil, &LostError{Cause: fmt.Sprintf("whether the command has started was not seen: %v", err), Err: err}
	case !now.started:
		return nil, errors.New("the engine has not started the command, and does not say why")
	}
	return nil, nil
}
