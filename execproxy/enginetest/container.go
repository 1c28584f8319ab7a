package enginetest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
)

// A Container is what the engine says about one, and where its execs start.
// The zero value is a running container without a name of its own.
type Container struct {
	Name   string // without the slash; "" takes one made from the ID
	Image  string // "" is "toxrun-test:busybox"
	Labels map[string]string

	// Mounts are reported. Also, an exec whose working directory is below
	// the destination of one starts at the matching path below its source.
	Mounts []container.MountPoint

	Dir  string   // working directory of the container, "" is "/"
	User string   // as in the image: name or uid, with or without :group; "" is the test's own
	Env  []string // KEY=VALUE, on top of PATH and HOSTNAME
	Tty  bool     // only reported

	// Health is the state of the health check: "starting", "healthy",
	// "unhealthy", or "" where there is none.
	Health string

	// NoShell leaves the container the programs of the image
	// toxrun-test:noshell: cat, echo, env, false, sleep, true and yes.
	NoShell bool

	// EndLost keeps the connections of execs open when their output has ended, as
	// a proxy does that loses the end.
	EndLost bool

	// EarlyEndLost loses the end of an exec's stdin where nothing came before it and
	// no inspection has told that there is a process, as containerd's shim may where
	// the end comes before it has opened the stdin for reading.
	EarlyEndLost bool

	// StartDelay is how long the process of an exec with this command is still to come
	// once the exec runs, as on an Engine that is very busy; nil means not at all.
	StartDelay func(command []string) time.Duration

	// Simulated says what an exec with this command does, in place of a process; nil
	// starts processes. It is called when the exec is started.
	Simulated func(command []string) Simulation

	// Stopped adds a container that was created and not started.
	Stopped bool
}

// A box is a container and its state. Its fields are the engine's to lock.
type box struct {
	Container
	engine *Engine
	id     string

	status   string // as State.Status has it
	exitCode int
	created  time.Time
	started  time.Time
	finished time.Time
	dying    bool                 // its processes are being killed: none may start
	execs    map[string]*instance // created or running, but not ended
	stopped  chan struct{}        // closed when it stops running; nil where it does not run
	killed   chan struct{}        // closed when its processes are killed

	leaders []*instance // every exec whose process was started
	files   []*os.File  // outputs of ended execs, to which their children may still write

	change sync.Mutex // held while the state changes from outside
	exits  sync.Mutex // held while the end of an exec is handled
}

// Add makes a container and returns its ID of 64 hex digits.
func (e *Engine) Add(c Container) string {
	id := newID()
	if c.Name == "" {
		c.Name = "test_" + id[:12]
	}
	if c.Image == "" {
		c.Image = DefaultImage
	}
	b := &box{Container: c, engine: e, id: id, status: container.StateCreated, created: time.Now(), execs: make(map[string]*instance)}
	e.mu.Lock()
	e.containers[id] = b
	e.all = append(e.all, b)
	e.mu.Unlock()
	e.events.log(b, "create")
	if !c.Stopped {
		e.start(b)
	}
	return id
}

// StartContainer starts a container that does not run.
func (e *Engine) StartContainer(id string) { e.must(id, e.start) }

// Stop ends a container as docker stop does: its processes are killed, its
// streams end, exec inspect says 137. Its main process exits with 137 too.
func (e *Engine) Stop(id string) { e.must(id, e.stop) }

// Kill is Stop without the request to stop: there is no stop event.
func (e *Engine) Kill(id string) {
	e.must(id, func(b *box) error { return e.signal(b, "KILL") })
}

// Remove kills a container and forgets it: every request answers 404.
func (e *Engine) Remove(id string) {
	e.must(id, func(b *box) error { return e.remove(b, true) })
}

// Recreate replaces a container by a new one that is the same but for its ID,
// as docker compose up --force-recreate does. It returns the new ID.
func (e *Engine) Recreate(id string) string {
	e.t.Helper()
	e.mu.Lock()
	b, err := e.find(id)
	if err != nil {
		e.mu.Unlock()
		e.t.Error(err)
		return ""
	}
	c := b.Container
	e.mu.Unlock()
	name := c.Name
	c.Name = newID()[:12] + "_" + name // as Compose has it until the old one is gone
	c.Stopped = true
	next := e.Add(c)
	e.Stop(id)
	e.Remove(id)
	e.must(next, func(b *box) error { return e.rename(b, name) })
	e.StartContainer(next)
	return next
}

// Restart stops a container and starts it again, under the same ID.
func (e *Engine) Restart(id string) { e.must(id, e.restart) }

// Pause stops every process of the container until Unpause. The real Engine
// freezes them, which they can't see; here they are sent SIGSTOP.
func (e *Engine) Pause(id string) { e.must(id, e.pause) }

// Unpause lets a paused container go on.
func (e *Engine) Unpause(id string) { e.must(id, e.unpause) }

// Crash ends a container that its restart policy will start again: it is
// "restarting" until StartContainer.
func (e *Engine) Crash(id string) {
	e.must(id, func(b *box) error { return e.end(b, 1, container.StateRestarting) })
}

// SetHealth sets the state of a container's health check.
func (e *Engine) SetHealth(id, health string) {
	e.must(id, func(b *box) error {
		e.mu.Lock()
		b.Health = health
		e.mu.Unlock()
		e.events.log(b, "health_status: "+health)
		return nil
	})
}

// Cut closes the connections of all execs of a container, as a proxy or an ssh
// that dies does. Their processes run on, as after any client that vanishes.
func (e *Engine) Cut(id string) {
	e.must(id, func(b *box) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, x := range b.execs {
			if x.conn != nil {
				x.conn.Close()
			}
		}
		return nil
	})
}

// must does something to a container, and fails the test where that fails. What
// is so already is not a failure.
func (e *Engine) must(id string, f func(*box) error) {
	e.t.Helper()
	e.mu.Lock()
	b, err := e.find(id)
	e.mu.Unlock()
	if err == nil {
		err = f(b)
	}
	if a, ok := errors.AsType[*apiError](err); ok && a.status == http.StatusNotModified {
		return
	}
	if err != nil {
		e.t.Error(err)
	}
}

func newID() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
