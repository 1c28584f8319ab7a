package enginetest

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
)

// DefaultImage is what [Each]'s container on the real Engine is made of: busybox
// and nothing else. scripts/images.sh makes it and the others.
const DefaultImage = "toxrun-test:busybox"

// A Target is a container on one of the two engines.
type Target struct {
	Name      string         // "fake" or "real"
	Client    *client.Client // for the fake one of its API version, for the real one negotiated
	Host      string         // the engine's address, as DOCKER_HOST takes it
	Container string         // ID of a container that runs, for this test alone
	Engine    *Engine        // nil on the real one
}

// Each runs one test body twice: as the subtest "fake" on an [Engine] and as
// "real" on the Docker Engine that the environment names. Without one "real" is
// skipped, unless TOXRUN_TEST_ENGINE=required.
func Each(t *testing.T, body func(t *testing.T, e Target)) {
	t.Helper()
	t.Run("fake", func(t *testing.T) { body(t, Fake(t, Container{})) })
	t.Run("real", func(t *testing.T) { body(t, Real(t, DefaultImage)) })
}

// EachImage is [Each] with a container of each of the images, "toxrun-test:alpine"
// for example, as "real-alpine". The fake is the same for all of them and is run
// once, as "fake"; for "toxrun-test:noshell" it has NoShell and is "fake-noshell".
func EachImage(t *testing.T, images []string, body func(t *testing.T, e Target)) {
	t.Helper()
	noShell := func(image string) bool { return tag(image) == "noshell" }
	if !slices.ContainsFunc(images, noShell) || len(images) > 1 {
		t.Run("fake", func(t *testing.T) { body(t, Fake(t, Container{})) })
	}
	if slices.ContainsFunc(images, noShell) {
		t.Run("fake-noshell", func(t *testing.T) { body(t, Fake(t, Container{NoShell: true})) })
	}
	for _, image := range images {
		t.Run("real-"+tag(image), func(t *testing.T) { body(t, Real(t, image)) })
	}
}

func tag(image string) string { return image[strings.LastIndexByte(image, ':')+1:] }

// Fake starts an [Engine] with one container.
func Fake(t testing.TB, c Container) Target {
	t.Helper()
	e := new(Engine)
	e.Start(t)
	return e.Target(e.Add(c))
}

// Target returns a container of e as a test body takes it.
func (e *Engine) Target(id string) Target {
	e.t.Helper()
	return Target{Name: "fake", Client: e.Client(), Host: e.Host(), Container: id, Engine: e}
}

// Exec runs a command in the container and returns its stdout, by another way than
// the exec API of Client. It fails the test if the command does.
func (e Target) Exec(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command("docker", append([]string{"-H", e.Host, "exec", e.Container}, args...)...)
	if e.Engine != nil {
		cmd = e.box(t).command(args)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q in the container: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

// command runs on the machine as a process of the container.
func (b *box) command(args []string) *exec.Cmd {
	x := &instance{box: b}
	u, _ := lookupUser("")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = x.environment(u)
	cmd.Dir = "/"
	return cmd
}

// Processes returns the container's processes with token in their environment
// or command line. Zombies are none. On the real Engine it needs to run as root
// on the Engine's machine.
func (e Target) Processes(t testing.TB, token string) []Process {
	t.Helper()
	var list []Process
	var err error
	if e.Engine != nil {
		list, err = e.box(t).members()
	} else {
		list, err = e.realProcesses()
	}
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(p Process) bool { return !p.Contains(token) })
}

// Sleeps waits until as many processes have become `sleep NUMBER` whose number ends in
// token. A shell that has forked is not yet what it is to be: what is on its way to
// another session, say, can still be where it was.
func (e Target) Sleeps(t testing.TB, token string, count int) {
	t.Helper()
	var list []Process
	for deadline := Deadline(t); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		list = slices.DeleteFunc(e.Processes(t, token), func(p Process) bool {
			return len(p.Args) != 2 || p.Args[0] != "sleep" || !strings.HasSuffix(p.Args[1], token)
		})
		if len(list) == count {
			return
		}
	}
	t.Fatalf("%d processes sleep, want %d: %v", len(list), count, list)
}

func (e Target) box(t testing.TB) *box {
	t.Helper()
	e.Engine.mu.Lock()
	defer e.Engine.mu.Unlock()
	i := slices.IndexFunc(e.Engine.all, func(b *box) bool { return b.id == e.Container })
	if i < 0 {
		t.Fatalf("no container has ever had the ID %q", e.Container)
	}
	return e.Engine.all[i]
}

// ExecIDs returns the container's execs that have not ended.
func (e Target) ExecIDs(t testing.TB) []string {
	t.Helper()
	c, err := e.Client.ContainerInspect(context.Background(), e.Container)
	if err != nil {
		t.Fatal(err)
	}
	return c.ExecIDs
}
