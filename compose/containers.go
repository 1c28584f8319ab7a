package compose

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	docker "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// An Engine is what this package asks of a Docker Engine. *client.Client of
// github.com/docker/docker is one; it should be made with
// client.WithAPIVersionNegotiation, or ClientVersion is not what the Engine
// has agreed to.
type Engine interface {
	ContainerList(context.Context, docker.ListOptions) ([]docker.Summary, error)
	ContainerInspect(ctx context.Context, container string) (docker.InspectResponse, error)
	ClientVersion() string
}

// The labels Compose gives its containers; docker-compose 1.29 has them too.
const (
	labelProject     = "com.docker.compose.project"
	labelService     = "com.docker.compose.service"
	labelNumber      = "com.docker.compose.container-number"
	labelOneOff      = "com.docker.compose.oneoff"
	labelWorkingDir  = "com.docker.compose.project.working_dir"
	labelConfigFiles = "com.docker.compose.project.config_files"
	labelConfigHash  = "com.docker.compose.config-hash" // of all that Compose makes the container of, but its image
)

// A container is one container as a list of the Engine's has it, and after
// inspect with the fields that only that knows.
type container struct {
	id, name, state  string // state in the Engine's words: "running", "paused", "exited"...
	project, service string
	number           int
	dir              string   // of the project
	files            []string // Compose files, as the label has them
	created          int64
	making           string // image and configuration; empty: not known

	user, workdir string // from inspect
	mounts        []mount
}

type mount struct {
	bind           bool
	source, target string // source in the Engine's terms
}

// list gives the containers that have all the labels ("key" or "key=value")
// and were not made by compose run, by project, service and number. All of
// them, not only the running ones: what isn't running has a state to tell.
func list(ctx context.Context, engine Engine, labels ...string) ([]*container, error) {
	args := filters.NewArgs(filters.Arg("label", labelOneOff+"=False"))
	for _, label := range labels {
		args.Add("label", label)
	}
	summaries, err := engine.ContainerList(ctx, docker.ListOptions{All: true, Filters: args})
	if err != nil {
		return nil, err
	}
	containers := make([]*container, len(summaries))
	for i, s := range summaries {
		c := fromLabels(s.Labels)
		c.id, c.state, c.created = s.ID, s.State, s.Created
		if hash := s.Labels[labelConfigHash]; hash != "" && s.ImageID != "" {
			c.making = s.ImageID + " " + hash
		}
		for _, name := range s.Names {
			if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") { // else it is another one's link
				c.name = name
			}
		}
		containers[i] = c
	}
	slices.SortFunc(containers, func(a, b *container) int {
		return cmp.Or(
			cmp.Compare(a.project, b.project),
			cmp.Compare(a.service, b.service),
			cmp.Compare(a.number, b.number),
			-cmp.Compare(a.created, b.created), // while one is replaced there are two
		)
	})
	return containers, nil
}

func fromLabels(labels map[string]string) *container {
	c := &container{
		project: labels[labelProject],
		service: labels[labelService],
		dir:     labels[labelWorkingDir],
	}
	c.number, _ = strconv.Atoi(labels[labelNumber]) // 0 without the label
	if files := labels[labelConfigFiles]; files != "" {
		c.files = strings.Split(files, ",")
	}
	return c
}

func (c *container) running() bool { return c.state == docker.StateRunning }

// inspect asks for what a list doesn't tell. It returns nil, nil where the
// container is gone.
func inspect(ctx context.Context, engine Engine, nameOrID string) (*container, error) {
	r, err := engine.ContainerInspect(ctx, nameOrID)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if r.ContainerJSONBase == nil || r.State == nil || r.Config == nil {
		return nil, errors.New("inspect of container " + nameOrID + ": the answer has no state or config")
	}
	c := fromLabels(r.Config.Labels)
	c.id, c.name, c.state = r.ID, strings.TrimPrefix(r.Name, "/"), r.State.Status
	c.user, c.workdir = r.Config.User, r.Config.WorkingDir
	for _, m := range r.Mounts {
		c.mounts = append(c.mounts, mount{m.Type == "bind", m.Source, m.Destination})
	}
	if r.HostConfig != nil {
		for target := range r.HostConfig.Tmpfs { // not among Mounts when it comes from tmpfs: or --tmpfs
			c.mounts = append(c.mounts, mount{false, "", target})
		}
	}
	return c, nil
}
