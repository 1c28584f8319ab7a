package enginetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/versions"
)

// An instance is one exec, from its creation on. Its fields are the engine's to
// lock, but for those that say otherwise.
type instance struct {
	id   string
	box  *box
	opts container.ExecOptions

	running  bool
	exitCode *int // nil until it has ended
	pid      int  // 0 until it has started
	reaped   bool // its process is gone, its process ID anybody's
	seen     bool // a client has been told the process ID
	tty      *os.File
	conn     net.Conn // of the client, nil where there is none

	tried chan struct{} // closed when its start has succeeded or failed
	ended chan struct{} // closed when a started one has ended

	// drain is held while the output of an ended exec is waited for, and by
	// inspect. Engines before API 1.42 don't lock there.
	drain sync.Mutex
}

func (e *Engine) createExec(c *call) error {
	x := &instance{id: newID(), tried: make(chan struct{}), ended: make(chan struct{})}
	if err := readJSON(c.r, &x.opts); err != nil {
		return err
	}
	if len(x.opts.Cmd) == 0 {
		return &apiError{http.StatusBadRequest, "No exec command specified"}
	}
	e.mu.Lock()
	b, err := e.find(c.id)
	if err == nil {
		err = e.ready(b, c.id)
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	x.box = b
	if versions.LessThan(c.version, "1.42") {
		x.opts.ConsoleSize = nil
	}
	if x.opts.User == "" {
		x.opts.User = b.User
	} else if e.atLeast("1.50") { // earlier Engines notice at the start
		if _, err := lookupUser(x.opts.User); err != nil {
			return &apiError{http.StatusBadRequest, err.Error()}
		}
	}
	if x.opts.WorkingDir == "" {
		x.opts.WorkingDir = b.Dir
	}
	e.mu.Lock()
	err = e.ready(b, c.id)
	if err == nil {
		b.execs[x.id] = x
		e.execs[x.id] = x
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	e.events.log(b, "exec_create: "+x.command(), "execID", x.id)
	return writeJSON(c.w, http.StatusCreated, container.ExecCreateResponse{ID: x.id})
}

// findExec returns an exec that may be started or resized.
func (e *Engine) findExec(id string) (*instance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.execs[id]
	if x == nil {
		return nil, errNoExec(id)
	}
	return x, e.ready(x.box, x.box.id)
}

func errNoExec(id string) error {
	return &apiError{http.StatusNotFound, "No such exec instance: " + id}
}

func (e *Engine) startExec(c *call) error {
	var opts container.ExecStartOptions
	if err := readJSON(c.r, &opts); err != nil {
		return err
	}
	x, err := e.findExec(c.id)
	if err != nil {
		return err
	}
	if !opts.Tty || versions.LessThan(c.version, "1.42") {
		opts.ConsoleSize = nil
	}
	if opts.ConsoleSize == nil {
		opts.ConsoleSize = x.opts.ConsoleSize
	}
	if opts.Detach {
		return e.run(x, opts.ConsoleSize, nil)
	}

	// From here on there is no status to tell an error with: as the real
	// Engine does, it is written to the output.
	s, err := e.hijack(c.w)
	if err != nil {
		return err
	}
	if !x.box.EndLost {
		defer s.CloseWrite()
	}
	if err := s.writeHeader(c, opts.Tty); err != nil {
		return nil
	}
	s.tty = opts.Tty
	if err := e.run(x, opts.ConsoleSize, s); err != nil {
		fmt.Fprintf(s.output(stdout), "%v\r\n", err)
	}
	return nil
}

// run starts x and returns when its streams have ended; without streams, when
// it has started.
func (e *Engine) run(x *instance, size *[2]uint, s *stream) error {
	e.mu.Lock()
	word := "Error: Exec command "
	if e.atLeast("1.42") {
		word = "exec command "
	}
	switch {
	case x.exitCode != nil:
		e.mu.Unlock()
		return &apiError{http.StatusConflict, word + x.id + " has already run"}
	case x.running:
		e.mu.Unlock()
		return &apiError{http.StatusConflict, word + x.id + " is already running"}
	}
	x.running = true
	if s != nil {
		x.conn = s.conn
	}
	e.mu.Unlock()
	e.events.log(x.box, "exec_start: "+x.command(), "execID", x.id)

	err := e.runProcess(x, size, s)
	if err == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(x.box.execs, x.id)
	x.running = false
	// Up to Engine 27 this takes the place of the process's own status, even
	// that of a process that has ended, or has not.
	if x.exitCode == nil || !e.atLeast("1.48") {
		code := 126
		if f, ok := errors.AsType[*startError](err); ok && e.atLeast("1.48") {
			code = f.code
		}
		x.exitCode = &code
	}
	return err
}

// finished is called when the process of x has ended. drain waits for its
// output, at most 2 s, and lets go of it.
func (e *Engine) finished(x *instance, code int, drain func()) {
	// One after the other, as everything that happens in a container: while one
	// exec's output is waited for, the others have not ended for the Engine.
	x.box.exits.Lock()
	defer x.box.exits.Unlock()
	locks := e.atLeast("1.42")
	if locks {
		x.drain.Lock()
		defer x.drain.Unlock()
	}
	e.mu.Lock()
	_, ours := x.box.execs[x.id] // else its start has failed, or a daemon that died has forgotten it
	if ours {
		if locks {
			delete(x.box.execs, x.id)
		}
		x.exitCode = &code
		x.running = false
	}
	e.mu.Unlock()
	drain()
	if ours {
		e.mu.Lock()
		delete(x.box.execs, x.id)
		e.mu.Unlock()
	} else {
		code = 127
	}
	e.events.log(x.box, "exec_die", "execID", x.id, "exitCode", strconv.Itoa(code))
	close(x.ended)
}

func (e *Engine) resizeExec(c *call) error {
	x, err := e.findExec(c.id)
	if err != nil {
		return err
	}
	h, err := strconv.Atoi(c.r.URL.Query().Get("h"))
	if err != nil {
		return &apiError{http.StatusBadRequest, err.Error()}
	}
	w, err := strconv.Atoi(c.r.URL.Query().Get("w"))
	if err != nil {
		return &apiError{http.StatusBadRequest, err.Error()}
	}
	late := time.NewTimer(10 * time.Second) // the real one's
	defer late.Stop()
	select {
	case <-x.tried:
	case <-c.r.Context().Done():
		return nil
	case <-late.C:
		return errors.New("timeout waiting for exec session ready")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case x.pid == 0 && e.atLeast("1.42"):
		return &apiError{http.StatusBadRequest, "exec process is not started"}
	case x.pid == 0:
		return &apiError{http.StatusNotFound, "no such exec"}
	case !x.running:
		return &apiError{http.StatusNotFound, "process does not exist " + x.id + ": not found"}
	}
	if x.tty == nil {
		return nil
	}
	return setSize(x.tty, uint16(h), uint16(w))
}

func (e *Engine) inspectExec(c *call) error {
	e.mu.Lock()
	x := e.execs[c.id]
	e.mu.Unlock()
	if x == nil {
		return errNoExec(c.id)
	}
	if e.atLeast("1.42") {
		x.drain.Lock()
		defer x.drain.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	x.seen = x.pid != 0
	process := map[string]any{
		"tty":        x.opts.Tty,
		"entrypoint": x.opts.Cmd[0],
		"arguments":  x.opts.Cmd[1:],
		"privileged": x.opts.Privileged,
	}
	if x.opts.User != "" {
		process["user"] = x.opts.User
	}
	return writeJSON(c.w, http.StatusOK, map[string]any{
		"ID":            x.id,
		"Running":       x.running,
		"ExitCode":      x.exitCode,
		"ProcessConfig": process,
		"OpenStdin":     x.opts.AttachStdin,
		"OpenStdout":    x.opts.AttachStdout,
		"OpenStderr":    x.opts.AttachStderr,
		"CanRemove":     false,
		"ContainerID":   x.box.id,
		"DetachKeys":    "",
		"Pid":           x.pid,
	})
}

// command is how events name it.
func (x *instance) command() string {
	return x.opts.Cmd[0] + " " + strings.Join(x.opts.Cmd[1:], " ")
}

// readJSON reads the whole body: what it left on a connection that is then
// hijacked would be input.
func readJSON(r *http.Request, v any) error {
	b, err := io.ReadAll(r.Body)
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return &apiError{http.StatusBadRequest, err.Error()}
	}
	return nil
}
