package compose

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// unloaded finds the containers of a project whose Compose files don't load:
// where the last answer says, or else by the labels that Compose has given
// them. If there are none, the cause is the error.
//
// Only files that can't be read or understood are such a cause. A mistake in
// x-toxrun, say, is one to correct.
func (f *Finder) unloaded(ctx context.Context, q Query, last *entry, cause error, limit int) ([]*Target, error) {
	var load *LoadError
	var none *NoFileError
	if ctx.Err() != nil || !errors.As(cause, &load) && !errors.As(cause, &none) {
		return nil, cause
	}
	engine, err := f.Connect()
	if err != nil {
		return nil, cause
	}
	if last != nil {
		m := last.model()
		if targets, err := q.targets(ctx, engine, m, &m.Services[0], limit); err == nil {
			return warn(targets, cause, "as the last time"), nil
		}
	}
	m, err := q.labelled(ctx, engine, load, none)
	if err != nil || m == nil {
		return nil, cause
	}
	s, err := m.choose(q.Service)
	if _, ok := errors.AsType[*AmbiguousServiceError](err); ok {
		return nil, fmt.Errorf("%w; %w", cause, err)
	}
	if err != nil {
		return nil, cause
	}
	targets, err := q.targets(ctx, engine, m, s, limit)
	if err != nil {
		return nil, cause
	}
	return warn(targets, cause, "by its labels"), nil
}

func warn(targets []*Target, cause error, how string) []*Target {
	targets[0].Warning = fmt.Sprintf("%v; using container %s, found %s", cause, targets[0].ContainerName, how)
	return targets
}

// model is what the entry remembers of its Model.
func (e *entry) model() *Model {
	t := e.Target
	s := Service{Name: t.Service, Enabled: true, Develop: t.Develop, Config: &t.Config}
	for _, m := range t.Mounts {
		if m.Source != "" {
			s.Binds = append(s.Binds, m)
		}
	}
	return &Model{Project: t.Project, Dir: t.ProjectDir, Services: []Service{s}}
}

// labelled makes a Model of the running containers that belong to the project
// according to their labels: those with its name where the user gives one;
// otherwise those made from its Compose files; or else from its directory,
// which is the nearest above the caller's where no Compose file was found. It
// is nil where there are none, or of several projects.
func (q Query) labelled(ctx context.Context, engine Engine, load *LoadError, none *NoFileError) (*Model, error) {
	name := q.ProjectName
	if name == "" {
		name, _ = q.LookupEnv("COMPOSE_PROJECT_NAME")
	}
	labels := []string{labelWorkingDir}
	if name != "" {
		labels = []string{labelProject + "=" + name}
	}
	containers, err := list(ctx, engine, labels...)
	if err != nil {
		return nil, err
	}
	containers = slices.DeleteFunc(containers, func(c *container) bool { return !c.running() })
	only := func(keep func(*container) bool) []*container {
		return slices.DeleteFunc(slices.Clone(containers), func(c *container) bool { return !keep(c) })
	}
	known := ""
	switch {
	case name != "":
	case load != nil && len(load.Files) > 0:
		known = load.Project
		containers = only(func(c *container) bool { return c.madeFrom(load.Files) })
	case load != nil:
		known = load.Project
		containers = only(func(c *container) bool { return sameFile(c.dir, load.Dir) })
	default:
		for dir := none.Dir; ; dir = filepath.Dir(dir) {
			here := only(func(c *container) bool { return sameFile(c.dir, dir) })
			if len(here) > 0 || dir == filepath.Dir(dir) {
				containers = here
				break
			}
		}
	}
	if slices.ContainsFunc(containers, func(c *container) bool { return c.project == known }) {
		containers = only(func(c *container) bool { return c.project == known })
	}
	if len(containers) == 0 || containers[0].project != containers[len(containers)-1].project {
		return nil, nil
	}
	m := &Model{Project: containers[0].project, Dir: containers[0].dir}
	for _, c := range containers {
		if len(m.Services) == 0 || m.Services[len(m.Services)-1].Name != c.service {
			m.Services = append(m.Services, Service{Name: c.service, Enabled: true})
		}
	}
	return m, nil
}

// madeFrom reports whether the container's project was loaded from files.
func (c *container) madeFrom(files []string) bool {
	return slices.EqualFunc(c.files, files, func(label, file string) bool {
		if !filepath.IsAbs(label) { // docker-compose 1.29
			label = filepath.Join(c.dir, label)
		}
		return label == file
	})
}
