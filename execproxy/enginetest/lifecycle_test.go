package enginetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/versions"
)

// wantError compares an error with its kind and text, in which {id} is the
// container and {exec} the exec.
func wantError(t *testing.T, what string, err error, is func(error) bool, text, id, exec string) {
	t.Helper()
	text = strings.NewReplacer("{id}", id, "{exec}", exec).Replace(text)
	if err == nil || !is(err) || err.Error() != "Error response from daemon: "+text {
		t.Errorf("%s: %v, want %q", what, err, text)
	}
}

// notRunning is the text, which begins with a small letter on later Engines.
func notRunning(e Target) string {
	if versions.GreaterThanOrEqualTo(e.Client.ClientVersion(), "1.42") {
		return "container {id} is not running"
	}
	return "Container {id} is not running"
}

func TestContainerEnds(t *testing.T) {
	t.Parallel()
	ends := []struct {
		name string
		end  func(Target, testing.TB)
	}{{"stop", Target.Stop}, {"kill", Target.Kill}, {"restart", Target.Restart}}
	for _, end := range ends {
		t.Run(end.name, func(t *testing.T) {
			Each(t, func(t *testing.T, e Target) {
				unstarted := create(t, e, shell("exit 0"))
				id := create(t, e, withInput(shell("echo hi; exec sleep 1005")))
				a := attach(t, e, id, false)
				wantOutput(t, a, frame("hi\n"))
				if ids := e.ExecIDs(t); len(ids) != 2 {
					t.Errorf("ExecIDs before the end = %q", ids)
				}
				end.end(e, t)
				if got := inspect(t, e, id).String(); got != "running false, exit code 137, pid set" {
					t.Errorf("afterwards: %s", got)
				}
				if out, _ := readAll(t, a); out != "" {
					t.Errorf("read %q", out)
				}
				if p := e.Processes(t, "1005"); len(p) > 0 {
					t.Errorf("left over: %v", p)
				}
				if ids := e.ExecIDs(t); ids != nil {
					t.Errorf("ExecIDs after the end = %q", ids)
				}
				var i inspection
				if err := get(t, e, "/exec/"+unstarted+"/json", &i); err == nil || !strings.Contains(err.Error(), "No such exec instance: "+unstarted) {
					t.Errorf("exec that was not started: %v, %v", i, err)
				}
				_, err := e.Client.ContainerExecCreate(t.Context(), e.Container, shell("exit 0"))
				if end.name == "restart" {
					if err != nil {
						t.Errorf("create after restart: %v", err)
					}
				} else {
					wantError(t, "create", err, errdefs.IsConflict, notRunning(e), e.Container, "")
				}
				c, err := e.Client.ContainerInspect(t.Context(), e.Container)
				if err != nil {
					t.Fatal(err)
				}
				want := "exited false 137"
				if end.name == "restart" {
					want = "running true 0"
				}
				wantState(t, c.State, want)
			})
		})
	}
}

func wantState(t *testing.T, s *container.State, want string) {
	t.Helper()
	if got := fmt.Sprintf("%s %v %d", s.Status, s.Running, s.ExitCode); got != want {
		t.Errorf("state %q, want %q", got, want)
	}
}

func TestContainerIsRemoved(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		id := create(t, e, shell("echo hi; exec sleep 1006"))
		a := attach(t, e, id, false)
		wantOutput(t, a, frame("hi\n"))
		e.Remove(t)
		readAll(t, a)
		_, err := e.Client.ContainerExecInspect(t.Context(), id)
		wantError(t, "inspect exec", err, errdefs.IsNotFound, "No such exec instance: {exec}", "", id)
		_, err = e.Client.ContainerExecCreate(t.Context(), e.Container, shell("exit 0"))
		wantError(t, "create", err, errdefs.IsNotFound, "No such container: {id}", e.Container, "")
		_, err = e.Client.ContainerInspect(t.Context(), e.Container)
		wantError(t, "inspect", err, errdefs.IsNotFound, "No such container: {id}", e.Container, "")
		if p := e.Processes(t, "1006"); len(p) > 0 {
			t.Errorf("left over: %v", p)
		}
	})
}

func TestContainerIsPaused(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		const paused = "Container {id} is paused, unpause the container before exec"
		unstarted := create(t, e, shell("exit 0"))
		id := create(t, e, withInput(shell("echo hi; while read a; do sh -c \"echo got $a\"; done; exit 6")))
		a := attach(t, e, id, false)
		wantOutput(t, a, frame("hi\n"))
		e.Pause(t)
		_, err := e.Client.ContainerExecCreate(t.Context(), e.Container, shell("exit 0"))
		wantError(t, "create", err, errdefs.IsConflict, paused, e.Container, "")
		err = e.Client.ContainerExecStart(t.Context(), unstarted, container.ExecStartOptions{})
		wantError(t, "start", err, errdefs.IsConflict, paused, e.Container, "")
		_, err = e.Client.ContainerExecAttach(t.Context(), unstarted, container.ExecAttachOptions{})
		if err == nil || err.Error() != "unable to upgrade to tcp, received 409" {
			t.Errorf("attach: %v", err)
		}
		err = e.Client.ContainerExecResize(t.Context(), id, container.ResizeOptions{Height: 1, Width: 1})
		wantError(t, "resize", err, errdefs.IsConflict, paused, e.Container, "")
		c, err := e.Client.ContainerInspect(t.Context(), e.Container)
		if err != nil {
			t.Fatal(err)
		}
		wantState(t, c.State, "paused true 0")
		io.WriteString(a.Conn, "x\n")
		wantOpen(t, a)
		if got := inspect(t, e, id).String(); got != "running true, exit code null, pid set" {
			t.Errorf("while paused: %s", got)
		}
		e.Unpause(t)
		wantOutput(t, a, frame("got x\n"))
		a.CloseWrite()
		readAll(t, a)
		if got := inspect(t, e, id).String(); got != "running false, exit code 6, pid set" {
			t.Errorf("afterwards: %s", got)
		}
	})
}

func TestRequestErrors(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		ctx := t.Context()
		exec := "Error: Exec command"
		if versions.GreaterThanOrEqualTo(e.Client.ClientVersion(), "1.42") {
			exec = "exec command"
		}
		_, err := e.Client.ContainerExecCreate(ctx, e.Container, output())
		wantError(t, "no command", err, errdefs.IsInvalidArgument, "No exec command specified", "", "")
		_, err = e.Client.ContainerExecCreate(ctx, "nope", shell("exit 0"))
		wantError(t, "no container", err, errdefs.IsNotFound, "No such container: nope", "", "")
		_, err = e.Client.ContainerExecInspect(ctx, "nope")
		wantError(t, "no exec to inspect", err, errdefs.IsNotFound, "No such exec instance: nope", "", "")
		err = e.Client.ContainerExecStart(ctx, "nope", container.ExecStartOptions{})
		wantError(t, "no exec to start", err, errdefs.IsNotFound, "No such exec instance: nope", "", "")
		err = e.Client.ContainerExecResize(ctx, "nope", container.ResizeOptions{})
		wantError(t, "no exec to resize", err, errdefs.IsNotFound, "No such exec instance: nope", "", "")

		id := create(t, e, withInput(shell("read a; exit 3")))
		a := attach(t, e, id, false)
		waitFor(t, "it runs", func() bool { return inspect(t, e, id).Pid != 0 })
		out, _ := readAll(t, attach(t, e, id, false))
		if want := exec + " " + id + " is already running\r\n"; out != want {
			t.Errorf("attached again: %q, want %q", out, want)
		}
		err = e.Client.ContainerExecStart(ctx, id, container.ExecStartOptions{Detach: true})
		wantError(t, "started again", err, errdefs.IsConflict, exec+" {exec} is already running", "", id)
		if err := e.Client.ContainerExecResize(ctx, id, container.ResizeOptions{Height: 1, Width: 1}); err != nil {
			t.Errorf("resize without a terminal: %v", err)
		}
		a.CloseWrite()
		readAll(t, a)
		out, _ = readAll(t, attach(t, e, id, false))
		if want := exec + " " + id + " has already run\r\n"; out != want {
			t.Errorf("attached after the end: %q, want %q", out, want)
		}
		err = e.Client.ContainerExecStart(ctx, id, container.ExecStartOptions{Detach: true})
		wantError(t, "started after the end", err, errdefs.IsConflict, exec+" {exec} has already run", "", id)

		// The text depends on how far the real one has come with the end.
		if e.Client.ContainerExecResize(ctx, id, container.ResizeOptions{Height: 1, Width: 1}) == nil {
			t.Error("resized after the end")
		}

		err = e.Client.ContainerExecStart(ctx, create(t, e, output("nope")), container.ExecStartOptions{Detach: true})
		wantError(t, "missing program, detached", err, errdefs.IsInvalidArgument,
			`OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in $PATH: unknown`, "", "")
		o := shell("exit 0")
		o.User = "nope"
		err = e.Client.ContainerExecStart(ctx, create(t, e, o), container.ExecStartOptions{Detach: true})
		wantError(t, "unknown user, detached", err, errdefs.IsInternal, "unable to find user nope: no matching entries in passwd file", "", "")
		o = shell("exit 0")
		o.WorkingDir = "rel"
		err = e.Client.ContainerExecStart(ctx, create(t, e, o), container.ExecStartOptions{Detach: true})
		wantError(t, "relative directory, detached", err, errdefs.IsInternal, "OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown", "", "")
		id = create(t, e, shell("exec sleep 1007"))
		if err := e.Client.ContainerExecStart(ctx, id, container.ExecStartOptions{Detach: true}); err != nil {
			t.Errorf("detached: %v", err)
		}
		if got := inspect(t, e, id).String(); got != "running true, exit code null, pid set" {
			t.Errorf("detached: %s", got)
		}

		c, err := e.Client.ContainerInspect(ctx, e.Container[:12])
		if err != nil || c.ID != e.Container {
			t.Errorf("inspect by a short ID: %v", err)
		}
		c, err = e.Client.ContainerInspect(ctx, c.Name)
		if err != nil || c.ID != e.Container {
			t.Errorf("inspect by name: %v", err)
		}
		resp, err := e.Client.HTTPClient().Get("http://engine/v1.99/_ping")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := "client version 1.99 is too new. Maximum supported API version is "; resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(b), want) {
			t.Errorf("API 1.99: %d %s", resp.StatusCode, b)
		}
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		ctx, cancel := context.WithDeadline(t.Context(), Deadline(t))
		defer cancel()
		since := time.Now().Add(-time.Nanosecond)
		messages, errs := e.Client.Events(ctx, events.ListOptions{
			Since:   since.Format(time.RFC3339Nano),
			Filters: filters.NewArgs(filters.Arg("container", e.Container), filters.Arg("type", "container")),
		})
		var got []string
		kills := 0 // the real one tells them now before, now after the exec_die
		// until takes what is told up to the event given: an exec's output can end before
		// its end is told.
		until := func(last string) {
			for len(got) == 0 || got[len(got)-1] != last {
				select {
				case err := <-errs:
					t.Fatalf("%v after %q", err, got)
				case m := <-messages:
					s := string(m.Action)
					for _, k := range []string{"exitCode", "signal"} {
						if v := m.Actor.Attributes[k]; v != "" {
							s += " " + v
						}
					}
					if n := len(got); s == "pause" && n > 1 && got[n-1] == "unpause" {
						got = got[:n-2] // runc had given up: see Pause
					}
					if s == "kill 9" {
						kills++
					} else {
						got = append(got, s)
					}
					if m.Actor.ID != e.Container || m.Actor.Attributes["name"] == "" || m.Actor.Attributes["image"] != DefaultImage || m.TimeNano == 0 {
						t.Errorf("event %+v", m)
					}
					if strings.HasPrefix(s, "exec_") && len(m.Actor.Attributes["execID"]) != 64 {
						t.Errorf("event without exec: %+v", m)
					}
				}
			}
		}
		run := func(o container.ExecOptions) {
			readAll(t, attach(t, e, create(t, e, o), false))
		}
		run(shell("exit 3"))
		until("exec_die 3")
		run(output("nope"))
		id := create(t, e, shell("echo hi; exec sleep 1008"))
		a := attach(t, e, id, false)
		wantOutput(t, a, frame("hi\n"))
		e.Pause(t)
		e.Unpause(t)
		e.Kill(t)
		e.Restart(t)
		e.Stop(t)
		e.Remove(t)
		until("destroy")
		want := []string{
			"exec_create: sh -c exit 3", "exec_start: sh -c exit 3", "exec_die 3",
			"exec_create: nope ", "exec_start: nope ", // and no end
			"exec_create: sh -c echo hi; exec sleep 1008", "exec_start: sh -c echo hi; exec sleep 1008",
			"pause", "unpause",
			"exec_die 137", "die 137",
			"start", "restart",
			"die 137", "stop",
			"destroy",
		}
		if !slices.Equal(got, want) || kills != 2 {
			t.Errorf("events\n%q and %d times kill, want\n%q and 2", got, kills, want)
		}
	})
}

// The events of the past end at "until"; a filter for exec_start matches its command.
func TestEventFilters(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		since := time.Now()
		readAll(t, attach(t, e, create(t, e, shell("exit 3")), false))
		var got []string
		waitFor(t, "exec_die", func() bool {
			got = nil
			messages, errs := e.Client.Events(t.Context(), events.ListOptions{
				Since: since.Format(time.RFC3339Nano), Until: time.Now().Format(time.RFC3339Nano),
				Filters: filters.NewArgs(filters.Arg("container", e.Container), filters.Arg("event", "exec_start"), filters.Arg("event", "exec_die")),
			})
			for {
				select {
				case m := <-messages:
					got = append(got, string(m.Action))
				case err := <-errs:
					if err != io.EOF {
						t.Fatal(err)
					}
					return slices.Contains(got, "exec_die")
				}
			}
		})
		if want := []string{"exec_start: sh -c exit 3", "exec_die"}; !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

func TestStateErrors(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		ctx, c, id := t.Context(), e.Client, e.Container
		pause := func() error { return c.ContainerPause(ctx, id) }
		unpause := func() error { return c.ContainerUnpause(ctx, id) }
		kill := func() error { return c.ContainerKill(ctx, id, "KILL") }
		start := func() error { return c.ContainerStart(ctx, id, container.StartOptions{}) }
		stop := func() error { return c.ContainerStop(ctx, id, container.StopOptions{}) }
		remove := func() error { return c.ContainerRemove(ctx, id, container.RemoveOptions{}) }

		wantError(t, "unpause a running one", unpause(), errdefs.IsInternal, "Container {id} is not paused", id, "")
		wantError(t, "remove a running one", remove(), errdefs.IsConflict,
			"You cannot remove a running container {id}. Stop the container before attempting removal or force remove", id, "")
		if err := start(); err != nil {
			t.Errorf("start a running one: %v", err)
		}
		if err := c.ContainerKill(ctx, id, "USR1"); err != nil {
			t.Errorf("signal to the main process: %v", err)
		}
		if err := pause(); err != nil {
			t.Errorf("pause: %v", err)
		}
		wantError(t, "pause a paused one", pause(), errdefs.IsConflict, "Container {id} is already paused", id, "")
		wantError(t, "start a paused one", start(), errdefs.IsConflict, "cannot start a paused container, try unpause instead", id, "")
		if err := stop(); err != nil {
			t.Errorf("stop a paused one: %v", err)
		}
		if err := stop(); err != nil {
			t.Errorf("stop a stopped one: %v", err)
		}
		wantError(t, "kill a stopped one", kill(), errdefs.IsConflict,
			"Cannot kill container: {id}: "+notRunning(e), id, "")
		wantError(t, "pause a stopped one", pause(), errdefs.IsConflict, notRunning(e), id, "")
		wantError(t, "unpause a stopped one", unpause(), errdefs.IsInternal, "Container {id} is not paused", id, "")
		if err := start(); err != nil {
			t.Errorf("start a stopped one: %v", err)
		}
		wantError(t, "no container to kill", c.ContainerKill(ctx, "nope", "KILL"), errdefs.IsNotFound, "Cannot kill container: nope: No such container: nope", "", "")
		wantError(t, "no container to stop", c.ContainerStop(ctx, "nope", container.StopOptions{}), errdefs.IsNotFound, "No such container: nope", "", "")
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := remove(); err != nil {
			t.Errorf("remove a stopped one: %v", err)
		}
		wantError(t, "remove a removed one", remove(), errdefs.IsNotFound, "No such container: {id}", id, "")
	})
}
