package execproxy_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// signaled sends a signal once the exec has started, and answers when it is taken.
type signaled struct {
	execproxy.Engine
	signals chan<- os.Signal
}

func (e signaled) ContainerExecStart(ctx context.Context, exec string, options container.ExecStartOptions) error {
	err := e.Engine.ContainerExecStart(ctx, exec, options)
	if options.Detach {
		e.signals <- syscall.SIGTERM
	}
	return err
}

func TestSignalBeforeStartReturnsEndsTheCommand(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		signals := make(chan os.Signal)
		c := execproxy.Command(signaled{e.Client, signals}, e.Container, "sleep", "87654")
		c.Signals = signals
		_, err := c.Start(t.Context())
		var signal *execproxy.SignalError
		if !errors.As(err, &signal) || signal.Signal != syscall.SIGTERM || signal.Cause != "" {
			t.Errorf("Start() = %v, want SIGTERM", err)
		}
		if left := e.Processes(t, "87654"); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}
