package main

import (
	"errors"
	"os"
	"os/signal"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// foreground is always true: there is no job control.
func (t *terminal) foreground() bool { return true }

// A foregroundReader reads the terminal.
type foregroundReader struct {
	*terminal
}

func (r foregroundReader) Read(p []byte) (int, error) { return r.std.in.Read(p) }

// receiveSignals receives what is passed on to the command.
func receiveSignals() (r received, stop func()) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, os.Interrupt)
	relayed := make(chan os.Signal, 16)
	done := make(chan struct{})
	go relay(signals, pluginClosed(), relayed, done)
	return received{relayed, func() {}}, func() {
		signal.Stop(signals)
		close(done)
	}
}

func holdPipe() {}

// lookTime is how often the window's size is looked at: no signal tells.
const lookTime = 250 * time.Millisecond

// resizes sends the window's size whenever it changes.
func (t *terminal) resizes() (<-chan execproxy.Size, func()) {
	sizes := make(chan execproxy.Size)
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(lookTime)
		defer ticker.Stop()
		for last := t.size(); ; {
			select {
			case <-ticker.C:
			case <-done:
				return
			}
			now := t.size()
			if now == last {
				continue
			}
			last = now
			select {
			case sizes <- now:
			case <-done:
				return
			}
		}
	}()
	return sizes, func() { close(done) }
}

// self is the caller's uid:gid, which Windows has not.
func self() (string, error) {
	return "", errors.New("user self: there are no numeric user IDs on Windows")
}
