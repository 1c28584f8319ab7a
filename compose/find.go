// Package compose finds the container that a service of a Docker Compose
// project runs in, and remembers it.
//
// What Compose files mean is the business of package load: with the answer in
// the cache none is opened, no Engine is asked, and a program pays for
// neither. The answer holds as long as everything it was made of is the same
// as then: the files and those looked for in vain, the variables, the
// options. What it doesn't notice is what happens to the container; the
// Engine does when a command is started there, with 404 or 409, and Refresh
// is for then.
package compose

import (
	"context"
	"math"
	"regexp"
	"sync"
)

// A Finder finds containers. All fields but CacheDir are needed. It may be
// used by several goroutines at once if its functions may.
type Finder struct {
	// CacheDir is where answers are kept, and made when there is one to keep.
	// "" keeps none. Finder removes files there that end in .json or .temp
	// and are a month old.
	CacheDir string

	// Connect is called when the Engine has to be asked. The Engine stays the
	// caller's to close.
	Connect func() (Engine, error)

	// Load reads the Compose files. It is load.Model, here or by a program of
	// its own (package loadexec).
	Load func(context.Context, Query) (*Model, error)
}

// Find gives the container that q asks for: from the cache if the answer there
// still holds, otherwise from the Compose files and the Engine. Errors that a
// person can do something about have a method Hint() string.
//
// A named container is always looked up. Another one can have got its name,
// with other mounts, and nothing on this machine would show it.
func (f *Finder) Find(ctx context.Context, q Query) (*Target, error) {
	if q.Container != "" {
		return f.named(ctx, q)
	}
	e := f.read(q.key())
	if e == nil {
		return f.lookup(ctx, q, nil)
	}
	ok, improved := e.fresh(q)
	if !ok {
		return f.lookup(ctx, q, e)
	}
	if improved {
		f.write(e)
	}
	t := e.Target
	t.Cached = true
	return &t, nil
}

// Refresh is Find without believing the cache. It is for the caller to whom
// the Engine has said that the container is gone or not running (404, 409), or
// that it wants another version of the API (400).
func (f *Finder) Refresh(ctx context.Context, q Query) (*Target, error) {
	if q.Container != "" {
		return f.named(ctx, q)
	}
	return f.lookup(ctx, q, f.read(q.key()))
}

// FindAll gives all running containers of the service by their number. Of the
// cache it uses what the Compose files say: only the Engine knows how many
// containers there are.
func (f *Finder) FindAll(ctx context.Context, q Query) ([]*Target, error) {
	if q.Container != "" {
		t, err := f.named(ctx, q)
		if err != nil {
			return nil, err
		}
		return []*Target{t}, nil
	}
	e := f.read(q.key())
	if e != nil {
		if ok, _ := e.fresh(q); ok {
			engine, err := f.Connect()
			if err != nil {
				return nil, err
			}
			m := e.model()
			return q.targets(ctx, engine, m, &m.Services[0], all)
		}
	}
	m, err := f.Load(ctx, q)
	if err != nil {
		return f.unloaded(ctx, q, e, err, all)
	}
	s, err := m.choose(q.Service)
	if err != nil {
		return nil, err
	}
	engine, err := f.Connect()
	if err != nil {
		return nil, err
	}
	targets, err := q.targets(ctx, engine, m, s, all)
	if err == nil {
		f.write(newEntry(q, m, targets[0])) // which is Find's answer
	}
	return targets, err
}

// Config gives the service that q means, and its x-toxrun: from the cache if the answer
// there still holds, otherwise from the Compose files. The Engine is not asked.
func (f *Finder) Config(ctx context.Context, q Query) (service string, config Config, err error) {
	if e := f.read(q.key()); e != nil {
		if ok, _ := e.fresh(q); ok {
			return e.Target.Service, e.Target.Config, nil
		}
	}
	m, err := f.Load(ctx, q)
	if err != nil {
		return "", Config{}, err
	}
	s, err := m.choose(q.Service)
	if err != nil {
		return "", Config{}, err
	}
	if s.Config != nil {
		config = *s.Config
	}
	return s.Name, config, nil
}

// Services gives the names of the project's services, sorted, those that are
// off by their profile included.
func (f *Finder) Services(ctx context.Context, q Query) ([]string, error) {
	m, err := f.Load(ctx, q)
	if err != nil {
		return nil, err
	}
	return m.names(), nil
}

// lookup answers q anew and keeps the answer. last is the entry that no longer
// holds, or nil.
func (f *Finder) lookup(ctx context.Context, q Query, last *entry) (*Target, error) {
	m, err := f.Load(ctx, q)
	if err != nil {
		// Not kept: when the files load again, the last answer may be right.
		targets, err := f.unloaded(ctx, q, last, err, 1)
		if err != nil {
			return nil, err
		}
		return targets[0], nil
	}
	s, err := m.choose(q.Service)
	if err != nil {
		return nil, err
	}
	engine, err := f.Connect()
	if err != nil {
		return nil, err
	}
	targets, err := q.targets(ctx, engine, m, s, 1)
	if err != nil {
		return nil, err
	}
	f.write(newEntry(q, m, targets[0]))
	return targets[0], nil
}

// containerName is what the Engine takes for a name or an ID: moby's
// daemon/names, and the slash in front that docker inspect prints.
var containerName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^/?[a-zA-Z0-9][a-zA-Z0-9_.-]*$`) })

// named gives the container that q.Container names.
func (f *Finder) named(ctx context.Context, q Query) (*Target, error) {
	// Before it becomes part of a request's path, where "." and "/" mean more.
	if !containerName().MatchString(q.Container) {
		return nil, &NameError{Container: q.Container}
	}
	engine, err := f.Connect()
	if err != nil {
		return nil, err
	}
	c, err := inspect(ctx, engine, q.Container)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, &NotRunningError{Container: q.Container, hint: "docker ps lists those that are running"}
	}
	if !c.running() {
		verb := "start"
		switch c.state {
		case "paused":
			verb = "unpause"
		case "restarting":
			verb = "logs"
		}
		hint := CommandLine([]string{"docker", verb, q.Container})
		return nil, &NotRunningError{Container: q.Container, State: c.state, hint: hint}
	}
	return q.target(engine, c, &Model{}, &Service{}), nil
}

// all is no limit to the number of replicas.
const all = math.MaxInt

// targets gives the running containers of a service by their number: one at
// least and at most limit. Replicas of the same making differ in nothing that an
// inspect would tell, so one of them is asked for: 500 would take a second, and
// with 20 ms to the Engine 10.
func (q Query) targets(ctx context.Context, engine Engine, m *Model, s *Service, limit int) ([]*Target, error) {
	var targets []*Target
	var idle *container // the one to tell of where none is running
	replaced := true
	for try := 0; try < 2 && replaced; try++ {
		containers, err := list(ctx, engine, labelProject+"="+m.Project, labelService+"="+s.Name)
		if err != nil {
			return nil, err
		}
		idle, replaced = nil, false
		made := map[string]*container{} // by its making
		for _, c := range containers {
			switch {
			case q.Index > 0 && c.number != q.Index:
				continue
			case !c.running():
				if idle == nil || c.state == "paused" || c.state == "restarting" {
					idle = c
				}
				continue
			}
			if same := made[c.making]; same != nil {
				c.user, c.workdir, c.mounts = same.user, same.workdir, same.mounts
			} else {
				making := c.making
				if c, err = inspect(ctx, engine, c.id); err != nil {
					return nil, err
				}
				if c == nil || !c.running() {
					replaced = true // maybe: it was running a moment ago
					continue
				}
				if making != "" {
					made[making] = c
				}
			}
			if targets = append(targets, q.target(engine, c, m, s)); len(targets) == limit {
				break
			}
		}
		if len(targets) > 0 {
			return targets, nil
		}
	}
	return nil, q.notRunning(m.Project, s.Name, idle)
}

// target puts together what the Engine and the Compose files say of a
// container that has been inspected.
func (q Query) target(engine Engine, c *container, m *Model, s *Service) *Target {
	t := &Target{
		Engine:        q.Engine,
		APIVersion:    engine.ClientVersion(),
		Project:       c.project,
		Service:       c.service,
		Number:        c.number,
		Container:     c.id,
		ContainerName: c.name,
		User:          c.user,
		Workdir:       c.workdir,
		ProjectDir:    m.Dir,
		Mounts:        mounts(s.Binds, c),
		Develop:       s.Develop,
	}
	if s.Config != nil {
		t.Config = *s.Config
	}
	return t
}
