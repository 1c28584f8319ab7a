package enginetest

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"runtime"
	"strings"

	"github.com/docker/docker/api/types/versions"
)

// An apiError is what the engine answers with instead of a result.
type apiError struct {
	status  int
	message string
}

func (e *apiError) Error() string { return e.message }

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if e, ok := errors.AsType[*apiError](err); ok {
		status = e.status
	} else if e, ok := errors.AsType[*startError](err); ok && e.code != 128 {
		status = http.StatusBadRequest
	}
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	writeJSON(w, status, map[string]string{"message": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // fails only if the client has gone
	return nil
}

// version is the /v1.41 in front of a path, and the path after it.
var version = regexp.MustCompile(`^/v(\d+\.\d+)(/.*)$`)

// Route names what a request is about without saying which one: its method and
// its path without version, ID and query, "POST /containers/{id}/exec".
func Route(r *http.Request) string {
	path := r.URL.Path
	if m := version.FindStringSubmatch(path); m != nil {
		path = m[2]
	}
	part := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(part) > 1 && (part[0] == "exec" || part[0] == "containers" && part[1] != "json") {
		part[1] = "{id}"
	}
	return r.Method + " /" + strings.Join(part, "/")
}

// ServeHTTP answers one request of the API, so that a test can put the engine
// behind a listener of its own too, one with TLS for example.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	if e.server == nil {
		e.mu.Unlock()
		panic(http.ErrAbortHandler) // cuts the connection of another listener
	}
	e.handlers.Add(1)
	e.requests = append(e.requests, Route(r))
	fault := e.fault
	e.mu.Unlock()
	defer e.handlers.Done()

	if fault != nil && fault(w, r) {
		return
	}
	h := w.Header()
	h.Set("Api-Version", e.APIVersion)
	h.Set("Docker-Experimental", "false")
	h.Set("Ostype", runtime.GOOS)
	h.Set("Server", "Docker/enginetest ("+runtime.GOOS+")")
	if err := e.serve(w, r); err != nil {
		writeError(w, err)
	}
}

// A call is one request, taken apart.
type call struct {
	w       http.ResponseWriter
	r       *http.Request
	version string // of the API, the engine's own if the client names none
	id      string // {id} in the path
}

func (e *Engine) serve(w http.ResponseWriter, r *http.Request) error {
	c := &call{w: w, r: r, version: e.APIVersion}
	path := r.URL.Path
	if m := version.FindStringSubmatch(path); m != nil {
		c.version, path = m[1], m[2]
	}
	if versions.LessThan(e.APIVersion, c.version) {
		return &apiError{http.StatusBadRequest, "client version " + c.version +
			" is too new. Maximum supported API version is " + e.APIVersion}
	}
	if least := e.minAPIVersion(); versions.LessThan(c.version, least) {
		return &apiError{http.StatusBadRequest, "client version " + c.version +
			" is too old. Minimum supported API version is " + least +
			", please upgrade your client to a newer version"}
	}
	if part := strings.Split(path, "/"); len(part) > 2 {
		c.id = part[2]
	}
	switch Route(r) {
	case "GET /_ping", "HEAD /_ping":
		return e.ping(c)
	case "GET /version":
		return e.version(c)
	case "GET /info":
		return e.info(c)
	case "GET /events":
		return e.serveEvents(w, r)
	case "GET /containers/json":
		return e.listContainers(c)
	case "GET /containers/{id}/json":
		return e.inspectContainer(c)
	case "DELETE /containers/{id}":
		return e.changeContainer(c, func(b *box) error {
			force := r.URL.Query().Get("force")
			return e.remove(b, force == "1" || force == "true")
		})
	case "POST /containers/{id}/start":
		return e.changeContainer(c, e.start)
	case "POST /containers/{id}/stop":
		return e.changeContainer(c, e.stop)
	case "POST /containers/{id}/kill":
		err := e.changeContainer(c, func(b *box) error { return e.signal(b, r.URL.Query().Get("signal")) })
		if err, ok := errors.AsType[*apiError](err); ok {
			return &apiError{err.status, "Cannot kill container: " + c.id + ": " + err.message}
		}
		return err
	case "POST /containers/{id}/restart":
		return e.changeContainer(c, e.restart)
	case "POST /containers/{id}/pause":
		return e.changeContainer(c, e.pause)
	case "POST /containers/{id}/unpause":
		return e.changeContainer(c, e.unpause)
	case "POST /containers/{id}/rename":
		return e.changeContainer(c, func(b *box) error { return e.rename(b, r.URL.Query().Get("name")) })
	case "POST /containers/{id}/wait":
		return e.waitContainer(c)
	case "POST /containers/{id}/exec":
		return e.createExec(c)
	case "POST /exec/{id}/start":
		return e.startExec(c)
	case "POST /exec/{id}/resize":
		return e.resizeExec(c)
	case "GET /exec/{id}/json":
		return e.inspectExec(c)
	}
	return &apiError{http.StatusNotFound, "page not found"}
}

// minAPIVersion is the lowest version the Engine of e's API version takes.
func (e *Engine) minAPIVersion() string {
	switch {
	case e.atLeast("1.52"):
		return "1.44"
	case e.atLeast("1.44"):
		return "1.24"
	}
	return "1.12"
}

func (e *Engine) ping(c *call) error {
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	if c.r.Method == http.MethodHead {
		c.w.Header().Set("Content-Length", "0")
		return nil
	}
	c.w.Write([]byte("OK"))
	return nil
}

func (e *Engine) version(c *call) error {
	return writeJSON(c.w, http.StatusOK, map[string]any{
		"Version":       "enginetest",
		"ApiVersion":    e.APIVersion,
		"MinAPIVersion": e.minAPIVersion(),
		"GoVersion":     runtime.Version(),
		"Os":            runtime.GOOS,
		"Arch":          runtime.GOARCH,
	})
}

func (e *Engine) info(c *call) error {
	e.mu.Lock()
	all := len(e.containers)
	e.mu.Unlock()
	return writeJSON(c.w, http.StatusOK, map[string]any{
		"ID":              "ENGINETEST",
		"Name":            "enginetest",
		"ServerVersion":   "enginetest",
		"Containers":      all,
		"OSType":          runtime.GOOS,
		"OperatingSystem": "the test machine",
		"Architecture":    runtime.GOARCH,
		"SecurityOptions": []string{},
	})
}
