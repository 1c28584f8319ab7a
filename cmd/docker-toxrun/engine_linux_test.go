package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// An Engine that is killed ends each run that is under way: in time, with a line
// that names the cause, and never with 0.
func TestEngineIsKilled(t *testing.T) {
	t.Parallel()
	e, kill := mortalEngine(t)
	loop := []string{"docker-toxrun", "exec", "sh", "-c", "echo ready; while :; do sleep 0.1; done"}
	plain := start(t, in(t, e, loop...))
	plain.out.expect(t, "ready\n")
	plugin := start(t, in(t, e, append([]string{"docker", "toxrun"}, loop[1:]...)...))
	plugin.out.expect(t, "ready\n")
	s := openScreen(t)
	before := s.mode(t)
	onTerminal := s.start(t, in(t, e, loop...))
	s.out.expect(t, "ready\r\n")
	asked := start(t, in(t, e, "docker-toxrun", "exec", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"))
	asked.out.expect(t, "ready\n")
	asked.Process.Signal(syscall.SIGTERM) // its grace of 10 s begins

	kill()
	for _, p := range []*process{plain, plugin, onTerminal} {
		p.exits(t, 125)
	}
	asked.exits(t, failure)
	s.restored(t, before)
	s.end()
	for name, said := range map[string]string{
		"plain":         plain.err.String(),
		"with docker":   plugin.err.String(),
		"on a terminal": strings.ReplaceAll(s.out.String(), "\r", ""),
		"interrupted":   asked.err.String(),
	} {
		if !strings.HasPrefix(said, "toxrun: ") || strings.Count(said, "\n") != 1 || !strings.Contains(said, "still be running") {
			t.Errorf("%s: the user is told %q, want one line that says what became of the command", name, said)
		}
	}

	next := start(t, in(t, e, "docker-toxrun", "exec", "true"))
	next.exits(t, 125)
	if said := next.err.String(); !strings.HasPrefix(said, "toxrun: no docker engine answers: ") || strings.Count(said, "\n") != 2 {
		t.Errorf("the next run says %q", said)
	}
}

// mortalEngine starts a dockerd with a container, and returns a function that kills it.
func mortalEngine(t *testing.T) (e enginetest.Target, kill func()) {
	d := startDaemon(t, "mortal")
	ctx := t.Context()
	created, err := d.ContainerCreate(ctx, &container.Config{Image: enginetest.DefaultImage, Cmd: []string{"sleep", "1000000"}},
		&container.HostConfig{NetworkMode: "none"}, nil, nil, "")
	if err == nil {
		err = d.ContainerStart(ctx, created.ID, container.StartOptions{})
	}
	if err != nil {
		t.Fatalf("%v\n%s%s", err, d.out, d.err)
	}
	e = enginetest.Target{Name: "mortal", Client: d.Client, Host: d.DaemonHost(), Container: created.ID}
	return e, d.kill
}

// A daemon is a dockerd for one test alone, with the image of the tests.
type daemon struct {
	*client.Client
	*process
	kill func()
}

// startDaemon starts one. It has namespaces of its own: for the network so that the
// machine's own dockerd keeps its bridge, for processes so that nothing outlives the test,
// and for the name of its host.
func startDaemon(t *testing.T, host string) daemon {
	t.Helper()
	real := realEngine(t)
	needProgram(t, "dockerd")
	needProgram(t, "unshare")
	if os.Getuid() != 0 {
		needed(t, "dockerd needs root")
	}
	// Not t.TempDir: a socket's address has room for 108 bytes.
	dir, err := os.MkdirTemp("", "dockerd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	name := "toxrun-test-" + number()
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, fmt.Appendf(nil, `{
		"hosts": ["unix://%[1]s/sock"], "data-root": "%[1]s/data", "exec-root": "%[1]s/exec", "pidfile": "%[1]s/pid",
		"bridge": "none", "iptables": false, "ip6tables": false, "storage-driver": "vfs",
		"exec-opts": ["native.cgroupdriver=cgroupfs"], "cgroup-parent": "/%[2]s"
	}`, dir, name), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, exec.Command("unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", `hostname "$3"; ip link set lo up; dockerd --config-file "$1" --containerd-namespace "$2" --containerd-plugins-namespace "$2-plugins" & wait; exec sleep 1000000`,
		"sh", config, name, host))
	t.Cleanup(func() {
		p.Process.Kill() // and with it all that is in the namespace
		removeCgroups(t, name)
	})

	c, err := client.NewClientWithOpts(client.WithHost("unix://"+dir+"/sock"), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithDeadline(t.Context(), enginetest.Deadline(t))
	defer cancel()
	for { // until it answers
		_, err := c.Ping(ctx)
		if err == nil {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("dockerd does not answer: %v\n%s%s", err, p.out, p.err)
		}
	}
	copyImage(t, ctx, real, c, enginetest.DefaultImage)
	return daemon{c, p, func() {
		if err := syscall.Kill(pidOf(t, "dockerd", config), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}}
}

func copyImage(t *testing.T, ctx context.Context, from, to *client.Client, image string) {
	t.Helper()
	saved, err := from.ImageSave(ctx, []string{image})
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	loaded, err := to.ImageLoad(ctx, saved)
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Body.Close()
	if _, err := io.Copy(io.Discard, loaded.Body); err != nil {
		t.Fatal(err)
	}
}

// pidOf finds a process of this machine by its program and one of its arguments.
func pidOf(t *testing.T, program, arg string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		args := strings.Split(string(bytes.TrimRight(text, "\x00")), "\x00")
		if err == nil && filepath.Base(args[0]) == program && slices.Contains(args[1:], arg) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("there is no process %s %s", program, arg)
	return 0
}

// removeCgroups removes the control groups that a killed dockerd has left, as soon
// as their processes are gone.
func removeCgroups(t *testing.T, name string) {
	for deadline := enginetest.Deadline(t); ; time.Sleep(10 * time.Millisecond) {
		var left []string
		tops, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
		for _, top := range append(tops, "/sys/fs/cgroup/"+name) {
			var dirs []string
			filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
			for _, dir := range slices.Backward(dirs) {
				if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
					left = append(left, dir)
				}
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("left: %q", left)
			return
		}
	}
}
