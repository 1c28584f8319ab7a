// Package enginetest is a Docker Engine for tests: an http.Handler on a real
// unix socket whose containers are names and whose execs are real processes of
// the test machine. [Each] runs one test body on it and on the real Engine.
//
// A container can also have its execs simulated ([Container].Simulated), where
// there would be too many processes for the machine.
//
// The Engine does to an exec's streams, its exit status and its inspection what
// the real one does, with that one's oddities, measured on Engine 20.10 (API
// 1.41) and, for later versions, read in moby 28.5. Tests of this package run
// the same bodies on both and so keep them alike.
//
// It knows nothing of isolation: an exec sees the machine's files, programs and
// process IDs, so "kill 1" in it means the machine's process 1, and its pwd is a
// directory of the machine. The processes of a container are those that carry
// its marker in their environment, their sessions and their descendants; one that
// drops the marker, starts a session of its own and loses its parent is nobody's.
package enginetest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
)

// DefaultAPIVersion is what an [Engine] speaks unless told otherwise: the
// version of Engine 20.10, the oldest one in wide use.
const DefaultAPIVersion = "1.41"

// An Engine is a Docker Engine for one test. Set its fields, then call Start.
// Its methods may be called from several goroutines.
type Engine struct {
	// APIVersion is the highest version of the API that the engine accepts,
	// and decides which Engine's behaviour it shows. Empty means
	// [DefaultAPIVersion].
	APIVersion string

	t      Test
	socket string
	events eventLog

	handlers sync.WaitGroup // requests being answered
	work     sync.WaitGroup // goroutines of execs

	mu         sync.Mutex
	server     *http.Server // nil while the engine is dead
	life       chan struct{}
	hijacked   map[net.Conn]bool
	requests   []string
	fault      func(http.ResponseWriter, *http.Request) bool
	containers map[string]*box // by ID
	all        []*box          // and those that were removed
	execs      map[string]*instance
}

// A Test is what an [Engine] needs of a testing.TB, so that a program that
// simulates can be one, too.
type Test interface {
	Helper()
	Cleanup(func())
	Error(...any)
	Fatal(...any) // does not return
}

// Start listens on a unix socket in a directory of its own. At the end of t
// every connection is closed and every process of an exec is killed; the
// engine's goroutines are gone before t's cleanup has ended.
func (e *Engine) Start(t Test) {
	t.Helper()
	if e.APIVersion == "" {
		e.APIVersion = DefaultAPIVersion
	}
	// Not t.TempDir: with a long test name the path would outgrow the 104
	// bytes that a socket's address has on some systems.
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	e.t = t
	e.socket = filepath.Join(dir, "sock")
	e.hijacked = make(map[net.Conn]bool)
	e.containers = make(map[string]*box)
	e.execs = make(map[string]*instance)
	t.Cleanup(func() {
		e.close()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	e.listen()
}

// listen opens the socket and serves it until the engine dies or the test ends.
func (e *Engine) listen() {
	e.t.Helper()
	if err := os.Remove(e.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		e.t.Fatal(err)
	}
	l, err := net.Listen("unix", e.socket)
	if err != nil {
		e.t.Fatal(err)
	}
	// A dead daemon leaves its socket behind, so that a client is refused.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	server := &http.Server{Handler: e}
	e.mu.Lock()
	e.server = server
	e.life = make(chan struct{})
	e.mu.Unlock()
	e.work.Add(1)
	go func() {
		defer e.work.Done()
		server.Serve(l)
	}()
}

// Host is the engine's address as DOCKER_HOST takes it, "unix:///...".
func (e *Engine) Host() string { return "unix://" + e.socket }

// Client returns a client that speaks the engine's API version and so asks for
// no version first. For one that negotiates, give Host to [client.NewClientWithOpts].
func (e *Engine) Client() *client.Client {
	e.t.Helper()
	c, err := client.NewClientWithOpts(client.WithHost(e.Host()), client.WithVersion(e.APIVersion))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { c.Close() })
	return c
}

// Requests returns what was asked of the engine since the start or the last
// ResetRequests, in order: method and path, without version and query, IDs and
// names replaced: "POST /containers/{id}/exec".
func (e *Engine) Requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.requests...)
}

// ResetRequests forgets the requests so far.
func (e *Engine) ResetRequests() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = nil
}

// Fault sets what sees each request before the engine does, to be slow, to fail
// or to hang up where the real Engine can't be made to. It reports whether it has
// answered. It runs on the request's goroutine, so several may run at once. Nil,
// the start, is none. [Route] names the request; [Fail] is a ready one.
func (e *Engine) Fault(f func(w http.ResponseWriter, r *http.Request) (answered bool)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fault = f
}

// Fail answers the next n requests of one route, "POST /containers/{id}/exec",
// with an error of that status and text. It is for [Engine.Fault].
func Fail(route string, status int, message string, n int) func(http.ResponseWriter, *http.Request) bool {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if n == 0 || Route(r) != route {
			return false
		}
		n--
		writeError(w, &apiError{status, message})
		return true
	}
}

// Die is a killed daemon: every connection is cut at once and the socket
// refuses new ones, but the processes of execs live on. Unlike with the real
// one their output does not pile up, it is lost.
func (e *Engine) Die() {
	e.mu.Lock()
	server := e.server
	if server == nil {
		e.mu.Unlock()
		return
	}
	e.server = nil
	close(e.life)
	conns := e.hijacked
	e.hijacked = make(map[net.Conn]bool)
	e.mu.Unlock()
	server.Close()
	for c := range conns {
		c.Close()
	}
}

// Revive starts a dead engine again, on the same socket. As with a real one
// whose containers outlive the daemon ("live-restore"), containers are as they
// were and no exec is known any more, though its processes live.
func (e *Engine) Revive() {
	e.t.Helper()
	e.mu.Lock()
	if e.server != nil {
		e.mu.Unlock()
		return
	}
	e.execs = make(map[string]*instance)
	for _, b := range e.containers {
		b.execs = make(map[string]*instance)
	}
	e.mu.Unlock()
	e.listen()
}

func (e *Engine) close() {
	e.Die() // from here on no process starts
	e.mu.Lock()
	all := e.all
	e.mu.Unlock()
	for _, b := range all {
		if err := b.kill(); err != nil {
			e.t.Error(err)
		}
	}
	e.handlers.Wait()
	e.work.Wait()
	for _, b := range all {
		b.closeFiles()
	}
}

// atLeast tells whether the engine behaves as one of that API version does.
func (e *Engine) atLeast(version string) bool {
	return versions.GreaterThanOrEqualTo(e.APIVersion, version)
}

// alive returns what is closed when the engine dies.
func (e *Engine) alive() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.life
}

// hijack takes the connection from the server. It is closed when the engine
// dies, or ends.
func (e *Engine) hijack(w http.ResponseWriter) (*stream, error) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	dead := e.server == nil
	if !dead {
		e.hijacked[conn] = true
	}
	e.mu.Unlock()
	if dead {
		conn.Close()
		return nil, context.Canceled
	}
	return &stream{conn: conn, in: buf.Reader}, nil
}

// find returns the container of that ID, name or unique beginning of an ID.
// The caller holds e.mu.
func (e *Engine) find(name string) (*box, error) {
	if b := e.containers[name]; b != nil {
		return b, nil
	}
	var found *box
	for id, b := range e.containers {
		if b.Name == strings.TrimPrefix(name, "/") {
			return b, nil
		}
		if name != "" && strings.HasPrefix(id, name) {
			if found != nil {
				return nil, &apiError{http.StatusBadRequest, "Multiple IDs found with provided prefix: " + name}
			}
			found = b
		}
	}
	if found == nil {
		return nil, &apiError{http.StatusNotFound, "No such container: " + name}
	}
	return found, nil
}
