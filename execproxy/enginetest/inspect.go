package enginetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// changeContainer answers a request that does something to a container.
func (e *Engine) changeContainer(c *call, f func(*box) error) error {
	e.mu.Lock()
	b, err := e.find(c.id)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	if err := f(b); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// waitContainer answers when the container does not run, or no longer.
func (e *Engine) waitContainer(c *call) error {
	e.mu.Lock()
	b, err := e.find(c.id)
	if err != nil {
		e.mu.Unlock()
		return err
	}
	stopped, alive := b.stopped, e.life
	e.mu.Unlock()
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(http.StatusOK)
	http.NewResponseController(c.w).Flush()
	if stopped != nil {
		select {
		case <-stopped:
		case <-alive:
			return nil
		case <-c.r.Context().Done():
			return nil
		}
	}
	e.mu.Lock()
	code := b.exitCode
	e.mu.Unlock()
	json.NewEncoder(c.w).Encode(container.WaitResponse{StatusCode: int64(code)})
	return nil
}

func (e *Engine) listContainers(c *call) error {
	q := c.r.URL.Query()
	f, err := filters.FromJSON(q.Get("filters"))
	if err != nil {
		return &apiError{http.StatusBadRequest, err.Error()}
	}
	for _, k := range f.Keys() {
		if !slices.Contains([]string{"id", "label", "name", "status"}, k) {
			return &apiError{http.StatusBadRequest, "Invalid filter '" + k + "'"}
		}
	}
	all := q.Get("all") == "1" || q.Get("all") == "true" || f.Contains("status")

	e.mu.Lock()
	defer e.mu.Unlock()
	var boxes []*box
	for _, b := range e.containers {
		if (all || b.stopped != nil || b.status == container.StateRestarting) &&
			f.ExactMatch("status", b.status) && f.Match("name", b.Name) &&
			(!f.Contains("id") || slices.ContainsFunc(f.Get("id"), func(s string) bool { return strings.HasPrefix(b.id, s) })) &&
			(!f.Contains("label") || f.MatchKVList("label", b.Labels)) {
			boxes = append(boxes, b)
		}
	}
	slices.SortFunc(boxes, func(a, b *box) int { return b.created.Compare(a.created) }) // newest first
	list := []container.Summary{}
	for _, b := range boxes {
		list = append(list, container.Summary{
			ID:      b.id,
			Names:   []string{"/" + b.Name},
			Image:   b.Image,
			ImageID: imageID,
			Command: "sleep infinity",
			Created: b.created.Unix(),
			Labels:  b.labels(),
			State:   b.status,
			Status:  b.statusText(),
			Mounts:  b.Mounts,
		})
	}
	return writeJSON(c.w, http.StatusOK, list)
}

// imageID is that of every container.
const imageID = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// inspectContainer answers for a container that is being killed when that is over. The
// real Engine tells of its end a moment after that of its execs, 5 to 50 ms (20.10);
// here that would be as long as a busy machine likes.
func (e *Engine) inspectContainer(c *call) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := e.find(c.id)
	if err == nil && b.dying {
		stopped, alive := b.stopped, e.life
		e.mu.Unlock()
		select {
		case <-stopped:
		case <-alive:
		case <-c.r.Context().Done():
		}
		e.mu.Lock()
		b, err = e.find(c.id)
	}
	if err != nil {
		return err
	}
	var execs []string // null, not [], where there are none
	for id := range b.execs {
		execs = append(execs, id)
	}
	state := &container.State{
		Status:     b.status,
		Running:    b.stopped != nil,
		Paused:     b.status == container.StatePaused,
		Restarting: b.status == container.StateRestarting,
		ExitCode:   b.exitCode,
		StartedAt:  b.started.UTC().Format(time.RFC3339Nano),
		FinishedAt: b.finished.UTC().Format(time.RFC3339Nano),
	}
	if b.Health != "" {
		state.Health = &container.Health{Status: b.Health}
	}
	return writeJSON(c.w, http.StatusOK, container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{
			ID:         b.id,
			Created:    b.created.UTC().Format(time.RFC3339Nano),
			Path:       "sleep",
			Args:       []string{"infinity"},
			State:      state,
			Image:      imageID,
			Name:       "/" + b.Name,
			Platform:   "linux",
			ExecIDs:    execs,
			HostConfig: &container.HostConfig{},
		},
		Mounts: append([]container.MountPoint{}, b.Mounts...),
		Config: &container.Config{
			Hostname:   b.id[:12],
			User:       b.User,
			Tty:        b.Tty,
			Env:        b.Env,
			Cmd:        []string{"sleep", "infinity"},
			Image:      b.Image,
			WorkingDir: b.Dir,
			Labels:     b.labels(),
			StopSignal: "SIGKILL",
		},
		NetworkSettings: &container.NetworkSettings{},
	})
}

// labels are never null.
func (b *box) labels() map[string]string {
	if b.Labels == nil {
		return map[string]string{}
	}
	return b.Labels
}

// statusText is the state in words, as docker ps shows it.
func (b *box) statusText() string {
	switch b.status {
	case container.StateRunning:
		if b.Health == "starting" {
			return "Up 1 second (health: starting)"
		} else if b.Health != "" {
			return "Up 1 second (" + b.Health + ")"
		}
		return "Up 1 second"
	case container.StatePaused:
		return "Up 1 second (Paused)"
	case container.StateRestarting:
		return "Restarting (1) 1 second ago"
	case container.StateCreated:
		return "Created"
	}
	return "Exited (137) 1 second ago"
}
