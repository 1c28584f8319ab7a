package enginetest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
)

func (e *Engine) start(b *box) error {
	b.change.Lock()
	defer b.change.Unlock()
	return e.startLocked(b)
}

func (e *Engine) startLocked(b *box) error {
	e.mu.Lock()
	switch b.status {
	case container.StatePaused:
		e.mu.Unlock()
		return &apiError{http.StatusConflict, "cannot start a paused container, try unpause instead"}
	case container.StateRunning:
		e.mu.Unlock()
		return &apiError{http.StatusNotModified, ""}
	}
	b.status = container.StateRunning
	b.exitCode = 0
	b.started = time.Now()
	b.stopped = make(chan struct{})
	b.killed = make(chan struct{})
	e.mu.Unlock()
	e.events.log(b, "start")
	return nil
}

// stop sends what would be the container's StopSignal: its main process heeds
// nothing else.
func (e *Engine) stop(b *box) error {
	b.change.Lock()
	defer b.change.Unlock()
	if err := e.running(b); err != nil {
		return &apiError{http.StatusNotModified, ""}
	}
	e.events.log(b, "kill", "signal", "9")
	if err := e.endLocked(b, 137, container.StateExited); err != nil {
		return err
	}
	e.events.log(b, "stop")
	return nil
}

// signal is docker kill. The main process has nothing that a signal other than
// KILL would end.
func (e *Engine) signal(b *box, name string) error {
	b.change.Lock()
	defer b.change.Unlock()
	if err := e.running(b); err != nil {
		return err
	}
	switch name {
	case "", "KILL", "SIGKILL", "9":
		e.events.log(b, "kill", "signal", "9")
		return e.endLocked(b, 137, container.StateExited)
	}
	e.events.log(b, "kill", "signal", name)
	return nil
}

func (e *Engine) restart(b *box) error {
	b.change.Lock()
	defer b.change.Unlock()
	if e.running(b) == nil {
		e.events.log(b, "kill", "signal", "9")
		if err := e.endLocked(b, 137, container.StateExited); err != nil {
			return err
		}
		e.events.log(b, "stop")
	}
	if err := e.startLocked(b); err != nil {
		return err
	}
	e.events.log(b, "restart")
	return nil
}

func (e *Engine) remove(b *box, force bool) error {
	b.change.Lock()
	defer b.change.Unlock()
	if e.running(b) == nil {
		if !force {
			return &apiError{http.StatusConflict, "You cannot remove a running container " + b.id +
				". Stop the container before attempting removal or force remove"}
		}
		e.events.log(b, "kill", "signal", "9")
		if err := e.endLocked(b, 137, container.StateExited); err != nil {
			return err
		}
	}
	e.mu.Lock()
	delete(e.containers, b.id)
	for id, x := range e.execs {
		if x.box == b {
			delete(e.execs, id)
		}
	}
	e.mu.Unlock()
	e.events.log(b, "destroy")
	return nil
}

func (e *Engine) rename(b *box, name string) error {
	e.mu.Lock()
	old := b.Name
	b.Name = name
	e.mu.Unlock()
	e.events.log(b, "rename", "oldName", "/"+old)
	return nil
}

func (e *Engine) pause(b *box) error {
	b.change.Lock()
	defer b.change.Unlock()
	e.mu.Lock()
	switch b.status {
	case container.StateRunning:
		b.status = container.StatePaused
	case container.StatePaused:
		e.mu.Unlock()
		return &apiError{http.StatusConflict, "Container " + b.id + " is already paused"}
	default:
		e.mu.Unlock()
		return e.errNotRunning(b)
	}
	e.mu.Unlock()
	if err := b.freeze(); err != nil {
		return err
	}
	e.events.log(b, "pause")
	return nil
}

func (e *Engine) unpause(b *box) error {
	b.change.Lock()
	defer b.change.Unlock()
	e.mu.Lock()
	paused := b.status == container.StatePaused
	e.mu.Unlock()
	if !paused {
		return &apiError{http.StatusInternalServerError, "Container " + b.id + " is not paused"}
	}
	if err := b.thaw(); err != nil {
		return err
	}
	e.mu.Lock()
	b.status = container.StateRunning
	e.mu.Unlock()
	e.events.log(b, "unpause")
	return nil
}

func (e *Engine) end(b *box, code int, status string) error {
	b.change.Lock()
	defer b.change.Unlock()
	return e.endLocked(b, code, status)
}

// endLocked kills the container's processes and then, when their execs have
// ended, the container. The caller holds b.change.
func (e *Engine) endLocked(b *box, code int, status string) error {
	e.mu.Lock()
	b.dying = true
	var started []*instance
	for _, x := range b.execs {
		if x.pid != 0 {
			started = append(started, x)
		}
	}
	e.mu.Unlock()
	if err := b.kill(); err != nil {
		return err
	}
	for _, x := range started {
		<-x.ended
	}
	b.closeFiles()
	e.mu.Lock()
	// Execs that have ended can still be inspected, those that were never
	// started can't.
	for id := range b.execs {
		delete(b.execs, id)
		delete(e.execs, id)
	}
	b.dying = false
	b.status = status
	b.exitCode = code
	b.finished = time.Now()
	if b.stopped != nil {
		close(b.stopped)
		b.stopped = nil
	}
	e.mu.Unlock()
	e.events.log(b, "die", "exitCode", strconv.Itoa(code))
	return nil
}

// running returns nil if the container runs, paused or not.
func (e *Engine) running(b *box) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if b.status != container.StateRunning && b.status != container.StatePaused {
		return e.errNotRunning(b)
	}
	return nil
}

// ready returns nil if an exec may be created or started. The caller holds e.mu.
// name is how the request named the container.
func (e *Engine) ready(b *box, name string) error {
	switch {
	case b.status == container.StatePaused:
		return &apiError{http.StatusConflict, "Container " + name + " is paused, unpause the container before exec"}
	case b.status == container.StateRestarting:
		return &apiError{http.StatusConflict, "Container " + b.id + " is restarting, wait until the container is running"}
	case b.status != container.StateRunning || b.dying:
		return e.errNotRunning(b)
	}
	return nil
}

func (e *Engine) errNotRunning(b *box) error {
	word := "Container"
	if e.atLeast("1.42") {
		word = "container"
	}
	return &apiError{http.StatusConflict, word + " " + b.id + " is not running"}
}

func (b *box) closeFiles() {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	for _, f := range b.files {
		f.Close()
	}
	b.files = nil
}
