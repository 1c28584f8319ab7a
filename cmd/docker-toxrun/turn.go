package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/internal/queue"
)

// A turnError is a target in which others run, when --wait-lock was over.
type turnError struct {
	first queue.Holder
}

func (e *turnError) Error() string { return "others run in the container: " + holder(e.first) }

func (e *turnError) Hint() string {
	if e.first.Killed {
		return "--cancel-orphans ends it, --wait-lock waits longer, --parallel runs beside it"
	}
	return "--wait-lock waits longer, --parallel runs beside them"
}

// turn waits until c may run in its container. The wait ends with a signal, too. The
// place is nil where there can't be a queue.
func (o *options) turn(ctx context.Context, received received, c *execproxy.Cmd, told func(line string)) (*queue.Place, error) {
	return interruptible(ctx, received, func(ctx context.Context) (*queue.Place, error) { return o.queue(ctx, c, told) })
}

// queue waits for c's turn, and tells the user for whom.
func (o *options) queue(ctx context.Context, c *execproxy.Cmd, told func(line string)) (*queue.Place, error) {
	if c.Token == "" {
		c.Token = rand.Text()
	}
	me := queue.Holder{PID: os.Getpid(), User: userName(), Command: c.Args, Since: time.Now(), Run: runOf(c)}
	var first queue.Holder
	asking := ctx // --wait-lock does not end what is asked
	if o.waitLock >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.waitLock, errTurn)
		defer cancel()
	}
	place, err := queue.Join(queueDir(c.Container), me)
	if err != nil {
		told(fmt.Sprintf("no queue: %v", err))
		return nil, nil
	}
	err = place.Wait(ctx, o.parallel, o.cancelOrphans, func(ahead []queue.Holder) {
		if now := ahead[0]; holder(now) != holder(first) {
			first = now
			if o.waitLock != 0 {
				told("waiting for " + holder(now))
			}
		}
	}, func(killed queue.Holder) bool { return o.orphaned(asking, c, killed, told) })
	if err != nil {
		place.Leave()
	}
	if errors.Is(err, errTurn) {
		err = &turnError{first}
	}
	return place, err
}

// runOf is what finds the processes of c again.
func runOf(c *execproxy.Cmd) string { return c.Token + " " + c.User }

var errTurn = errors.New("--wait-lock is over")

// orphaned tells whether nothing is left of the command of h, whose client was killed.
// With --cancel-orphans it is ended. What can't be looked for is not waited for.
func (o *options) orphaned(ctx context.Context, c *execproxy.Cmd, h queue.Holder, told func(line string)) (gone bool) {
	token, user, _ := strings.Cut(h.Run, " ")
	if token == "" {
		return true
	}
	left := *c
	left.User = user
	if alive, err := left.Alive(ctx, token); err != nil || !alive {
		return ctx.Err() == nil
	}
	switch {
	case !o.cancelOrphans:
		return false
	case !h.Ours:
		told("not ended, since it is another user's: " + holder(h))
		return false
	}
	told("ending " + holder(h))
	if err := left.Reap(ctx, token); err != nil {
		told(err.Error())
		return false
	}
	return true
}

// holder names who is waited for.
func holder(h queue.Holder) string {
	if len(h.Command) == 0 {
		return "another user's toxrun"
	}
	verb := "waiting"
	switch {
	case h.Killed:
		return fmt.Sprintf("what a killed toxrun has left: %s (%s, since %s)", compose.CommandLine(h.Command), h.User, h.Since.Format(time.TimeOnly))
	case h.Turn:
		verb = "running"
	}
	return fmt.Sprintf("%s (%s, %s since %s, process %d)", compose.CommandLine(h.Command), h.User, verb, h.Since.Format(time.TimeOnly), h.PID)
}

// queueDir is where those who run in a container take turns. All users and shells of
// this machine have the same.
func queueDir(container string) string {
	base := os.TempDir()
	if info, err := os.Stat("/tmp"); err == nil && info.Mode()&os.ModeSticky != 0 {
		base = "/tmp" // TMPDIR may be a shell's own
	}
	return filepath.Join(base, "docker-toxrun-queues", container)
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "?"
}
