package compose

import (
	"slices"
)

// A Model is what the Compose files of a project say, as far as finding a
// container goes, and what they were read from.
type Model struct {
	Project  string // its name
	Dir      string // project directory, absolute
	Services []Service

	// Inputs are the files the model was made of, among them those that were
	// looked for and were not there. Each was looked at before it was read.
	Inputs []Input
	// Variables are the names that interpolation has looked up, found or not.
	Variables []string
}

// A Service is one service of a Model.
type Service struct {
	Name    string
	Enabled bool    // by the active profiles
	Binds   []Mount // bind mounts; Source is absolute on this machine
	Develop []Watch // the paths under develop.watch
	Config  *Config // nil without x-toxrun
}

// A Watch is an entry of a service's develop.watch.
type Watch struct {
	Path   string   `json:"path"`
	Ignore []string `json:"ignore,omitempty"`
}

// choose gives the service that is meant: the named one; or else the one with
// x-toxrun; or else the only one. Services that are off by their profile come
// into it only where no other would do.
func (m *Model) choose(name string) (*Service, error) {
	if name != "" {
		for i := range m.Services {
			if m.Services[i].Name == name {
				return &m.Services[i], nil
			}
		}
		return nil, &UnknownServiceError{Service: name, Project: m.Project, Services: m.names()}
	}
	for _, fits := range []func(Service) bool{
		func(s Service) bool { return s.Enabled && s.Config != nil },
		func(s Service) bool { return s.Config != nil },
		func(s Service) bool { return s.Enabled },
		func(s Service) bool { return true },
	} {
		var chosen *Service
		var names []string
		for i := range m.Services {
			if fits(m.Services[i]) {
				chosen = &m.Services[i]
				names = append(names, chosen.Name)
			}
		}
		switch len(names) {
		case 0:
			continue
		case 1:
			return chosen, nil
		}
		slices.Sort(names)
		return nil, &AmbiguousServiceError{Project: m.Project, Services: names, Configured: chosen.Config != nil}
	}
	return nil, &UnknownServiceError{Project: m.Project}
}

func (m *Model) names() []string {
	names := make([]string, len(m.Services))
	for i, s := range m.Services {
		names[i] = s.Name
	}
	slices.Sort(names)
	return names
}
