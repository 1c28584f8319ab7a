package compose_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/compose"
)

// create does what a run does: it creates an exec in the container that Find
// gives, and in the one that Refresh gives where the Engine doesn't want the
// first. It gives the container's ID.
func (p *project) create(engine *client.Client) string {
	p.t.Helper()
	target := p.find()
	try := func() error {
		_, err := engine.ContainerExecCreate(p.t.Context(), target.Container, container.ExecOptions{Cmd: []string{"true"}})
		return err
	}
	err := try()
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		if target, err = p.finder.Refresh(p.t.Context(), p.query); err == nil {
			err = try()
		}
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return target.Container
}

func TestContainerIsReplaced(t *testing.T) {
	t.Parallel()
	engine := needEngine(t)
	for _, test := range []struct {
		name  string
		steps func(p *project, container string)
	}{
		{"up --force-recreate", func(p *project, _ string) { p.compose("up", "-d", "-t", "0", "--force-recreate") }},
		{"down, up", func(p *project, _ string) { p.compose("down", "-t", "0"); p.compose("up", "-d") }},
		{"restart", func(p *project, _ string) { p.compose("restart", "-t", "0") }},
		{"rename", func(p *project, id string) { docker(p.t, "rename", id, p.name()+"-new") }},
		{"removed, another replica is there", func(p *project, id string) {
			p.compose("up", "-d", "--scale", "tests=2")
			docker(p.t, "rm", "-f", id)
		}},
		{"paused, another replica is there", func(p *project, id string) {
			p.compose("up", "-d", "--scale", "tests=2")
			docker(p.t, "pause", id)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
			p.up()
			test.steps(p, p.create(engine))
			running := p.compose("ps", "-q", "--status", "running", "tests")
			if got := p.create(engine); got != running {
				t.Errorf("container %s, want %s", got, running)
			}
			if got := p.find(); got.Container != running || !got.Cached {
				t.Errorf("the next time: container %s, cached %t; want %s from the cache", got.Container, got.Cached, running)
			}
		})
	}
}

// What is cached for one state of the files and variables must not be taken
// for another. In all states the project is running, so a wrong answer would
// be a wrong container and not an error.
func TestInputsChange(t *testing.T) {
	t.Parallel()
	const compose2 = "name: NAME-2\nservices: {tests: STANDARD}"
	type state struct {
		want    string            // the project
		files   map[string]string // "" removes the file
		environ []string
		project string
	}
	for _, test := range []struct {
		name   string
		states [2]state
	}{
		{"name", [2]state{
			{want: "NAME-1", files: map[string]string{"compose.yaml": "name: NAME-1\nservices: {tests: STANDARD}"}},
			{want: "NAME-2", files: map[string]string{"compose.yaml": compose2}},
		}},
		{"override file", [2]state{
			{want: "NAME-1", files: map[string]string{"compose.yaml": "services: {tests: STANDARD}", "compose.override.yaml": "name: NAME-1"}},
			{want: "NAME-2", files: map[string]string{"compose.override.yaml": "name: NAME-2"}},
		}},
		{"override file comes and goes", [2]state{
			{want: "NAME", files: map[string]string{"compose.yaml": "services: {tests: STANDARD}", "docker-compose.override.yml": ""}},
			{want: "NAME-2", files: map[string]string{"docker-compose.override.yml": "name: NAME-2"}},
		}},
		{"file of a name that goes first", [2]state{
			{want: "NAME", files: map[string]string{"docker-compose.yml": "services: {tests: STANDARD}", "compose.yaml": ""}},
			{want: "NAME-2", files: map[string]string{"compose.yaml": compose2}},
		}},
		{"file comes in a nearer directory", [2]state{
			{want: "NAME-1", files: map[string]string{"../compose.yaml": "name: NAME-1\nservices: {tests: STANDARD}", "compose.yml": ""}},
			{want: "NAME-2", files: map[string]string{"compose.yml": compose2}},
		}},
		{".env", [2]state{
			{want: "NAME-1", files: map[string]string{"compose.yaml": "name: NAME-${N:-none}\nservices: {tests: STANDARD}", ".env": "N=1"}},
			{want: "NAME-2", files: map[string]string{".env": "N=2"}},
		}},
		{".env comes and goes", [2]state{
			{want: "NAME-none", files: map[string]string{"compose.yaml": "name: NAME-${N:-none}\nservices: {tests: STANDARD}", ".env": ""}},
			{want: "NAME-2", files: map[string]string{".env": "N=2"}},
		}},
		{"variable", [2]state{
			{want: "NAME-1", files: map[string]string{"compose.yaml": "name: NAME-${N}\nservices: {tests: STANDARD}"}, environ: []string{"N=1"}},
			{want: "NAME-2", environ: []string{"N=2"}},
		}},
		{"variable is set, and to nothing", [2]state{
			{want: "NAME-unset", files: map[string]string{"compose.yaml": "name: NAME-${N-unset}\nservices: {tests: STANDARD}"}},
			{want: "NAME-", environ: []string{"N="}},
		}},
		{"variable in .env", [2]state{
			{want: "NAME-x1x", files: map[string]string{"compose.yaml": "name: NAME-${N}\nservices: {tests: STANDARD}", ".env": "N=x${M}x"}, environ: []string{"M=1"}},
			{want: "NAME-x2x", environ: []string{"M=2"}},
		}},
		{"option -p", [2]state{
			{want: "NAME-1", files: map[string]string{"compose.yaml": "services: {tests: STANDARD}"}, project: "NAME-1"},
			{want: "NAME-2", project: "NAME-2"},
		}},
		{"COMPOSE_FILE", [2]state{
			{want: "NAME-1", files: map[string]string{"a.yaml": "name: NAME-1\nservices: {tests: STANDARD}", "b.yaml": compose2}, environ: []string{"COMPOSE_FILE=a.yaml"}},
			{want: "NAME-2", environ: []string{"COMPOSE_FILE=b.yaml"}},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, l := listening(t, nil)
			p.query.Service = "tests"
			var containers []fakeContainer
			for _, s := range test.states {
				project := p.expand(s.want)
				containers = append(containers, fakeContainer{ID: "in-" + project, Project: project, Service: "tests"})
			}
			l.set(containers...)
			// The second time with an answer for each of them in the cache.
			for i := range 4 {
				s := test.states[i%2]
				for name, content := range s.files {
					if content == "" {
						os.Remove(filepath.Join(p.dir, name)) // not there at first
					} else {
						p.write(name, content)
					}
				}
				p.env(s.environ...)
				p.query.ProjectName = p.expand(s.project)
				want := containers[i%2].ID
				if target := p.find(); target.Container != want {
					t.Fatalf("state %d: Find() = container %s, want %s", i%2+1, target.Container, want)
				}
				if again := p.find(); again.Container != want || !again.Cached {
					t.Fatalf("state %d: Find() again = container %s, cached %t; want %s from the cache", i%2+1, again.Container, again.Cached, want)
				}
			}
		})
	}
}

func TestAnotherEngine(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p := newProject(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
	p.up()
	p.query.Engine = "unix:///var/run/docker.sock"
	p.wantContainer("tests")

	there := listen(t, fakeContainer{ID: "elsewhere", Project: p.name(), Service: "tests"})
	here := p.finder.Connect
	p.finder.Connect = there.connect
	p.query.Engine = there.address
	if got := p.find(); got.Container != "elsewhere" || got.Engine != there.address {
		t.Errorf("on another Engine: container %q of %s", got.Container, got.Engine)
	}
	p.finder.Connect = here
	p.query.Engine = "unix:///var/run/docker.sock"
	p.wantContainer("tests")
}

func TestNotRunning(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p := newProject(t, map[string]string{"a b/it's.yaml": "services: {tests: STANDARD, other: STANDARD, failing: {image: '" + image + "', command: ['false'], restart: always, network_mode: none}}"})
	p.query.Files = []string{"a b/it's.yaml"}
	p.query.ProjectName = p.name()
	p.query.Service = "tests"

	// Each hint is believed: it is what a user would paste into a shell.
	hinted := func(want string) {
		t.Helper()
		_, err := p.finder.Find(t.Context(), p.query)
		notRunning, ok := errors.AsType[*compose.NotRunningError](err)
		if !ok || !strings.Contains(err.Error(), want) {
			t.Fatalf("Find() = %v, want %q", err, want)
		}
		sh := exec.Command("sh", "-c", notRunning.Hint())
		sh.Dir = p.dir
		if out, err := sh.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", notRunning.Hint(), err, out)
		}
	}

	p.up("other")
	hinted(`service "tests" of project "` + p.name() + `" is not running`)
	p.wantContainer("tests")

	p.compose("pause", "tests")
	p.query.Index = 1 // to ask anew
	hinted("is paused")
	p.wantContainer("tests")

	p.query.Index = 3
	hinted("container 3 of service")
	if got := p.find(); got.Number != 3 {
		t.Errorf("replica %d, want 3", got.Number)
	}

	p.query.Index = 0
	p.query.Service = "failing"
	p.compose("up", "-d", "failing")
	for deadline := time.Now().Add(5 * time.Minute); ; {
		// Between two starts it is running now and then.
		_, err := p.finder.Refresh(t.Context(), p.query)
		if err != nil && strings.Contains(err.Error(), "is restarting") {
			if hint := err.(*compose.NotRunningError).Hint(); !strings.HasSuffix(hint, " logs failing") {
				t.Errorf("hint: %s", hint)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Refresh() = %v, want that it is restarting", err)
		}
	}

	p.query.Service = "nonesuch"
	_, err := p.finder.Find(t.Context(), p.query)
	if unknown, ok := errors.AsType[*compose.UnknownServiceError](err); !ok || unknown.Hint() != "the services are failing, other, tests" {
		t.Errorf("Find() = %v, want an error that lists the services", err)
	}
}

func TestOneOffContainersAreNeverChosen(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p := newProject(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
	p.up()
	p.compose("stop", "-t", "0")
	p.compose("run", "-d", "tests")
	t.Cleanup(func() { p.compose("down", "-t", "0", "--remove-orphans") })
	if got, err := p.finder.Find(t.Context(), p.query); err == nil {
		t.Errorf("Find() = container %s, want an error: only a container of compose run is running", got.ContainerName)
	}
	p.compose("start")
	p.wantContainer("tests")
	if targets, err := p.finder.FindAll(t.Context(), p.query); err != nil || len(targets) != 1 {
		t.Errorf("FindAll() = %d containers, %v; want 1", len(targets), err)
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p := newProject(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
	p.up("--scale", "tests=3")
	replica := func(i string) string { return docker(t, "inspect", "-f", "{{.Id}}", p.name()+"-tests-"+i) }
	if got := p.find(); got.Number != 1 || got.Container != replica("1") {
		t.Errorf("replica %d, want 1", got.Number)
	}
	p.query.Index = 2
	if got := p.find(); got.Number != 2 || got.Container != replica("2") {
		t.Errorf("replica %d, want 2", got.Number)
	}
	p.query.Index = 0
	targets, err := p.finder.FindAll(t.Context(), p.query)
	if err != nil || len(targets) != 3 {
		t.Fatalf("FindAll() = %d containers, %v; want 3", len(targets), err)
	}
	for i, target := range targets {
		if target.Number != i+1 {
			t.Errorf("FindAll()[%d] is replica %d", i, target.Number)
		}
	}
	docker(t, "stop", "-t", "0", p.name()+"-tests-1")
	loads := p.loads.Load()
	if targets, err := p.finder.FindAll(t.Context(), p.query); err != nil || len(targets) != 2 || p.loads.Load() != loads {
		t.Errorf("FindAll() = %d containers, %v, after reading the files %d times; want 2, by the cache", len(targets), err, p.loads.Load()-loads)
	}
	got, err := p.finder.Refresh(t.Context(), p.query)
	if err != nil || got.Number != 2 {
		t.Errorf("Refresh() = %v, %v; want replica 2, the lowest that is running", got, err)
	}
}

func TestNamedContainer(t *testing.T) {
	t.Parallel()
	needEngine(t)
	p := newProject(t, map[string]string{"compose.yaml": "services: {tests: {image: '" + image + "', command: [sleep, '3600'], network_mode: none, user: '7:8', working_dir: /w, volumes: ['.:/app'], tmpfs: /app/.tox}}", ".tox/x": ""})
	p.up()
	id := p.find().Container
	p.query.Dir = "/" // no Compose file is looked for
	name := p.name() + "-tests-1"
	p.query.Container = name
	got := p.find()
	if got.Container != id || got.User != "7:8" || got.Workdir != "/w" || got.Service != "tests" {
		t.Errorf("Find() = %+v", got)
	}
	if path, ok := got.PathFor(p.dir); !ok || path != "/app" {
		t.Errorf("PathFor(%s) = %s, %t; want /app", p.dir, path, ok)
	}
	if path, ok := got.PathFor(filepath.Join(p.dir, ".tox")); ok {
		t.Errorf("PathFor(.tox) = %s, where the container has a tmpfs", path)
	}

	// Another container can get the name. It counts at once.
	docker(t, "rename", name, p.name()+"-old")
	docker(t, "run", "-d", "--name", name, "--network", "none", image, "sleep", "3600")
	t.Cleanup(func() { docker(t, "rm", "-f", name) })
	got = p.find()
	if got.ContainerName != name || got.Container == id || len(got.Mounts) > 0 {
		t.Errorf("Find() = %+v, want the container that has the name now", got)
	}
	docker(t, "stop", "-t", "0", name)
	_, err := p.finder.Find(t.Context(), p.query)
	if e, ok := errors.AsType[*compose.NotRunningError](err); !ok || e.Hint() != "docker start "+name {
		t.Errorf("Find() = %v, want that it isn't running", err)
	}
	p.query.Container += "-nonesuch"
	if _, err := p.finder.Find(t.Context(), p.query); err == nil || !strings.Contains(err.Error(), "there is no container") {
		t.Errorf("Find() = %v, want that there is no such container", err)
	}
}

// docker-compose 1.29, as Debian has it, leaves the same labels.
func TestDockerComposeOne(t *testing.T) {
	t.Parallel()
	needEngine(t)
	out, err := exec.Command("docker-compose", "version", "--short").Output()
	if err != nil || !strings.HasPrefix(string(out), "1.") {
		t.Skip("docker-compose 1 is not installed")
	}
	p := newProject(t, map[string]string{"docker-compose.yml": "version: '3.8'\nservices: {tests: {image: '" + image + "', command: [sleep, '3600'], network_mode: none, environment: ['X=${X:?is needed}']}}"})
	p.env("X=1")
	run := func(args ...string) string {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "docker-compose", args...)
		cmd.Dir, cmd.Env = p.dir, append(os.Environ(), "X=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("docker-compose %s: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	run("up", "-d")
	t.Cleanup(func() { run("down", "-t", "0") })
	want := run("ps", "-q", "tests")
	if got := p.find(); got.Container != want {
		t.Errorf("container %s, want %s", got.Container, want)
	}
	p.finder.CacheDir = ""
	p.env()
	if got := p.find(); got.Container != want || got.Warning == "" {
		t.Errorf("by its labels: container %s, warning %q; want %s", got.Container, got.Warning, want)
	}
	p.query.Files = []string{"docker-compose.yml"}
	if got := p.find(); got.Container != want || got.Warning == "" {
		t.Errorf("by the label of its files: container %s, warning %q; want %s", got.Container, got.Warning, want)
	}
}
