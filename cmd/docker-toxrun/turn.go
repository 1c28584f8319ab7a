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
	who string
}

func (e *turnError) Error() string { return "others run in the container: " + e.who }
func (e *turnError) Hint() string {
	return "--wait-lock waits longer, --parallel runs beside them"
}

// orphanTime is how often the command of a client that was killed is looked for.
const orphanTime = time.Second

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
	place, err := queue.Join(queueDir(c.Container), me)
	if err != nil {
		told(fmt.Sprintf("no queue: %v", err))
		return nil, nil
	}
	var first string
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.waitLock >= 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, o.waitLock, errTurn)
		defer cancel()
	}
	killed, err := place.Wait(ctx, o.parallel, func(ahead []queue.Holder) {
		if now := holder(ahead[0]); now != first {
			first = now
			if o.waitLock != 0 {
				told("waiting for " + now)
			}
		}
	})
	for _, h := range killed {
		if err == nil {
			err = o.orphan(ctx, c, h, told)
		}
		if err == nil {
			place.Forget([]queue.Holder{h})
		}
	}
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

// orphan waits until nothing is left of the command of h, whose client was killed, or
// ends it with --cancel-orphans.
func (o *options) orphan(ctx context.Context, c *execproxy.Cmd, h queue.Holder, told func(line string)) error {
	token, user, _ := strings.Cut(h.Run, " ")
	if token == "" {
		return nil // another user's: not ours to look at
	}
	left := *c
	left.User = user
	for first := true; ; first = false {
		alive, err := left.Alive(ctx, token)
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil || !alive:
			return nil // what can't be looked for is not waited for
		case o.cancelOrphans:
			told("ending what a killed toxrun has left: " + holder(h))
			return left.Reap(ctx, token)
		case first:
			told("waiting for what a killed toxrun has left: " + holder(h) + "; --cancel-orphans ends it")
		}
		select {
		case <-time.After(orphanTime):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// holder names who is waited for.
func holder(h queue.Holder) string {
	if len(h.Command) == 0 {
		return "another user's toxrun"
	}
	verb := "waiting"
	if h.Turn {
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
