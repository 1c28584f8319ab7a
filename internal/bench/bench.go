package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A bench is where the contenders meet: Compose projects of its own, and users
// with a home directory of their own.
type bench struct {
	tmp     string
	bin     string   // the directory of the programs that were built
	compose []string // docker compose or, where only that is there, docker-compose
	socket  string   // the Engine's
	environ []string // what all users have
	quick   bool
	stderr  io.Writer

	labels  int       // how many projects there have been
	keepers []command // each ends keepers
}

const defaultSocket = "/var/run/docker.sock"

// newBench makes the directory that it needs. close removes it.
func newBench(ctx context.Context, bin string) (b *bench, err error) {
	b = &bench{compose: []string{"docker", "compose"}}
	if b.bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	programs, err := os.ReadDir(b.bin)
	if err != nil {
		return nil, fmt.Errorf("%w: make build makes it", err)
	}
	if b.socket, err = socket(ctx); err != nil {
		return nil, err
	}
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() != nil {
		b.compose = []string{"docker-compose"}
	}
	if b.tmp, err = os.MkdirTemp("", "toxrun-bench"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(b.tmp)
		}
	}()
	plugins := filepath.Join(b.tmp, "docker", "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		return nil, err
	}
	for _, p := range programs {
		if err := os.Symlink(filepath.Join(b.bin, p.Name()), filepath.Join(plugins, p.Name())); err != nil {
			return nil, err
		}
	}
	config := os.Getenv("DOCKER_CONFIG")
	if config == "" {
		config = filepath.Join(os.Getenv("HOME"), ".docker")
	}
	compose := filepath.Join(config, "cli-plugins", "docker-compose")
	if _, err := os.Stat(compose); err == nil { // else it is where every user has it
		if err := os.Symlink(compose, filepath.Join(plugins, "docker-compose")); err != nil {
			return nil, err
		}
	}
	b.environ = slices.DeleteFunc(os.Environ(), func(assignment string) bool {
		return strings.HasPrefix(assignment, "TOXRUN_") || strings.HasPrefix(assignment, "COMPOSE_") || strings.HasPrefix(assignment, "DOCKER_")
	})
	b.environ = append(b.environ, "DOCKER_CONFIG="+filepath.Join(b.tmp, "docker"))
	if b.socket != defaultSocket {
		b.environ = append(b.environ, "DOCKER_HOST=unix://"+b.socket)
	}
	return b, nil
}

// socket is that of the Engine that docker talks to.
func socket(ctx context.Context) (string, error) {
	host, err := command{args: []string{"docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"}}.output(ctx)
	if err != nil {
		return "", err
	}
	path, ok := strings.CutPrefix(strings.TrimSpace(host), "unix://")
	if !ok {
		return "", fmt.Errorf("the Engine is at %s: the bench needs one on a unix socket", strings.TrimSpace(host))
	}
	return path, nil
}

// close removes all there was, also when the bench was interrupted.
func (b *bench) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var errs []error
	for _, keepers := range b.keepers {
		_, err := keepers.output(ctx)
		errs = append(errs, err)
	}
	for n := range b.labels {
		p := project{bench: b, name: b.projectName(n + 1)}
		errs = append(errs, p.down(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(b.tmp))...)
}

// A user is an environment of commands.
type user []string

// user has a cache and sockets of their own.
func (b *bench) user(name string, more ...string) (user, error) {
	env := slices.Clone(b.environ)
	for variable, dir := range map[string]string{"XDG_CACHE_HOME": b.cache(name), "XDG_RUNTIME_DIR": filepath.Join(b.tmp, "run", name)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		env = append(env, variable+"="+dir)
	}
	return append(env, more...), nil
}

func (b *bench) cache(user string) string { return filepath.Join(b.tmp, "cache", user) }

// A project is a Compose project that is up.
type project struct {
	bench     *bench
	name      string
	dir       string
	container string // of the service tests
}

func (b *bench) projectName(n int) string {
	return fmt.Sprintf("%s-%d", strings.ToLower(filepath.Base(b.tmp)), n)
}

// up writes a Compose file of these services and starts them, or those that up
// names: arguments of docker compose up.
func (b *bench) up(ctx context.Context, services string, up ...string) (*project, error) {
	b.labels++
	p := &project{bench: b, name: b.projectName(b.labels)}
	p.dir = filepath.Join(b.tmp, p.name)
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return nil, err
	}
	text := "name: " + p.name + "\nservices:\n" + services
	if err := os.WriteFile(filepath.Join(p.dir, "compose.yaml"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	u, err := b.user("compose")
	if err != nil {
		return nil, err
	}
	cmd := p.command(u, b.composeArgs(append([]string{"up", "-d"}, up...)...)...).make(ctx)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("docker compose up: %w\n%s", err, out)
	}
	id, err := p.command(u, b.composeArgs("ps", "-q", "tests")...).output(ctx)
	p.container = strings.TrimSpace(id)
	return p, err
}

// down removes the project's containers.
func (p *project) down(ctx context.Context) error {
	list := command{args: []string{"docker", "ps", "-aq", "--filter", "label=com.docker.compose.project=" + p.name}, env: p.bench.environ}
	ids, err := list.output(ctx)
	if err != nil || ids == "" {
		return err
	}
	remove := command{args: append([]string{"docker", "rm", "-f", "-v"}, strings.Fields(ids)...), env: p.bench.environ}
	_, err = remove.output(ctx)
	return err
}

// command is one that the user starts in the project's directory.
func (p *project) command(u user, args ...string) command {
	if args[0] == "docker-toxrun" {
		args = append([]string{filepath.Join(p.bench.bin, args[0])}, args[1:]...)
	}
	return command{args: args, dir: p.dir, env: u}
}

func (p *project) floor() floor { return floor{p.bench.socket, p.container} }

// service is one of a Compose file, up to its x-toxrun.
func service(name, image string) string {
	return fmt.Sprintf("  %s:\n    image: toxrun-test:%s\n    command: sleep 1000000\n    network_mode: none\n    stop_signal: SIGKILL\n", name, image)
}

func (b *bench) composeArgs(args ...string) []string { return slices.Concat(b.compose, args) }

// pick is a number of rounds, or an amount of data.
func (b *bench) pick(full, quick int) int {
	if b.quick {
		return quick
	}
	return full
}

// say tells how far the bench is.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stderr, "toxrun: bench: "+format+"\n", args...)
}

// measure measures a group.
func (b *bench) measure(ctx context.Context, g *group) (*result, error) {
	begin := time.Now()
	b.say("%s: %s of %d", g.title, plural(g.rounds, "round"), len(g.contenders))
	r, err := g.measure(ctx, idle)
	if err == nil {
		b.say("%s: %v", g.title, time.Since(begin).Round(time.Second))
	}
	return r, err
}
