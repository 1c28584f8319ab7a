package enginetest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/client"
)

func TestRequests(t *testing.T) {
	e := Fake(t, Container{})
	readAll(t, attach(t, e, create(t, e, shell("exit 0")), false))
	if _, err := e.Client.ContainerList(t.Context(), container.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	want := []string{"POST /containers/{id}/exec", "POST /exec/{id}/start", "GET /containers/json"}
	if got := e.Engine.Requests(); !slices.Equal(got, want) {
		t.Errorf("requests %q, want %q", got, want)
	}
	e.Engine.ResetRequests()
	if got := e.Engine.Requests(); len(got) > 0 {
		t.Errorf("requests %q after the reset", got)
	}
}

func TestNegotiation(t *testing.T) {
	for _, version := range []string{"1.41", "1.51"} {
		e := startFake(t, version, Container{})
		c, err := client.NewClientWithOpts(client.WithHost(e.Host), client.WithAPIVersionNegotiation())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Info(t.Context()); err != nil || c.ClientVersion() != version {
			t.Errorf("negotiated %s, %v, want %s", c.ClientVersion(), err, version)
		}
		c.Close()
	}
}

func TestList(t *testing.T) {
	e := new(Engine)
	e.Start(t)
	web := e.Add(Container{Name: "app-web-1", Labels: map[string]string{"project": "app", "service": "web"}})
	db := e.Add(Container{Name: "app-db-1", Labels: map[string]string{"project": "app", "service": "db"}})
	old := e.Add(Container{Name: "old", Stopped: true})
	e.Pause(db)
	tests := []struct {
		name string
		opts container.ListOptions
		want []string
	}{
		{"running", container.ListOptions{}, []string{db, web}},
		{"all", container.ListOptions{All: true}, []string{old, db, web}},
		{"label", container.ListOptions{Filters: filters.NewArgs(filters.Arg("label", "project=app"), filters.Arg("label", "service=web"))}, []string{web}},
		{"label alone", container.ListOptions{Filters: filters.NewArgs(filters.Arg("label", "project"))}, []string{db, web}},
		{"status", container.ListOptions{Filters: filters.NewArgs(filters.Arg("status", "created"), filters.Arg("status", "paused"))}, []string{old, db}},
		{"name", container.ListOptions{Filters: filters.NewArgs(filters.Arg("name", "web"))}, []string{web}},
		{"id", container.ListOptions{Filters: filters.NewArgs(filters.Arg("id", db[:8]))}, []string{db}},
	}
	for _, test := range tests {
		list, err := e.Client().ContainerList(t.Context(), test.opts)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list {
			got = append(got, c.ID)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	_, err := e.Client().ContainerList(t.Context(), container.ListOptions{Filters: filters.NewArgs(filters.Arg("volume", "x"))})
	if !errdefs.IsInvalidArgument(err) {
		t.Errorf("a filter it does not know: %v", err)
	}
}

func TestInspect(t *testing.T) {
	c := Container{
		Name: "app", Labels: map[string]string{"a": "b"}, User: "1:2", Dir: "/tmp", Env: []string{"X=y"}, Health: "starting",
		Mounts: []container.MountPoint{{Type: mount.TypeBind, Source: "/src", Destination: "/app"}},
	}
	e := Fake(t, c)
	e.Engine.SetHealth(e.Container, "healthy")
	got, err := e.Client.ContainerInspect(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "/app" || got.Config.Labels["a"] != "b" || got.Config.User != "1:2" || got.Config.WorkingDir != "/tmp" ||
		!slices.Equal(got.Config.Env, c.Env) || got.State.Health.Status != "healthy" || len(got.Mounts) != 1 || got.Mounts[0].Source != "/src" {
		t.Errorf("inspect: %+v", got)
	}
	if _, err := time.Parse(time.RFC3339Nano, got.State.StartedAt); err != nil {
		t.Error(err)
	}
}

func TestMountedDirectory(t *testing.T) {
	source := t.TempDir()
	if err := os.Mkdir(filepath.Join(source, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	e := Fake(t, Container{Dir: "/app/sub", Mounts: []container.MountPoint{{Source: source, Destination: "/app"}}})
	out, _ := readAll(t, attach(t, e, create(t, e, output("pwd", "-P")), false))
	want, _ := filepath.EvalSymlinks(filepath.Join(source, "sub"))
	if strings.TrimSpace(out) != want {
		t.Errorf("started in %q, want %q", out, want)
	}
}

func TestNoShell(t *testing.T) {
	t.Parallel()
	EachImage(t, []string{"toxrun-test:noshell"}, func(t *testing.T, e Target) {
		out, _ := readAll(t, attach(t, e, create(t, e, shell("echo hi")), false))
		if !strings.Contains(out, `exec: "sh": executable file not found in $PATH`) {
			t.Errorf("sh: %q", out)
		}
		id := create(t, e, output("sleep", "0"))
		readAll(t, attach(t, e, id, false))
		if got := inspect(t, e, id).String(); got != "running false, exit code 0, pid set" {
			t.Errorf("sleep: %s", got)
		}
	})
}

func TestTargetExec(t *testing.T) {
	Each(t, func(t *testing.T, e Target) {
		if got := e.Exec(t, "sh", "-c", "echo $((6*7))"); got != "42\n" {
			t.Errorf("Exec = %q", got)
		}
	})
}

// The container's are its markers, sessions and children: one of the three is enough.
func TestProcesses(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		tokens := []string{seconds(9), seconds(10), seconds(11), seconds(12)}
		id := create(t, e, shell(fmt.Sprintf("env -i sleep %s & env -i setsid sleep %s & (setsid sleep %s &) ; echo hi; env -i sleep %s",
			tokens[0], tokens[1], tokens[2], tokens[3])))
		wantOutput(t, attach(t, e, id, false), frame("hi\n"))
		for _, token := range tokens {
			waitFor(t, "sleep "+token+" is found", func() bool {
				return slices.ContainsFunc(e.Processes(t, token), func(p Process) bool {
					return len(p.Args) == 2 && p.Args[0] == "sleep" && p.Args[1] == token
				})
			})
		}
		e.Kill(t)
		if p := e.Processes(t, ""); len(p) > 0 {
			t.Errorf("left over: %v", p)
		}
		wantGone(t, tokens)
	})
}

// A shell that starts one program after the other is a moving target.
func TestPauseBusyShell(t *testing.T) {
	t.Parallel()
	e := Fake(t, Container{})
	id := create(t, e, shell("sleep 0 & echo hi; while :; do /bin/true; (env true); done"))
	a := attach(t, e, id, false)
	wantOutput(t, a, frame("hi\n"))
	for range 10 {
		e.Engine.Pause(e.Container)
		for _, p := range e.Processes(t, "") {
			if p.state != 'T' {
				t.Errorf("paused, but in state %c: %q", p.state, p.Args)
			}
		}
		e.Engine.Unpause(e.Container)
	}
}

// What starts while a container is killed does not survive it.
func TestStartWhileKilled(t *testing.T) {
	t.Parallel()
	e := Fake(t, Container{})
	ctx := t.Context()
	var starters sync.WaitGroup
	for range 4 {
		starters.Go(func() {
			for {
				x, err := e.Client.ContainerExecCreate(ctx, e.Container, output("sleep", "1000"))
				if err == nil {
					err = e.Client.ContainerExecStart(ctx, x.ID, container.ExecStartOptions{Detach: true})
				}
				if err != nil {
					return // as soon as the container does not run
				}
			}
		})
	}
	waitFor(t, "some run", func() bool { return len(e.Processes(t, "")) > 5 })
	e.Kill(t)
	if p := e.Processes(t, ""); len(p) > 0 {
		t.Errorf("left over: %v", p)
	}
	starters.Wait()
	if p := e.Processes(t, ""); len(p) > 0 {
		t.Errorf("started afterwards: %v", p)
	}
}

// A zombie can't be stopped, and is no process.
func TestZombie(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		isSleep := func(p Process) bool { return p.Args[0] == "sleep" }
		id := create(t, e, withInput(shell("exec 3<&0; read a <&3 & exec sleep 1023")))
		a := attach(t, e, id, false)
		waitFor(t, "there is a parent that does not wait for its child", func() bool {
			p := e.Processes(t, "1023")
			return len(p) == 2 && slices.ContainsFunc(p, isSleep)
		})
		a.CloseWrite()
		waitFor(t, "the child has ended", func() bool { return len(e.Processes(t, "1023")) == 1 })
		e.Pause(t)
		e.Unpause(t)
	})
}

// Nothing is left when the test that started an engine has ended.
func TestCleanup(t *testing.T) {
	var socket string
	tokens := []string{seconds(13), seconds(14), seconds(15), seconds(16)}
	t.Run("a test", func(t *testing.T) {
		e := Fake(t, Container{})
		socket = strings.TrimPrefix(e.Host, "unix://")
		e.Engine.Pause(e.Engine.Add(Container{}))
		a := attach(t, e, create(t, e, withInput(shell(fmt.Sprintf(
			"echo hi; setsid sleep %s & sleep %s & cat; sleep %s", tokens[0], tokens[1], tokens[2])))), false)
		wantOutput(t, a, frame("hi\n"))
		b := attach(t, e, create(t, e, withTTY(shell("echo hi; sleep "+tokens[3]))), true)
		wantOutput(t, b, "hi\r\n")
		e.Client.Events(t.Context(), events.ListOptions{})
		e.Engine.Pause(e.Container)
	})
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("%s: %v", socket, err)
	}
	wantGone(t, tokens)
}

// seconds is an argument for sleep that no other test run gives it.
func seconds(n int) string { return strconv.Itoa(os.Getpid()*100 + n) }

// wantGone fails if the machine has one of those sleeps.
func wantGone(t *testing.T, seconds []string) {
	t.Helper()
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if len(p.Args) == 2 && slices.Contains(seconds, p.Args[1]) && p.state != 'Z' {
			t.Errorf("left over: %v", p)
		}
	}
}

func TestDie(t *testing.T) {
	e := Fake(t, Container{})
	id := create(t, e, shell("echo hi; exec sleep 1017"))
	a := attach(t, e, id, false)
	wantOutput(t, a, frame("hi\n"))
	messages, errs := e.Client.Events(t.Context(), events.ListOptions{})
	e.Engine.Die()
	if _, err := io.ReadAll(a.Reader); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the stream's end: %v", err)
	}
	for open := true; open; {
		select {
		case <-messages:
		case err := <-errs:
			if err == nil {
				t.Error("the events ended without an error")
			}
			open = false
		}
	}
	if _, err := e.Client.Ping(t.Context()); !client.IsErrConnectionFailed(err) {
		t.Errorf("ping: %v", err)
	}
	if _, err := net.Dial("unix", strings.TrimPrefix(e.Host, "unix://")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
	wantLiving(t, e, "1017")

	e.Engine.Revive()
	if _, err := e.Client.ContainerExecInspect(t.Context(), id); !errdefs.IsNotFound(err) {
		t.Errorf("inspect of an exec from before: %v", err)
	}
	wantLiving(t, e, "1017")
	out, _ := readAll(t, attach(t, e, create(t, e, shell("echo again")), false))
	if out != "again\n" {
		t.Errorf("read %q", out)
	}
}

func TestCut(t *testing.T) {
	e := Fake(t, Container{})
	id := create(t, e, withInput(shell("echo hi; exec sleep 1018")))
	a := attach(t, e, id, false)
	wantOutput(t, a, frame("hi\n"))
	e.Engine.Cut(e.Container)
	if b, err := io.ReadAll(a.Reader); len(b) > 0 || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	if got := inspect(t, e, id).String(); got != "running true, exit code null, pid set" {
		t.Errorf("inspect: %s", got)
	}
	wantLiving(t, e, "1018")
}

func TestFault(t *testing.T) {
	e := Fake(t, Container{})
	e.Engine.Fault(Fail("POST /containers/{id}/exec", http.StatusServiceUnavailable, "not now", 2))
	for range 2 {
		if _, err := e.Client.ContainerExecCreate(t.Context(), e.Container, shell("exit 0")); !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "not now") {
			t.Errorf("create: %v", err)
		}
		if _, err := e.Client.ContainerInspect(t.Context(), e.Container); err != nil {
			t.Errorf("another route: %v", err)
		}
	}
	create(t, e, shell("exit 0"))

	release := make(chan struct{})
	e.Engine.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if Route(r) == "GET /exec/{id}/json" {
			<-release
		}
		return false
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	id := create(t, e, shell("exit 0"))
	if _, err := e.Client.ContainerExecInspect(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("inspect: %v, want it to be slow", err)
	}
	close(release)
	e.Engine.Fault(nil)
	inspect(t, e, id)
}

func TestRecreate(t *testing.T) {
	e := Fake(t, Container{Name: "app-web-1", Labels: map[string]string{"service": "web"}})
	a := attach(t, e, create(t, e, shell("echo hi; exec sleep 1019")), false)
	wantOutput(t, a, frame("hi\n"))
	id := e.Engine.Recreate(e.Container)
	readAll(t, a)
	_, err := e.Client.ContainerExecCreate(t.Context(), e.Container, shell("exit 0"))
	wantError(t, "create in the old one", err, errdefs.IsNotFound, "No such container: {id}", e.Container, "")
	c, err := e.Client.ContainerInspect(t.Context(), "app-web-1")
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != id || id == e.Container || c.Config.Labels["service"] != "web" {
		t.Errorf("the new one: %+v", c)
	}
	wantState(t, c.State, "running true 0")
}

func TestCrash(t *testing.T) {
	e := Fake(t, Container{})
	e.Engine.Crash(e.Container)
	_, err := e.Client.ContainerExecCreate(t.Context(), e.Container, shell("exit 0"))
	wantError(t, "create", err, errdefs.IsConflict, "Container {id} is restarting, wait until the container is running", e.Container, "")
	e.Engine.StartContainer(e.Container)
	create(t, e, shell("exit 0"))
}

func TestWait(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		status, errs := e.Client.ContainerWait(t.Context(), e.Container, container.WaitConditionNotRunning)
		e.Kill(t)
		select {
		case s := <-status:
			if s.StatusCode != 137 {
				t.Errorf("status %d", s.StatusCode)
			}
		case err := <-errs:
			t.Error(err)
		}
	})
}

// Later Engines: what is read in moby 28.5.
func TestLaterEngine(t *testing.T) {
	t.Parallel()
	e := startFake(t, "1.51", Container{})
	t.Run("missing program is 127", func(t *testing.T) {
		id := create(t, e, output("nope"))
		readAll(t, attach(t, e, id, false))
		if got := inspect(t, e, id).String(); got != "running false, exit code 127, pid 0" {
			t.Errorf("inspect: %s", got)
		}
	})
	t.Run("unknown user is told at creation", func(t *testing.T) {
		o := shell("exit 0")
		o.User = "nope"
		_, err := e.Client.ContainerExecCreate(t.Context(), e.Container, o)
		wantError(t, "create", err, errdefs.IsInvalidArgument, "unable to find user nope: no matching entries in passwd file", "", "")
	})
	t.Run("inspect waits for the output", func(t *testing.T) {
		id := create(t, e, shell("echo hi; sleep 1020 & read a; exit 3"))
		a := attach(t, e, id, false)
		wantOutput(t, a, frame("hi\n"))
		waitFor(t, "the leader has ended", func() bool { return e.ExecIDs(t) == nil })
		if got := inspect(t, e, id).String(); got != "running false, exit code 3, pid set" {
			t.Errorf("inspect: %s", got)
		}
		a.Conn.SetReadDeadline(Deadline(t))
		readAll(t, a)
	})
	t.Run("media type", func(t *testing.T) {
		a := attach(t, e, create(t, e, shell("exit 0")), false)
		if kind, _ := a.MediaType(); kind != "application/vnd.docker.multiplexed-stream" {
			t.Errorf("without a terminal: %s", kind)
		}
		a = attach(t, e, create(t, e, withTTY(shell("exit 0"))), true)
		if kind, _ := a.MediaType(); kind != "application/vnd.docker.raw-stream" {
			t.Errorf("with a terminal: %s", kind)
		}
	})
}

// The handler also serves another listener; TLS has a half-close of its own.
func TestTLS(t *testing.T) {
	e := Fake(t, Container{})
	server := httptest.NewTLSServer(e.Engine)
	t.Cleanup(server.Close)
	pool := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c, err := client.NewClientWithOpts(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithVersion(e.Engine.APIVersion),
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	e.Client = c
	a := attach(t, e, create(t, e, withInput(shell("cat"))), false)
	io.WriteString(a.Conn, "over TLS")
	a.CloseWrite()
	if out, _ := readAll(t, a); out != "over TLS" {
		t.Errorf("read %q", out)
	}
}

// docker's own client finds its way.
func TestDockerCLI(t *testing.T) {
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("no docker command")
	}
	e := Fake(t, Container{Name: "app"})
	docker := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("docker", append([]string{"-H", e.Host}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("docker %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := docker("exec", "app", "echo", "hi"); got != "hi\n" {
		t.Errorf("exec: %q", got)
	}
	if got := docker("ps", "--format", "{{.ID}} {{.Names}} {{.State}}"); got != e.Container[:12]+" app running\n" {
		t.Errorf("ps: %q", got)
	}
	docker("version")
	docker("info")
	docker("pause", "app")
	docker("unpause", "app")
	docker("restart", "app")
	docker("stop", "app")
	docker("start", "app")
	docker("rename", "app", "app2")
	docker("kill", "app2")
	if got := docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "app2"); got != "exited 137\n" {
		t.Errorf("inspect: %q", got)
	}
	docker("rm", "app2")
}
