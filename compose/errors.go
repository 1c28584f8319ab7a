package compose

import (
	"fmt"
	"strings"
)

// A NotRunningError says that no container of a service is running, or that
// the container asked for by its name isn't.
type NotRunningError struct {
	Project, Service string
	Index            int    // the replica asked for; 0 is any
	Container        string // the name asked for; Project and Service are then empty
	State            string // what it is instead, in the Engine's words: "exited", "paused", "restarting"...; "" without a container

	hint string
}

func (e *NotRunningError) Error() string {
	what := fmt.Sprintf("service %q of project %q", e.Service, e.Project)
	switch {
	case e.Container != "" && e.State == "":
		return fmt.Sprintf("there is no container %q", e.Container)
	case e.Container != "":
		what = fmt.Sprintf("container %q", e.Container)
	case e.Index > 0:
		what = fmt.Sprintf("container %d of %s", e.Index, what)
	}
	switch e.State {
	case "paused", "restarting":
		return what + " is " + e.State
	}
	return what + " is not running"
}

// Hint is the command that changes it.
func (e *NotRunningError) Hint() string { return e.hint }

// notRunning is the error for the service of a query, with the hint that fits
// the state its container is in.
func (q Query) notRunning(project, service string, c *container) error {
	e := &NotRunningError{Project: project, Service: service, Index: q.Index}
	args := []string{"up", "-d", service}
	if q.Index > 1 && c == nil {
		args = []string{"up", "-d", "--scale", fmt.Sprintf("%s=%d", service, q.Index), service}
	}
	if c != nil {
		switch e.State = c.state; c.state {
		case "paused":
			args = []string{"unpause", service}
		case "restarting": // up -d wouldn't change it: its own output says why
			args = []string{"logs", service}
		}
	}
	e.hint = CommandLine(q.ComposeCommand(args...))
	return e
}

// A NameError says that Query.Container can't be the name or the ID of any
// container. The Engine was not asked.
type NameError struct {
	Container string
}

func (e *NameError) Error() string {
	return fmt.Sprintf("%q is no name of a container", e.Container)
}

// Hint is the command that lists the names.
func (e *NameError) Hint() string { return "docker ps lists those that are running" }

// A NoFileError says that there is no Compose file where docker compose would
// look for one.
type NoFileError struct {
	Dir string // where the search began
}

func (e *NoFileError) Error() string {
	return fmt.Sprintf("no Compose file in %s or above", e.Dir)
}

// Hint names the ways out.
func (e *NoFileError) Hint() string {
	return "go to the project's directory, or name a file with --file or a container with --container"
}

// A LoadError says that the Compose files of a project can't be made sense of.
type LoadError struct {
	Dir     string   // project directory
	Files   []string // the Compose files where the user named them; nil where they were searched for
	Project string   // the project's name where it is known all the same; otherwise ""
	Err     error
}

func (e *LoadError) Error() string { return oneLine(e.Err.Error()) }

func (e *LoadError) Unwrap() error { return e.Err }

// oneLine joins the lines of a library's message.
func oneLine(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// A ConfigError is a mistake in an x-toxrun block.
type ConfigError struct {
	File    string // the Compose file it is in; "" where it can't be told
	Line    int    // counts from 1
	Service string
	Key     string // as "x-toxrun.watch.paths"
	Problem string
	Keys    []string // for a key that doesn't exist: those that do
}

func (e *ConfigError) Error() string {
	text := fmt.Sprintf("service %q: %s: %s", e.Service, e.Key, e.Problem)
	if e.File == "" {
		return text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
}

// Hint lists the keys there are, if that is what was missed.
func (e *ConfigError) Hint() string {
	if len(e.Keys) == 0 {
		return ""
	}
	return "the keys are " + strings.Join(e.Keys, ", ")
}

// An UnknownServiceError says that the project has no such service, or, with
// an empty Service, none at all.
type UnknownServiceError struct {
	Service  string
	Project  string
	Services []string // those it has, sorted
}

func (e *UnknownServiceError) Error() string {
	if e.Service == "" {
		return fmt.Sprintf("project %q has no services", e.Project)
	}
	return fmt.Sprintf("project %q has no service %q", e.Project, e.Service)
}

// Hint lists the services there are.
func (e *UnknownServiceError) Hint() string {
	if len(e.Services) == 0 {
		return ""
	}
	return "the services are " + strings.Join(e.Services, ", ")
}

// An AmbiguousServiceError says that several services could be meant.
type AmbiguousServiceError struct {
	Project    string
	Services   []string // sorted
	Configured bool     // they are several because each of them has x-toxrun
}

func (e *AmbiguousServiceError) Error() string {
	with := ""
	if e.Configured {
		with = " with x-toxrun"
	}
	return fmt.Sprintf("project %q has %d services%s: %s", e.Project, len(e.Services), with, strings.Join(e.Services, ", "))
}

// Hint says how to choose.
func (e *AmbiguousServiceError) Hint() string {
	if e.Configured {
		return "choose one with --service " + e.Services[0]
	}
	return fmt.Sprintf("choose one with --service %s, or for good with \"x-toxrun: {}\" in the service", e.Services[0])
}
