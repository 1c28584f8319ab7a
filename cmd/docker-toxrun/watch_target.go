package main

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
)

// A watched is a container of a watch, which may stop, restart and be recreated
// meanwhile.
type watched struct {
	engine engine
	lookUp func(context.Context) (*compose.Target, error)
	report *watchReport

	mu        sync.Mutex
	target    *compose.Target   // nil: to be looked up
	connected *execproxy.Client // for the target
	told      string            // why it is waited for, as the user was told
	away      atomic.Bool       // told is not empty
	busy      bool              // a command runs in it, and tells by itself
}

// waitTime is how often a watch looks for a container that is not there.
const waitTime = 500 * time.Millisecond

// find returns the target, as it is now or, where there is none, as soon as there
// is one. Errors are those that no waiting mends.
func (w *watched) find(ctx context.Context) (*compose.Target, error) {
	return untilThere(ctx, func() (*compose.Target, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		target, err := w.current(ctx)
		w.busy = err == nil
		return target, err
	})
}

// untilThere returns what look does, which is called again as long as its error is that
// something is not there and may come.
func untilThere[T any](ctx context.Context, look func() (T, error)) (T, error) {
	for {
		there, err := look()
		if _, mends := waits(err); err == nil || !mends && ctx.Err() == nil {
			return there, err
		}
		select {
		case <-time.After(waitTime):
		case <-ctx.Done():
			return there, context.Cause(ctx)
		}
	}
}

// current returns the target, or looks for it once. w.mu is held.
func (w *watched) current(ctx context.Context) (*compose.Target, error) {
	if w.target != nil {
		return w.target, nil
	}
	target, err := w.lookUp(ctx)
	if err == nil {
		err = w.connect(target)
	}
	if err != nil {
		if why, mends := waits(err); mends {
			w.wait(why)
		}
		return nil, err
	}
	if w.told != "" {
		w.told = ""
		w.away.Store(false)
		w.report.notice("goes on in container "+target.ContainerName, "")
	}
	return target, nil
}

// wait says, once, what is waited for.
func (w *watched) wait(why string) {
	if why != w.told {
		w.report.waiting(why)
		w.told = why
		w.away.Store(true)
	}
}

// look looks for the target between two runs.
func (w *watched) look(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.busy:
	case w.target == nil:
		_, _ = w.current(ctx) // it has told
	case !w.engine.runs(ctx, w.target) && ctx.Err() == nil:
		name := w.target.ContainerName
		w.forget()
		if _, err := w.current(ctx); err == nil {
			w.report.notice("container "+name+" was replaced or restarted", "")
		}
	}
}

// leave takes in that the command that ran in the target has ended with err. It
// tells whether that is for the target's being gone, which is looked up again then.
func (w *watched) leave(ctx context.Context, target *compose.Target, err error) (gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
	_, mends := waits(err)
	gone = outdated(err) || execproxy.Died(err) || mends && !w.engine.runs(ctx, target) // else it was the connection
	if gone {
		w.forget()
	}
	return gone
}

// waits tells whether err is a container or an Engine that may come back, and what
// to say meanwhile.
func waits(err error) (why string, mends bool) {
	if err == nil {
		return "", false
	}
	if down, ok := errors.AsType[*compose.NotRunningError](err); ok {
		return down.Error(), true
	}
	if gone, ok := errors.AsType[*execproxy.GoneError](err); ok {
		return gone.Error(), true
	}
	if _, silent := errors.AsType[silentError](err); silent || client.IsErrConnectionFailed(err) {
		return "no docker engine answers", true
	}
	if lost, ok := errors.AsType[*execproxy.LostError](err); ok {
		return lost.Error(), true
	}
	return "", false
}

// become has the target be the one to run in from now on, and report tell of it.
func (w *watched) become(target *compose.Target, report *watchReport) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report = report
	if w.target != nil && w.target.Container == target.Container {
		return nil
	}
	w.told = ""
	w.away.Store(false)
	return w.connect(target)
}

// connect takes a target as the one to run in.
func (w *watched) connect(target *compose.Target) error {
	connected, err := w.engine.connect(target.APIVersion)
	if err != nil {
		return err
	}
	w.forget()
	w.target, w.connected = target, connected
	return nil
}

// close ends the connection, when nothing runs any more.
func (w *watched) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget()
}

// forget has the target looked up again.
func (w *watched) forget() {
	if w.connected != nil {
		w.connected.Close()
	}
	w.target, w.connected = nil, nil
}

// changedLimit is how long TOXRUN_CHANGED may be: a variable may have 128 KiB,
// name included (Linux, MAX_ARG_STRLEN).
const changedLimit = 100 << 10

// changedVariable is TOXRUN_CHANGED: the paths in the container of what changed, a
// line each. It leaves out those that are not mounted there, and those that can't be
// told: with a newline, or other bytes than UTF-8. left is how many it left out.
func changedVariable(t *compose.Target, paths []string, count int) (variable string, left int) {
	var b strings.Builder
	left = count - len(paths)
	for _, changed := range paths {
		dir, ok := t.PathFor(filepath.Dir(changed))
		inside := path.Join(dir, filepath.Base(changed))
		if !ok || strings.Contains(inside, "\n") || !utf8.ValidString(inside) || b.Len()+len(inside) > changedLimit {
			left++
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(inside)
	}
	return "TOXRUN_CHANGED=" + b.String(), left
}
