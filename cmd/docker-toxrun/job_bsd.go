//go:build unix && !linux

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// A heldStop is a stop that comes as SIGSTOP, unless SIGCONT has come since.
type heldStop struct {
	continued chan os.Signal
}

func (h *heldStop) hold() {
	if h.continued == nil {
		h.continued = make(chan os.Signal, 1)
		signal.Notify(h.continued, syscall.SIGCONT)
	}
}

// release returns when the process goes on; at once if there is no stop any more.
func (h *heldStop) release() {
	if h.continued == nil {
		return
	}
	defer func() {
		signal.Stop(h.continued)
		h.continued = nil
	}()
	select {
	case <-h.continued:
		return
	default:
	}
	if syscall.Kill(syscall.Getpid(), syscall.SIGSTOP) == nil {
		<-h.continued
	}
}
