package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/carry"
)

// isPlace tells whether a path is a place that each machine has of its own, and no file
// that somebody would want to go along: of the system, a directory for temporary files or
// a user's, or one that holds a mount. A pipe that only this process has is told of.
func (tr *translation) isPlace(t *compose.Target, name string) bool {
	if number, ok := strings.CutPrefix(name, "/dev/fd/"); ok && number > "2" {
		tr.cmd.Notice(name + " is not carried into the container: it is a pipe of this machine")
	}
	home, _ := os.UserHomeDir()
	return slices.ContainsFunc([]string{"/dev", "/proc", "/sys"}, func(dir string) bool { return isBelow(name, dir) }) ||
		slices.Contains([]string{"/", home, filepath.Clean(os.TempDir()), "/tmp", "/var/tmp"}, name) ||
		slices.ContainsFunc(t.Mounts, func(m compose.Mount) bool { return m.Source != "" && isBelow(m.Source, name) })
}

// temporary tells whether a file is below a directory for temporary ones: there nobody
// means the container's of the same name.
func temporary(name string) bool {
	return slices.ContainsFunc([]string{os.TempDir(), "/tmp", "/var/tmp"}, func(dir string) bool { return isBelow(name, dir) })
}

func isBelow(name, dir string) bool {
	rest, err := filepath.Rel(dir, name)
	return err == nil && filepath.IsLocal(rest)
}

// there tells whether the container has a file of that name: then it is the one that is
// meant.
func (tr *translation) there(name string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), silentTime)
	defer cancel()
	_, err := tr.engine.ContainerStatPath(ctx, tr.cmd.Container, name)
	return err == nil
}

// newLoad is a load for one command that user runs in the target.
func newLoad(e *execproxy.Client, t *compose.Target, user string) *carry.Load {
	l := &carry.Load{Engine: e, Container: t.Container, Dir: path.Join(carryTo(t), "toxrun-"+rand.Text())}
	uid, gid, named := strings.Cut(cmp.Or(user, t.User, "0"), ":")
	var err error
	if l.UID, err = strconv.Atoi(uid); err != nil && uid != "root" {
		l.Shared = true // the image knows the number
	}
	if named {
		l.GID, _ = strconv.Atoi(gid)
	} else if uid != "root" {
		l.GID = l.UID
	}
	return l
}

// carryTo is the directory of the container that has room for a run's own: one that is the
// container's own, since the Engine's archive calls don't see a tmpfs.
func carryTo(t *compose.Target) string {
	for _, dir := range []string{"/tmp", "/var/tmp", "/run"} {
		if !slices.ContainsFunc(t.Mounts, func(m compose.Mount) bool { return m.Target == dir || isBelow(dir, m.Target) }) {
			return dir
		}
	}
	return "/"
}

// keepHistory has the shell go on with what was typed in earlier ones. Without it a shell
// is still a shell.
func (tr *translation) keepHistory(t *compose.Target) {
	h, err := openHistory(t)
	if err != nil {
		tr.cmd.Notice(fmt.Sprintf("the shell has no history: %v", err))
		return
	}
	load := newLoad(tr.engine, t, tr.cmd.User)
	inside, err := load.Add(h.copy)
	if err != nil {
		h.close()
		tr.cmd.Notice(fmt.Sprintf("the shell has no history: %v", err))
		return
	}
	tr.history, tr.load = h, load
	tr.cmd.Env = append(h.environment(inside), tr.cmd.Env...)
}

// send copies what is to be carried into the container.
func (tr *translation) send(ctx context.Context, received received) error {
	if tr.load == nil || tr.load.Empty() {
		return nil
	}
	_, err := interruptible(ctx, received, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, tr.load.Send(ctx)
	})
	switch signal := (*execproxy.SignalError)(nil); {
	case err == nil:
		return nil
	case errors.As(err, &signal):
		tr.remove()
		return err
	case errdefs.IsNotFound(err) && strings.Contains(err.Error(), "No such container"):
		if tr.history != nil {
			tr.history.close()
		}
		return &execproxy.GoneError{Container: tr.cmd.Container, Err: err}
	}
	tr.remove()
	if tr.history != nil {
		tr.cmd.Notice(fmt.Sprintf("the shell has no history: %v", err))
		tr.history, tr.load = nil, nil
		return nil
	}
	return hinted(fmt.Errorf("files can't be carried into container %s: %w", tr.cmd.Name, err), "--carry=false, or TOXRUN_CARRY=false, runs without them")
}

// receive brings back what the command has written of what was carried, and removes it
// from the container. err is how the run has ended. That ctx is done by then, when
// --timeout has ended the command, is nothing to it.
func (tr *translation) receive(ctx context.Context, received received, err error) error {
	if tr.load == nil || tr.load.Empty() {
		return err
	}
	if _, refused := errors.AsType[*execproxy.StartError](err); !refused {
		_, failed := interruptible(context.WithoutCancel(ctx), received, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, tr.load.Receive(ctx)
		})
		if failed == nil && tr.history != nil {
			failed = tr.history.keep()
		}
		if failed != nil {
			for _, why := range strings.Split(failed.Error(), "\n") {
				tr.cmd.Notice("not brought back from the container: " + why)
			}
			if err == nil && tr.history == nil {
				err = &execproxy.ExitError{Code: statusFailed}
			}
		}
	}
	tr.remove()
	return err
}

// removeTime is how long the Engine may take to remove what was carried.
const removeTime = 10 * time.Second

// remove removes what was carried from the container.
func (tr *translation) remove() {
	if tr.history != nil {
		defer tr.history.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), removeTime)
	defer cancel()
	rm := execproxy.Command(tr.engine, tr.cmd.Container, "rm", "-rf", tr.load.Dir)
	rm.Name, rm.User, rm.Dir = tr.cmd.Name, "0", "/"
	if err := rm.Run(ctx); err != nil {
		if gone, ok := errors.AsType[*execproxy.GoneError](err); !ok || !errdefs.IsNotFound(gone.Err) {
			tr.cmd.Notice(fmt.Sprintf("%s is left in container %s: rm: %v", tr.load.Dir, tr.cmd.Name, err))
		}
	}
}
