package execproxy

import (
	"bufio"
	"context"
	"errors"
	"net"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
)

// An Engine is what a run needs of the Docker Engine. A [Client] is one, and so is
// the docker client itself, which gives 0 where the Engine has no exit status.
// Any API version from 1.25 on will do: older ones know no environment for an
// exec.
//
// With a TTY its API version has to be agreed on before Run.
type Engine interface {
	ContainerExecCreate(ctx context.Context, container string, options container.ExecOptions) (container.ExecCreateResponse, error)
	ContainerExecAttach(ctx context.Context, exec string, options container.ExecAttachOptions) (types.HijackedResponse, error)
	ContainerExecStart(ctx context.Context, exec string, options container.ExecStartOptions) error
	ContainerExecInspect(ctx context.Context, exec string) (container.ExecInspect, error)
	ContainerExecResize(ctx context.Context, exec string, options container.ResizeOptions) error
	ContainerInspect(ctx context.Context, container string) (container.InspectResponse, error)
	ClientVersion() string
}

// detachKeys switches detaching off as far as the Engine lets it: empty, it
// would mean ctrl-p,ctrl-q and hold every ^P back until the next key. Of all
// keys, ^@ is missed least while it waits for the key that follows it.
const detachKeys = "ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^"

// A stream is the connection of a started exec.
type stream struct {
	net.Conn               // what is written is the command's stdin
	output   *bufio.Reader // what the command writes: raw with a TTY, else in frames
}

// closeWrite tells the command that its stdin is at its end.
func (s *stream) closeWrite() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// create makes an exec that has not started. It can't be deleted, so whoever
// calls it is sure to start it.
func (c *Cmd) create(ctx context.Context, args []string, token string) (id string, err error) {
	options := container.ExecOptions{
		User:         c.User,
		Privileged:   c.Privileged,
		Tty:          c.TTY,
		AttachStdin:  c.Stdin != nil,
		AttachStdout: !c.detached,
		AttachStderr: !c.TTY && !c.detached,
		Env:          append(c.Env[:len(c.Env):len(c.Env)], tokenVariable+"="+token),
		WorkingDir:   c.Dir,
		Cmd:          args,
	}
	if c.TTY {
		options.DetachKeys = detachKeys
		options.ConsoleSize = c.Size.console()
	}
	created, err := c.Engine.ContainerExecCreate(ctx, c.Container, options)
	return created.ID, err
}

// start starts the exec and returns its connection. An Engine that does not
// answer can't hold Run back: the request goes on alone when ctx is done.
func (c *Cmd) start(ctx context.Context, id string) (*stream, error) {
	type answer struct {
		stream *stream
		err    error
	}
	answers := make(chan answer)
	go func() {
		options := container.ExecAttachOptions{Tty: c.TTY}
		if c.TTY {
			options.ConsoleSize = c.Size.console()
		}
		attached, err := c.Engine.ContainerExecAttach(ctx, id, options)
		got := answer{err: err}
		if err == nil {
			got.stream = &stream{Conn: attached.Conn, output: attached.Reader}
		}
		select {
		case answers <- got:
		case <-ctx.Done():
			if got.stream != nil {
				got.stream.Close()
			}
		}
	}()
	select {
	case got := <-answers:
		return got.stream, got.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// A state is what the Engine says of an exec.
type state struct {
	running bool
	code    int  // of no meaning while running
	pid     int  // of the command, where the Engine runs; 0: there has never been a process
	started bool // whether there has ever been one
	unknown bool // not running, and without a code
}

func (c *Cmd) inspect(ctx context.Context, id string) (state, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, errSilent)
	defer cancel()
	got, err := c.state(ctx, id)
	if err != nil && context.Cause(ctx) == errSilent {
		err = errSilent
	}
	now := state{running: got.Running, code: got.ExitCode, pid: got.Pid, started: got.Pid != 0}
	if s := c.Spare; s != nil && s.Exec == id {
		now.started = true // long ago
	}
	if errors.Is(err, ErrNoStatus) {
		now.unknown, err = true, nil
	}
	return now, err
}

// state is the Engine's inspect, by whoever has a connection already. To ask twice does no
// harm.
func (c *Cmd) state(ctx context.Context, id string) (container.ExecInspect, error) {
	if s := c.Spare; s != nil && s.State != nil && s.Exec == id {
		if got, err := s.State(ctx); err == nil || errors.Is(err, ErrNoStatus) {
			return got, err
		}
	}
	return c.Engine.ContainerExecInspect(ctx, id)
}

func (c *Cmd) resize(ctx context.Context, id string, size Size) error {
	return c.Engine.ContainerExecResize(ctx, id, container.ResizeOptions{Height: size.Rows, Width: size.Columns})
}
