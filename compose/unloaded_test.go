package compose_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/toxrun/docker-toxrun/compose"
)

// needsX doesn't load without the variable X.
const needsX = `
services:
  tests:
    image: ` + image + `
    command: [sleep, "3600"]
    network_mode: none
    stop_grace_period: 0s
    environment: ["X=${X:?has to be set}"]
    volumes: [".:/app"]
    x-toxrun: {command: [nox]}
`

// wantUnloaded checks that the container is found with one line of warning
// that says why.
func wantUnloaded(t *testing.T, p *project, container, why string) *compose.Target {
	t.Helper()
	got := p.find()
	if got.Container != container {
		t.Errorf("container %s, want %s", got.Container, container)
	}
	if got.Cached || !strings.Contains(got.Warning, why) || strings.Contains(got.Warning, "\n") {
		t.Errorf("cached %t, warning %q; want one line with %q", got.Cached, got.Warning, why)
	}
	return got
}

func TestFilesNoLongerLoad(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p := newProject(t, map[string]string{"compose.yaml": needsX, "sub/x": ""})
	p.env("X=1")
	p.up()
	id := p.wantContainer("tests").Container
	cache := p.finder.CacheDir

	p.env()
	got := wantUnloaded(t, p, id, "required variable X is missing a value: has to be set; using container "+p.name()+"-tests-1")
	if len(got.Config.Command) != 1 || got.Config.Command[0] != "nox" {
		t.Errorf("command %q, want the one of x-toxrun as of the last time", got.Config.Command)
	}
	if path, ok := got.PathFor(filepath.Join(p.dir, "sub")); !ok || path != "/app/sub" {
		t.Errorf("PathFor(sub) = %s, %t; want /app/sub", path, ok)
	}
	p.env("X=1")
	if got := p.find(); !got.Cached || got.Warning != "" {
		t.Errorf("with the variable again: cached %t, warning %q", got.Cached, got.Warning)
	}

	// Without the last answer there are the labels, also below the directory.
	p.env()
	p.finder.CacheDir = ""
	for _, dir := range []string{p.dir, filepath.Join(p.dir, "sub")} {
		p.query.Dir = dir
		got := wantUnloaded(t, p, id, "required variable X")
		if path, ok := got.PathFor(filepath.Join(p.dir, "sub")); !ok || path != "/app/sub" {
			t.Errorf("PathFor(sub) = %s, %t; want /app/sub", path, ok)
		}
	}
	all, err := p.finder.FindAll(t.Context(), p.query)
	if err != nil || len(all) != 1 || all[0].Container != id || all[0].Warning == "" {
		t.Errorf("FindAll() = %v, %v; want the container and a warning", all, err)
	}
	p.query.Dir = p.dir
	p.write("compose.yaml", "services: [")
	wantUnloaded(t, p, id, "compose.yaml")
	if err := os.Remove(filepath.Join(p.dir, "compose.yaml")); err != nil {
		t.Fatal(err)
	}
	wantUnloaded(t, p, id, "no Compose file in "+p.dir)
	p.query.Dir = t.TempDir()
	_, err = p.finder.Find(t.Context(), p.query)
	if _, ok := errors.AsType[*compose.NoFileError](err); !ok {
		t.Errorf("in another directory: Find() = %v, want that there is no Compose file", err)
	}
	p.query.ProjectName = p.name()
	wantUnloaded(t, p, id, "no Compose file")

	// A mistake in x-toxrun is not to be warned of but to be corrected.
	p.query.Dir, p.query.ProjectName = p.dir, ""
	p.finder.CacheDir = cache
	p.env("X=1")
	p.write("compose.yaml", strings.Replace(needsX, "command: [nox]", "comand: [nox]", 1))
	_, err = p.finder.Find(t.Context(), p.query)
	if _, ok := errors.AsType[*compose.ConfigError](err); !ok {
		t.Errorf("Find() = %v, want the mistake in x-toxrun", err)
	}

	// Without a container there is only the cause.
	p.write("compose.yaml", needsX)
	p.compose("down", "-t", "0")
	p.env()
	for _, p.finder.CacheDir = range []string{cache, ""} {
		_, err := p.finder.Find(t.Context(), p.query)
		if _, ok := errors.AsType[*compose.LoadError](err); !ok || !strings.Contains(err.Error(), "required variable X") {
			t.Errorf("nothing running: Find() = %v, want why the files don't load", err)
		}
	}
}

func TestSeveralAreRunningWithoutFiles(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p := newProject(t, map[string]string{"compose.yaml": "services: {tests: STANDARD, db: STANDARD}"})
	p.up()
	want := p.compose("ps", "-q", "db")
	p.write("compose.yaml", "services: {tests: {image: '${X?}'}}")

	_, err := p.finder.Find(t.Context(), p.query)
	several, ok := errors.AsType[*compose.AmbiguousServiceError](err)
	if !ok || len(several.Services) != 2 || !strings.Contains(err.Error(), "required variable X") {
		t.Errorf("Find() = %v, want the two services, and why there is a choice at all", err)
	}
	p.query.Service = "db"
	wantUnloaded(t, p, want, "required variable X")

	// Of two projects in one directory, neither is to be guessed.
	p.query.ProjectName = p.name() + "-2"
	p.write("compose.yaml", "services: {tests: STANDARD, db: STANDARD}")
	p.up()
	want2 := p.compose("ps", "-q", "db")
	p.write("compose.yaml", "services: ${X?}")
	wantUnloaded(t, p, want2, "required variable X")
	p.query.ProjectName = ""
	wantUnloaded(t, p, want, "required variable X") // its name is the directory's
	p.write("compose.yaml", "name: ${Y?}")
	if got, err := p.finder.Find(t.Context(), p.query); err == nil {
		t.Errorf("Find() = container %s, want an error: two projects are running", got.ContainerName)
	}
}
