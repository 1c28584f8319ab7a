package compose_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/compose"
)

// A fakeContainer is one that a listener tells about.
type fakeContainer struct {
	ID, Project, Service string
	Number               int    // 0 is 1
	State                string // "" is running
	Making               string // hash of its configuration, and its image; "": none
	Mounts               []container.MountPoint
}

// A listener answers as an Engine would: it lists and inspects its
// containers. It is for what needs no real ones.
type listener struct {
	address string

	mu         sync.Mutex
	containers []fakeContainer
	requests   int
	onInspect  func() // called once, before the answer
}

func listen(t testing.TB, containers ...fakeContainer) *listener {
	l, stop := serve(containers...)
	t.Cleanup(stop)
	return l
}

func serve(containers ...fakeContainer) (l *listener, stop func()) {
	l = &listener{containers: containers}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("API-Version", "1.41") })
	mux.HandleFunc("GET /v1.41/containers/json", l.list)
	mux.HandleFunc("GET /v1.41/containers/{id}/json", l.inspect)
	s := httptest.NewServer(mux)
	l.address = "tcp://" + s.Listener.Addr().String()
	return l, s.Close
}

func (l *listener) connect() (compose.Engine, error) {
	return client.NewClientWithOpts(client.WithHost(l.address), client.WithAPIVersionNegotiation())
}

// set replaces the containers.
func (l *listener) set(containers ...fakeContainer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.containers = containers
}

func (c fakeContainer) labels() map[string]string {
	labels := map[string]string{
		"com.docker.compose.project":             c.Project,
		"com.docker.compose.service":             c.Service,
		"com.docker.compose.container-number":    strconv.Itoa(max(c.Number, 1)),
		"com.docker.compose.oneoff":              "False",
		"com.docker.compose.project.working_dir": "/nowhere",
	}
	if c.Making != "" {
		labels["com.docker.compose.config-hash"] = c.Making
	}
	return labels
}

func (c fakeContainer) state() string {
	if c.State == "" {
		return "running"
	}
	return c.State
}

func (l *listener) list(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	var filters struct{ Label map[string]bool }
	if err := json.Unmarshal([]byte(r.FormValue("filters")), &filters); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := []container.Summary{}
	for _, c := range l.containers {
		labels := c.labels()
		matches := true
		for want := range filters.Label {
			key, value, hasValue := strings.Cut(want, "=")
			got, ok := labels[key]
			matches = matches && ok && (!hasValue || got == value)
		}
		if matches {
			answer = append(answer, container.Summary{ID: c.ID, Names: []string{"/other/link", "/" + c.ID}, ImageID: c.Making, Labels: labels, State: c.state()})
		}
	}
	json.NewEncoder(w).Encode(answer) // the client notices
}

func (l *listener) inspect(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if f := l.onInspect; f != nil {
		l.onInspect = nil
		f()
	}
	i := slices.IndexFunc(l.containers, func(c fakeContainer) bool { return c.ID == r.PathValue("id") })
	if i < 0 {
		http.Error(w, `{"message":"no such container"}`, http.StatusNotFound)
		return
	}
	c := l.containers[i]
	json.NewEncoder(w).Encode(container.InspectResponse{ // the client notices
		ContainerJSONBase: &container.ContainerJSONBase{
			ID: c.ID, Name: "/" + c.ID,
			State:      &container.State{Status: c.state()},
			HostConfig: &container.HostConfig{Tmpfs: map[string]string{"/tmp": ""}},
		},
		Config: &container.Config{Labels: c.labels(), WorkingDir: "/app"},
		Mounts: c.Mounts,
	})
}
