package main

import (
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/docker/cli/opts"

	"github.com/toxrun/docker-toxrun/compose"
)

// environment is what the command gets over the container's own variables: so
// that its output is live, looks as in a terminal where it goes to one, and then
// what the user has asked for, last.
func (o *options) environment(t *compose.Target, own []string, screen *terminal, tty bool) ([]string, error) {
	env := []string{"PYTHONUNBUFFERED=1"}
	env = append(env, screen.environment(tty)...)
	files, err := o.envFrom.read(o.envFiles)
	if err != nil {
		return nil, usage(err.Error(), "")
	}
	for _, assignment := range slices.Concat(t.Config.Environment, own, files, o.env) {
		assignment, err := opts.ValidateEnv(assignment) // KEY takes its value from here
		if err != nil {
			return nil, usage(err.Error(), "")
		}
		env = append(env, assignment)
	}
	return lastOfEach(env), nil
}

// An envReader reads files of variables. What can be read only once, a pipe for
// example, is remembered for the next attempt, or the next run of a watch.
type envReader struct {
	mu   sync.Mutex
	once map[string][]string // by name
}

func (r *envReader) read(names []string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var env []string
	for _, name := range names {
		file, known := r.once[name]
		if !known {
			var err error
			if file, err = opts.ReadKVEnvStrings([]string{name}, nil); err != nil {
				return nil, err
			}
			if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
				if r.once == nil {
					r.once = map[string][]string{}
				}
				r.once[name] = file
			}
		}
		env = append(env, file...)
	}
	return env, nil
}

// lastOfEach keeps the last of each variable, in their order.
func lastOfEach(env []string) []string {
	last := map[string]int{}
	for i, assignment := range env {
		key, _, _ := strings.Cut(assignment, "=")
		last[key] = i
	}
	var kept []string
	for i, assignment := range env {
		if key, _, _ := strings.Cut(assignment, "="); last[key] == i {
			kept = append(kept, assignment)
		}
	}
	return kept
}
