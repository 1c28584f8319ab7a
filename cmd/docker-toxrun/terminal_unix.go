//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// foreground tells whether the shell has left the terminal to us.
func (t *terminal) foreground() bool {
	group, err := unix.IoctlGetInt(int(t.std.in.Fd()), unix.TIOCGPGRP)
	return err != nil || group == syscall.Getpgrp()
}

// A foregroundReader reads a terminal, and waits while we are in the background:
// what is typed then is the shell's.
type foregroundReader struct {
	*terminal
}

// turnTime is how often a reader in the background looks whether it is its turn.
const turnTime = 100 * time.Millisecond

func (r foregroundReader) Read(p []byte) (int, error) {
	for {
		// A read that has begun in the foreground would take what is typed for the
		// shell after ^Z, so none begins before there is something to read.
		fd := int(r.std.in.Fd())
		var set unix.FdSet
		set.Set(fd)
		if _, err := unix.Select(fd+1, &set, nil, nil, nil); err == unix.EINTR {
			continue
		}
		if !r.foreground() {
			time.Sleep(turnTime)
			continue
		}
		// SIGTTIN is ignored: a read that has come into the background meanwhile
		// fails with EIO in place of stopping us.
		n, err := r.std.in.Read(p)
		if errors.Is(err, syscall.EIO) && !r.foreground() {
			continue
		}
		return n, err
	}
}

// receiveSignals receives what is passed on to the command. One that was ignored
// when we were started, as nohup has it, stays so.
func receiveSignals() (r received, stop func()) {
	signals := make(chan os.Signal, 16)
	for _, sig := range []os.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM,
		syscall.SIGUSR1, syscall.SIGUSR2,
	} {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
	signal.Ignore(syscall.SIGTTIN)
	closed := pluginClosed()
	relayed := make(chan os.Signal, 16)
	done := make(chan struct{})
	j := job{suspensions: make(chan chan<- struct{}), done: done}
	if !signal.Ignored(syscall.SIGTSTP) {
		go j.follow(signals)
	}
	go relay(signals, closed, relayed, done)
	return received{relayed, j.suspend}, func() {
		close(done)
		// Each takes the runtime 50 µs (measured), and most often the process ends before.
		go func() {
			signal.Stop(signals)
			signal.Reset(syscall.SIGTTIN)
		}()
	}
}

// holdPipe makes a write to a closed stdout an error in place of our death by
// SIGPIPE, which docker would report as 255, to the end of the process.
func holdPipe() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// resizes sends the window's size whenever it changes.
func (t *terminal) resizes() (<-chan execproxy.Size, func()) {
	changes := make(chan os.Signal, 1)
	// A job that is stopped or in the background is not told of a change.
	signal.Notify(changes, syscall.SIGWINCH, syscall.SIGCONT)
	sizes := make(chan execproxy.Size)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-changes:
			case <-done:
				return
			}
			select {
			case sizes <- t.size():
			case <-done:
				return
			}
		}
	}()
	return sizes, func() {
		signal.Stop(changes)
		close(done)
	}
}

// self is the caller's uid:gid.
func self() (string, error) { return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()), nil }
