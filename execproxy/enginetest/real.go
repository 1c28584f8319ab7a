package enginetest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// Real starts a container of an image on the Docker Engine that the environment
// names (DOCKER_HOST, else the default socket) and removes it when t ends. Without
// such an Engine t is skipped; with TOXRUN_TEST_ENGINE=required, it fails.
func Real(t testing.TB, image string) Target {
	t.Helper()
	ctx, cancel := context.WithDeadline(context.Background(), Deadline(t))
	defer cancel()
	give := t.Skipf
	if os.Getenv("TOXRUN_TEST_ENGINE") == "required" {
		give = t.Fatalf
	}
	c, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Ping(ctx); err != nil {
		give("no Docker Engine: %v", err)
	}
	created, err := c.ContainerCreate(ctx, &container.Config{
		Image:  image,
		Cmd:    []string{"sleep", "1000000"}, // not every sleep knows infinity
		Labels: map[string]string{"com.github.toxrun.test": t.Name()},

		// Process 1 heeds no other signal, so that stop need not wait.
		StopSignal: "SIGKILL",
	}, &container.HostConfig{
		NetworkMode: "host", // one of its own takes a third of the time of a start
	}, nil, nil, "")
	if errdefs.IsNotFound(err) {
		give("no image %s: run scripts/images.sh", image)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := c.ContainerRemove(context.Background(), created.ID, container.RemoveOptions{Force: true})
		if err != nil && !errdefs.IsNotFound(err) {
			t.Error(err)
		}
	})
	if err := c.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	return Target{Name: "real", Client: c, Host: c.DaemonHost(), Container: created.ID}
}

// realProcesses tells the container's processes by their PID namespace.
func (e Target) realProcesses() ([]Process, error) {
	c, err := e.Client.ContainerInspect(context.Background(), e.Container)
	if errdefs.IsNotFound(err) || err == nil && c.State.Pid == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	namespace := func(pid int) (string, error) { return os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid") }
	want, err := namespace(c.State.Pid)
	if err != nil {
		return nil, fmt.Errorf("the container's processes: %w (is the Engine on this machine, and this root?)", err)
	}
	list, err := processes()
	return slices.DeleteFunc(list, func(p Process) bool {
		ns, err := namespace(p.PID)
		return err != nil || ns != want || p.state == 'Z'
	}), err
}

// Stop ends the container as docker stop does.
func (e Target) Stop(t testing.TB) {
	t.Helper()
	e.do(t, func(ctx context.Context) error {
		return e.Client.ContainerStop(ctx, e.Container, container.StopOptions{})
	})
}

// Kill ends the container as docker kill does.
func (e Target) Kill(t testing.TB) {
	t.Helper()
	e.do(t, func(ctx context.Context) error { return e.Client.ContainerKill(ctx, e.Container, "KILL") })
}

// Remove ends the container as docker rm -f does.
func (e Target) Remove(t testing.TB) {
	t.Helper()
	e.do(t, func(ctx context.Context) error {
		return e.Client.ContainerRemove(ctx, e.Container, container.RemoveOptions{Force: true})
	})
}

// Pause freezes the container's processes until Unpause.
func (e Target) Pause(t testing.TB) {
	t.Helper()
	e.do(t, func(ctx context.Context) error {
		for {
			// runc gives up where processes start while it freezes them (1.1.5).
			err := e.Client.ContainerPause(ctx, e.Container)
			if err == nil || !strings.Contains(err.Error(), "unable to freeze") {
				return err
			}
		}
	})
}

// LimitProcesses lets the container have no more processes than n; -1 lifts the limit.
func (e Target) LimitProcesses(t testing.TB, n int64) {
	t.Helper()
	e.do(t, func(ctx context.Context) error {
		_, err := e.Client.ContainerUpdate(ctx, e.Container, container.UpdateConfig{Resources: container.Resources{PidsLimit: &n}})
		return err
	})
}

// Unpause lets the container's processes go on.
func (e Target) Unpause(t testing.TB) {
	t.Helper()
	e.do(t, func(ctx context.Context) error { return e.Client.ContainerUnpause(ctx, e.Container) })
}

// Restart stops the container, if it runs, and starts it.
func (e Target) Restart(t testing.TB) {
	t.Helper()
	e.do(t, func(ctx context.Context) error {
		return e.Client.ContainerRestart(ctx, e.Container, container.StopOptions{})
	})
}

func (e Target) do(t testing.TB, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithDeadline(context.Background(), Deadline(t))
	defer cancel()
	if err := f(ctx); err != nil {
		t.Fatal(err)
	}
}
