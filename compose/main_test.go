package compose_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/compose/load"
)

// image has busybox with all its applets and no command. scripts/images.sh
// makes it.
const image = "toxrun-test:busybox"

func TestMain(m *testing.M) {
	if dir := os.Getenv("TOXRUN_TEST_FIND"); dir != "" {
		os.Exit(findProcess(dir))
	}
	os.Exit(m.Run())
}

// connect is what a program gives a Finder as Connect.
func connect() (compose.Engine, error) {
	return client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
}

// needEngine skips a test where there is no Engine, docker compose or image,
// or fails it where TOXRUN_TEST_ENGINE=required. It gives a client.
func needEngine(t *testing.T) *client.Client {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("TOXRUN_TEST_ENGINE") == "required" {
		missing = t.Fatalf
	}
	c, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		missing("no Engine: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Ping(t.Context()); err != nil {
		missing("no Engine: %v", err)
	}
	if err := dockerCompose(); err != nil {
		missing("no docker compose: %v", err)
	}
	if _, err := c.ImageInspect(t.Context(), image); err != nil {
		missing("no image (run scripts/images.sh): %v", err)
	}
	return c
}

// dockerCompose is an error where there is none.
var dockerCompose = sync.OnceValue(func() error {
	out, err := exec.Command("docker", "compose", "version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// A project is a directory with Compose files, and a caller in it.
type project struct {
	t       *testing.T
	dir     string
	environ []string // what Compose and the Finder have besides the process's environment
	query   compose.Query
	finder  compose.Finder

	loads, connects atomic.Int32
}

var projects atomic.Int32

// newProject makes a project of files (name to content). In both, NAME stands
// for a name no other project has, which is also the directory's; STANDARD for
// what each service here needs.
func newProject(t *testing.T, files map[string]string) *project {
	t.Helper()
	dir := filepath.Join(t.TempDir(), fmt.Sprintf("toxrun-test-%d-%d", os.Getpid(), projects.Add(1)))
	p := &project{t: t, dir: dir}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		p.write(name, content)
	}
	p.query = compose.Query{Dir: dir}
	p.finder = compose.Finder{
		CacheDir: filepath.Join(t.TempDir(), "cache"),
		Connect: func() (compose.Engine, error) {
			p.connects.Add(1)
			return connect()
		},
		Load: func(ctx context.Context, q compose.Query) (*compose.Model, error) {
			p.loads.Add(1)
			return load.Model(ctx, q)
		},
	}
	return p
}

// name is the unique one.
func (p *project) name() string { return filepath.Base(p.dir) }

func (p *project) expand(s string) string {
	return strings.NewReplacer(
		"NAME", p.name(),
		"STANDARD", "{image: '"+image+"', command: [sleep, '3600'], network_mode: host, stop_grace_period: 0s}",
	).Replace(s)
}

func (p *project) write(name, content string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(p.expand(content)), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// env gives the caller variables, instead of those it had before.
func (p *project) env(environ ...string) {
	p.environ = nil
	for _, v := range environ {
		p.environ = append(p.environ, p.expand(v))
	}
	p.query.Environ = append(os.Environ(), p.environ...)
}

// compose runs docker compose as the caller would, with the options of the
// query.
func (p *project) compose(args ...string) string {
	p.t.Helper()
	out, err := p.tryCompose(p.query, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *project) tryCompose(q compose.Query, args ...string) (string, error) {
	argv := q.ComposeCommand(args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = q.Dir
	cmd.Env = append(os.Environ(), p.environ...)
	cmd.Env = append(cmd.Env, "PWD="+q.Dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}

// up starts the project and ends it with the test, as it is now: whatever
// happens to its files until then.
func (p *project) up(args ...string) {
	p.t.Helper()
	p.compose(append([]string{"up", "-d", "-t", "0"}, args...)...)
	ids := strings.Fields(p.compose("ps", "-aq"))
	label := docker(p.t, "inspect", "-f", `{{index .Config.Labels "com.docker.compose.project"}}`, ids[0])
	p.t.Cleanup(func() {
		exec.Command("docker", "compose", "-p", label, "down", "-t", "0").Run() // may be down already
	})
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// find is Find, and fails the test where that fails.
func (p *project) find() *compose.Target {
	p.t.Helper()
	target, err := p.finder.Find(p.t.Context(), p.query)
	if err != nil {
		p.t.Fatal(err)
	}
	return target
}

// wantContainer finds the container and compares it with what docker compose
// says. It is for the warm case as well, so it looks again.
func (p *project) wantContainer(service string) *compose.Target {
	p.t.Helper()
	want := p.compose("ps", "-q", service)
	target := p.find()
	if target.Container != want {
		p.t.Fatalf("Find() = container %s of project %s, docker compose has %s", target.Container, target.Project, want)
	}
	if again := p.find(); again.Container != want || !again.Cached {
		p.t.Fatalf("Find() again = container %s, cached %t; want %s from the cache", again.Container, again.Cached, want)
	}
	return target
}
