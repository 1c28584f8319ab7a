package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/client"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/compose/load"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

const scripts = "testdata/script"

// A scriptCommand is one that scripts have.
type scriptCommand = func(*testscript.TestScript, bool, []string)

// Each script runs on both engines, but one that tells nothing more on the second. A
// line that is for one of them has [fake] or [real] in front, and a script that is, ends
// with stop on the other one. For what docker itself has learned lately there is
// [docker-25].
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"fake", "real"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			docker := dockerVersion(t)
			commands := map[string]scriptCommand{
				"exits":    exits,
				"up":       up,
				"recreate": recreate,
				"remove":   remove,
				"dies":     dies,
				"revives":  revives,
				"requests": requests,
				"left":     left,
				"keeper":   keeper,
				"timeless": timeless,
				"offers":   offers,
			}
			commands["second"] = second(commands)
			testscript.Run(t, testscript.Params{
				Dir:                scripts,
				RequireUniqueNames: true,
				UpdateScripts:      os.Getenv("TOXRUN_UPDATE_SCRIPTS") != "",
				Setup:              func(env *testscript.Env) error { return setStage(env, name == "real") },
				Condition: func(cond string) (bool, error) {
					switch cond {
					case "fake", "real":
						return cond == name, nil
					case "docker-25":
						return docker >= 25, nil
					}
					return false, fmt.Errorf("there is no condition %s", cond)
				},
				Cmds: commands,
			})
		})
	}
}

// A file that TestScripts passes over would be a test that is never run.
func TestEveryScriptIsRun(t *testing.T) {
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == "testdata" || path == filepath.FromSlash(scripts) && d.IsDir():
		case d.IsDir() || filepath.Dir(path) != filepath.FromSlash(scripts) || filepath.Ext(path) != ".txtar":
			t.Errorf("no test owns %s", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A stage is the Engine of one script, and what the script has put there.
type stage struct {
	t          testing.TB
	client     *client.Client
	engine     *enginetest.Engine // nil on the real one
	project    string
	containers map[string]string // ID by service
	number     int               // of the Engine

	second *stage // nil until the script asks for it
	away   bool   // a command for the second one runs
}

// stageKey is the stage's among the values of a script.
type stageKey struct{}

// stageOf is the stage that a script's command is for.
func stageOf(ts *testscript.TestScript) *stage {
	s := ts.Value(stageKey{}).(*stage)
	if s.away {
		return s.second
	}
	return s
}

func setStage(env *testscript.Env, real bool) error {
	s := &stage{t: env.T().(testing.TB), containers: map[string]string{}, project: "toxrun-test-" + number(), number: 1}
	env.Values[stageKey{}] = s
	if real {
		s.client = realEngine(s.t)
		s.t.Cleanup(s.clear)
		env.Setenv("PATH", unraced+string(filepath.ListSeparator)+env.Getenv("PATH"))
	} else {
		s.fake()
	}
	env.Vars = append(env.Vars, home(s.t, filepath.Join(env.WorkDir, ".home"))...)
	env.Setenv("DOCKER_HOST", s.client.DaemonHost())
	env.Setenv("API", s.client.ClientVersion())
	env.Setenv("COMPOSE_PROJECT_NAME", s.project)
	env.Setenv("NUMBER", number())
	return nil
}

// fake has the stage be a fake's.
func (s *stage) fake() {
	s.engine = new(enginetest.Engine)
	s.engine.Start(s.t)
	s.client = s.engine.Client()
}

// second COMMAND [ARG...] runs one of the other commands for a second Engine, a fake on
// both: its address is $SECOND from the first time on.
func second(commands map[string]scriptCommand) scriptCommand {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s := stageOf(ts)
		if len(args) == 0 || commands[args[0]] == nil {
			ts.Fatalf("usage: [!] second COMMAND [ARG...]")
		}
		if s.second == nil {
			s.second = &stage{t: s.t, containers: map[string]string{}, project: s.project, number: 2}
			s.second.fake()
			ts.Setenv("SECOND", s.second.client.DaemonHost())
		}
		s.away = true
		defer func() { s.away = false }()
		commands[args[0]](ts, neg, args[1:])
	}
}

// dies is the end of a fake as a daemon that is killed has it, and revives its new start.
func dies(ts *testscript.TestScript, neg bool, args []string) { stageOf(ts).mortal(ts).Die() }

func revives(ts *testscript.TestScript, neg bool, args []string) { stageOf(ts).mortal(ts).Revive() }

func (s *stage) mortal(ts *testscript.TestScript) *enginetest.Engine {
	if s.engine == nil {
		ts.Fatalf("only a fake dies")
	}
	return s.engine
}

// clear removes what a script has left on the real Engine.
func (s *stage) clear() {
	ctx := context.Background()
	ours := filters.NewArgs(filters.Arg("label", "com.docker.compose.project="+s.project))
	list, err := s.client.ContainerList(ctx, container.ListOptions{All: true, Filters: ours})
	if err != nil {
		s.t.Error(err)
	}
	for _, c := range list {
		if err := s.client.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true}); err != nil {
			s.t.Error(err)
		}
	}
}

// realEngine is the Engine that the environment names.
func realEngine(t testing.TB) *client.Client {
	t.Helper()
	c, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Ping(context.Background()); err != nil {
		needed(t, "no Docker Engine: %v", err)
	}
	if _, err := c.ImageInspect(context.Background(), enginetest.DefaultImage); err != nil {
		needed(t, "no image %s (run scripts/images.sh): %v", enginetest.DefaultImage, err)
	}
	return c
}

// up [-image TAG] [-scale N] [SERVICE...] does what docker compose up -d would, for all
// of the services or for those: what toxrun sees of it, and no more. The first
// service's container ID is $ID from then on, as docker ps has it $SHORT, and its
// name $NAME. With -scale there are N containers of each, which have their number in
// REPLICA, and the Engine's in ENGINE.
func up(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	image := enginetest.DefaultImage
	if len(args) > 1 && args[0] == "-image" {
		image, args = "toxrun-test:"+args[1], args[2:]
	}
	replicas := 1
	if len(args) > 1 && args[0] == "-scale" {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		replicas, args = n, args[2:]
	}
	query := compose.Query{Dir: ts.MkAbs("."), Environ: []string{
		"COMPOSE_PROJECT_NAME=" + ts.Getenv("COMPOSE_PROJECT_NAME"),
		"NEEDED=" + ts.Getenv("NEEDED"),
	}}
	model, err := load.Model(context.Background(), query)
	ts.Check(err)
	for _, service := range model.Services {
		if len(args) > 0 && !slices.Contains(args, service.Name) {
			continue
		}
		for n := 2; n <= replicas; n++ {
			s.containers[fmt.Sprint(service.Name, "-", n)] = s.add(model, service, image, n)
		}
		id := s.add(model, service, image, 1)
		s.containers[service.Name] = id
		if service.Name == model.Services[0].Name || len(args) > 0 && service.Name == args[0] {
			ts.Setenv("ID", id)
			ts.Setenv("SHORT", id[:12])
			ts.Setenv("NAME", s.name(service.Name, 1))
		}
	}
}

func (s *stage) name(service string, n int) string {
	return fmt.Sprint(s.project, "-", service, "-", n)
}

// add makes and starts a service's container with the number n.
func (s *stage) add(model *compose.Model, service compose.Service, image string, n int) string {
	s.t.Helper()
	labels := map[string]string{
		"com.docker.compose.project":              model.Project,
		"com.docker.compose.project.working_dir":  model.Dir,
		"com.docker.compose.project.config_files": filepath.Join(model.Dir, "compose.yaml"),
		"com.docker.compose.service":              service.Name,
		"com.docker.compose.container-number":     strconv.Itoa(n),
		"com.docker.compose.oneoff":               "False",
	}
	env := []string{fmt.Sprint("REPLICA=", n), fmt.Sprint("ENGINE=", s.number), "TOXRUN_TEST_SERVICE=" + service.Name}
	if s.engine != nil {
		c := enginetest.Container{Name: s.name(service.Name, n), Image: image, Labels: labels, Env: env, NoShell: strings.HasSuffix(image, ":noshell")}
		for _, b := range service.Binds {
			c.Mounts = append(c.Mounts, container.MountPoint{Type: mount.TypeBind, Source: b.Source, Destination: b.Target})
		}
		return s.engine.Add(c)
	}
	host := &container.HostConfig{NetworkMode: "none"}
	for _, b := range service.Binds {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: b.Source, Target: b.Target})
	}
	ctx := context.Background()
	config := &container.Config{Image: image, Cmd: []string{"sleep", "1000000"}, Env: env, Labels: labels, StopSignal: "SIGKILL"}
	created, err := s.client.ContainerCreate(ctx, config, host, nil, nil, s.name(service.Name, n))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.client.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		s.t.Fatal(err)
	}
	return created.ID
}

// recreate [-image TAG] SERVICE replaces a service's container by a new one, as docker
// compose up --force-recreate does.
func recreate(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	if neg || len(args) != 1 && (len(args) != 3 || args[0] != "-image") {
		ts.Fatalf("usage: recreate [-image TAG] SERVICE")
	}
	ts.Check(s.client.ContainerRemove(context.Background(), s.containers[args[len(args)-1]], container.RemoveOptions{Force: true}))
	up(ts, false, args)
}

// remove SERVICE[-N] removes a container by force.
func remove(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	if neg || len(args) != 1 || s.containers[args[0]] == "" {
		ts.Fatalf("usage: remove SERVICE[-N]")
	}
	ts.Check(s.client.ContainerRemove(context.Background(), s.containers[args[0]], container.RemoveOptions{Force: true}))
	delete(s.containers, args[0])
}

// exits STATUS COMMAND [ARG...] runs a command that is to end with that status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	if got := exitStatus(err); got != want {
		ts.Fatalf("exit status %d (%v), want %d", got, err, want)
	}
}

// requests prints what has been asked of the fake since the last time.
func requests(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	if s.engine == nil {
		ts.Fatalf("only the fake counts its requests")
	}
	out := ts.Stdout()
	for _, route := range s.engine.Requests() {
		fmt.Fprintln(out, route)
	}
	s.engine.ResetRequests()
}

// ! left TEXT fails if a process in one of the containers has TEXT in its
// arguments or its environment; left waits until there is one.
func left(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts)
	if len(args) != 1 || len(s.containers) == 0 {
		ts.Fatalf("usage: [!] left TEXT, after up")
	}
	var found []string
	for deadline := enginetest.Deadline(s.t); ; time.Sleep(5 * time.Millisecond) {
		for _, id := range s.containers {
			e := enginetest.Target{Client: s.client, Container: id, Engine: s.engine}
			for _, p := range e.Processes(s.t, args[0]) {
				found = append(found, strings.Join(p.Args, " "))
			}
		}
		if neg || len(found) > 0 || time.Now().After(deadline) {
			break
		}
	}
	switch {
	case neg && len(found) > 0:
		ts.Fatalf("left in the container: %q", found)
	case !neg && len(found) == 0:
		ts.Fatalf("nothing is left in the container")
	}
}

// keeper [-n N] [STATE] waits until there are N keepers, else one, and prints them;
// with STATE until they all are so.
func keeper(ts *testscript.TestScript, neg bool, args []string) {
	count := 1
	if len(args) > 1 && args[0] == "-n" {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		count, args = n, args[2:]
	}
	if neg || len(args) > 1 {
		ts.Fatalf("usage: keeper [-n N] [STATE]")
	}
	var said []byte
	for deadline := enginetest.Deadline(stageOf(ts).t); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		cmd := exec.Command(programName, "standby", "--format", "json")
		cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "XDG_RUNTIME_DIR=" + ts.Getenv("XDG_RUNTIME_DIR")}
		var err error
		said, err = cmd.Output()
		ts.Check(err)
		var infos []standby.Info
		ts.Check(json.Unmarshal(said, &infos))
		other := func(i standby.Info) bool { return i.State != args[0] }
		if len(infos) == count && (len(args) == 0 || !slices.ContainsFunc(infos, other)) {
			ts.Stdout().Write(said)
			return
		}
	}
	ts.Fatalf("keepers: %s", said)
}

// timeless FROM TO copies a file without the time that something took.
func timeless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: timeless FROM TO")
	}
	text := took.ReplaceAllString(ts.ReadFile(args[0]), "TIME")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

var took = regexp.MustCompile(`\d+\.\d+s`)

// offers [docker __complete toxrun] ARG... completes a command line until something is
// offered: on a busy machine the container may answer too late.
func offers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: offers [docker __complete toxrun] ARG...")
	}
	if args[0] != "docker" {
		args = append([]string{programName, "__complete"}, args...)
	}
	for deadline := enginetest.Deadline(stageOf(ts).t); time.Now().Before(deadline); {
		ts.Check(ts.Exec(args[0], args[1:]...))
		if strings.Count(ts.ReadFile("stdout"), "\n") > 1 {
			return
		}
	}
	ts.Fatalf("nothing is offered")
}
