package main

import (
	"syscall"
	"testing"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// A run that waits begins with the container's health, ends with a signal, and says
// meanwhile what it waits for.
func TestWaitForHealth(t *testing.T) {
	t.Parallel()
	for _, healthy := range []bool{true, false} {
		e := enginetest.Fake(t, enginetest.Container{Health: "starting"})
		p := start(t, in(t, e, "docker-toxrun", "--wait", "5m", "exec", "echo", "hi"))
		p.err.expect(t, "is starting\n")
		e.Engine.SetHealth(e.Container, "unhealthy")
		p.err.expect(t, "is unhealthy\n")
		if !healthy {
			p.Process.Signal(syscall.SIGTERM)
			p.exits(t, 128+15)
			if got := p.out.String(); got != "" {
				t.Errorf("stdout %q", got)
			}
			continue
		}
		e.Engine.SetHealth(e.Container, "healthy")
		p.exits(t, 0)
		if got := p.out.String(); got != "hi\n" {
			t.Errorf("stdout %q", got)
		}
	}
}
