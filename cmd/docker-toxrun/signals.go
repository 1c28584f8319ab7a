package main

import (
	"os"
	"syscall"
	"time"

	"github.com/docker/cli/cli-plugins/socket"
)

// received are the signals that came for the command.
type received struct {
	signals <-chan os.Signal

	// suspend stops this process as ^Z would have, with the terminal as the shell
	// wants it, and returns when it goes on. With docker in front the shell need not
	// wait for us: a job that it has continued meanwhile goes on.
	suspend func()
}

// pluginClosed is closed when docker, in front of us, has closed the socket that
// it gives its plugins: its way of passing on SIGINT and SIGTERM where stdout is
// no terminal, and what is left of it when it was killed.
func pluginClosed() <-chan struct{} {
	closed := make(chan struct{})
	socket.ConnectAndWait(func() { close(closed) })
	return closed
}

const (
	// onceTime is within which a signal that comes twice has been sent once:
	// timeout(1) sends its own to its child and then to the child's group. A
	// person's second ^C takes longer.
	onceTime = 100 * time.Millisecond

	// explainTime is how far apart docker's closed socket and a signal may be that
	// are one: the terminal signals docker and us at the same time, and either may
	// be slow.
	explainTime = time.Second

	// lateTime is how long docker's closed socket waits for a signal to explain it.
	lateTime = 100 * time.Millisecond
)

// relay passes signals on until done. docker's closed socket counts as SIGTERM,
// unless a signal that ends us has come as well.
func relay(signals <-chan os.Signal, closed <-chan struct{}, relayed chan<- os.Signal, done <-chan struct{}) {
	var last time.Time // when a signal that ends us has come
	came := map[os.Signal]time.Time{}
	var late <-chan time.Time
	for {
		var sig os.Signal
		select {
		case sig = <-signals:
			switch sig {
			case syscall.SIGHUP, os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM:
				before := came[sig]
				last = time.Now()
				came[sig] = last
				if last.Sub(before) < onceTime {
					continue
				}
			}
		case <-closed:
			closed, late = nil, time.After(lateTime)
			continue
		case <-late:
			if late = nil; time.Since(last) < explainTime {
				continue
			}
			sig = syscall.SIGTERM
		case <-done:
			return
		}
		select {
		case relayed <- sig:
		case <-done:
			return
		}
	}
}
