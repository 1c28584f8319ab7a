package main

import (
	"os"
	"syscall"
	"time"

	"github.com/docker/cli/cli-plugins/socket"
)

// pluginClosed is closed when docker, in front of us, has closed the socket that
// it gives its plugins: its way of passing on SIGINT and SIGTERM where stdout is
// no terminal, and what is left of it when it was killed.
func pluginClosed() <-chan struct{} {
	closed := make(chan struct{})
	socket.ConnectAndWait(func() { close(closed) })
	return closed
}

// signalTime is how long docker's closed socket waits for a signal to explain
// it: one from the terminal reaches docker and us at the same time.
const signalTime = 100 * time.Millisecond

// relay passes signals on until done. docker's closed socket counts as SIGTERM,
// unless a signal that ends us has come as well.
func relay(signals <-chan os.Signal, closed <-chan struct{}, received chan<- os.Signal, done <-chan struct{}) {
	var explained bool
	var late <-chan time.Time
	for {
		var sig os.Signal
		select {
		case sig = <-signals:
			explained = explained || sig == os.Interrupt || sig == syscall.SIGTERM
		case <-closed:
			closed, late = nil, time.After(signalTime)
			continue
		case <-late:
			if late = nil; explained {
				continue
			}
			sig = syscall.SIGTERM
		case <-done:
			return
		}
		select {
		case received <- sig:
		case <-done:
			return
		}
	}
}
