package standby

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// An Engine is what a keeper needs of the Docker Engine; *execproxy.Client is one.
type Engine interface {
	execproxy.Engine
	Events(ctx context.Context, options events.ListOptions) (<-chan events.Message, <-chan error)
	Dialer() func(ctx context.Context) (net.Conn, error) // of one more connection
}

// A keeper is what Keep is made of. Its fields belong to Keep's goroutine; the
// others hand it what is to be done.
type keeper struct {
	engine Engine
	log    *log.Logger
	do     chan func()
	over   chan struct{} // closed at the end
	ended  error         // why the keeper ends; nil as long as it doesn't
	shut   chan struct{} // closed when it takes in no clients any more

	kinds  [2]kind // without a terminal, and with one
	last   *kind   // that a client has asked for
	runs   int     // that go on
	quick  int     // of them, that may end soon
	paused bool    // the container is: its spares would not answer
	unused *time.Timer
	info   Info

	lent    map[string]*lending // by the exec of the spare, while its run goes on
	relayed int                 // of them, that would break with the keeper

	reserve  *idle // a connection to the Engine, for a client; nil: there is none now
	reserves bool  // there is to be one: for a client to make its own takes time
	reaching bool  // it is being made

	lessons map[string]*lesson // by Want.lessonKey; of both kinds
}

// of is the kind of spare that a client wants.
func (k *keeper) of(want Want) *kind {
	if want.TTY {
		return &k.kinds[1]
	}
	return &k.kinds[0]
}

var (
	errStopped = errors.New("stopped")
	errVersion = errors.New("a client of another version")
	errUnused  = errors.New("unused")
	errEnded   = errors.New("the container has ended")
)

const (
	// diedLimit is how many spares in a row may die unused before there are no more.
	diedLimit = 3

	lockName = "lock"
)

// Keep keeps a spare for want and lends it to those who ask, until it is told to
// stop, ctx is done, nobody has used it for want.Idle, or the container or the
// Engine is gone. It returns at once where another one does this already. What it
// does goes to log. It returns an error only where it could not begin.
func Keep(ctx context.Context, dir string, engine Engine, want Want, log *log.Logger) error {
	if err := checkDir(dir); err != nil {
		return err
	}
	listener, err := listen(dir, want)
	if err != nil || listener == nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k := &keeper{
		engine: engine, log: log, do: make(chan func()), over: make(chan struct{}), shut: make(chan struct{}),
		unused: time.NewTimer(want.Idle), lent: map[string]*lending{}, lessons: map[string]*lesson{},
		info: Info{PID: os.Getpid(), Engine: want.Engine, Container: want.Container, Name: want.Name, User: want.User, Begun: time.Now()},
	}
	k.info.Used = k.info.Begun
	k.last = k.of(want)
	k.last.want, k.last.used = want, k.info.Begun
	k.lesson(want).Run = want.Taught
	defer close(k.over)
	log.Printf("begins, for container %s", want.Name)
	go k.accept(ctx, listener)
	go k.follow(ctx)
	k.prepare(ctx)
	for k.ended == nil {
		k.step(ctx)
	}
	unlisten(dir, listener)
	close(k.shut)
	for i := range k.kinds {
		k.kinds[i].drop()
	}
	k.unreserve()
	for k.relayed > 0 && ctx.Err() == nil {
		k.step(ctx)
	}
	log.Printf("ends: %v; %d hits, %d misses", k.ended, k.info.Hits, k.info.Misses)
	return nil
}

// step waits for the next thing that is to be done, and does it.
func (k *keeper) step(ctx context.Context) {
	select {
	case f := <-k.do:
		f()
	case <-k.unused.C:
		if k.runs == 0 {
			k.end(errUnused)
		}
	case <-ctx.Done():
		k.end(context.Cause(ctx))
	}
}

// listen makes the socket; nil where another keeper has it.
func listen(dir string, want Want) (*net.UnixListener, error) {
	held, err := lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	defer held.Close()
	socket := filepath.Join(dir, want.socket())
	if conn, err := dial(socket, requestTime); err == nil {
		return nil, conn.Close()
	}
	_ = os.Remove(socket)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err == nil {
		listener.SetUnlinkOnClose(false) // but under the lock
	}
	return listener, err
}

func unlisten(dir string, listener *net.UnixListener) {
	held, err := lock(filepath.Join(dir, lockName))
	if err == nil {
		defer held.Close()
		_ = os.Remove(listener.Addr().String())
	}
	listener.Close()
}

// follow takes in that the container is paused, goes on, or has ended: where there is
// no spare now, no other thing would show it. And with which status an exec has ended, which
// the Engine tells as soon as it knows.
func (k *keeper) follow(ctx context.Context) {
	of := filters.NewArgs(filters.Arg("container", k.info.Container))
	for _, action := range []events.Action{events.ActionPause, events.ActionUnPause, events.ActionDie, events.ActionExecDie} {
		of.Add("event", string(action))
	}
	happened, failed := k.engine.Events(ctx, events.ListOptions{Filters: of})
	for {
		select {
		case event := <-happened:
			k.hand(func() { k.happened(event) })
		case <-failed: // with ctx, or the Engine
			k.hand(func() { k.paused = false })
			return
		}
	}
}

// hand has Keep's goroutine call f, and waits for it. At the end it does not, and
// says so.
func (k *keeper) hand(f func()) (called bool) {
	done := make(chan struct{})
	select {
	case k.do <- func() { f(); close(done) }:
		<-done
		return true
	case <-k.over:
		return false
	}
}

// The rest is called by Keep's goroutine only.

func (k *keeper) end(why error) {
	if k.ended == nil {
		k.ended = why
	}
}

// happened takes in what has become of the container, or of an exec in it.
func (k *keeper) happened(event events.Message) {
	switch event.Action {
	case events.ActionPause:
		k.paused = true
	case events.ActionUnPause:
		k.paused = false
	case events.ActionDie:
		k.end(errEnded)
	case events.ActionExecDie:
		l := k.lent[event.Actor.Attributes["execID"]]
		code, err := strconv.Atoi(event.Actor.Attributes["exitCode"])
		if l != nil && err == nil && l.code == nil {
			l.code = &code
			close(l.ended)
		}
	}
}

// prepare starts the next spare of each kind that was used lately, unless there is one or
// a run goes on that may end soon: its end would be reported late.
func (k *keeper) prepare(ctx context.Context) {
	if k.ended != nil {
		return
	}
	for i := range k.kinds {
		s := &k.kinds[i]
		if !s.lately() {
			s.drop()
			continue
		}
		if s.spare != nil || s.preparing || k.quick > 0 || s.spent != "" {
			continue
		}
		s.preparing = true
		want, c := s.want, s.want.cmd(k.engine)
		if want.Learn {
			l := k.lesson(want)
			learn := l.Lesson
			c.Learn, l.Run = &learn, ""
		}
		go func() {
			limited, cancel := context.WithTimeout(ctx, execproxy.PrepareTime)
			defer cancel()
			spare, err := c.Prepare(limited)
			kept := false
			k.hand(func() { kept = k.prepared(ctx, s, want, spare, err) })
			if spare != nil && !kept {
				spare.Close()
			}
		}()
	}
}

// prepared takes in what has become of a spare, and tells whether it is kept.
func (k *keeper) prepared(ctx context.Context, s *kind, want Want, spare *execproxy.Spare, err error) bool {
	s.preparing = false
	if err == nil && want.python() {
		l := k.lesson(want)
		if l.other, l.Known = !spare.Python, spare.Known; spare.Python {
			s.python = &want
		} else if s.python != nil && s.python.lessonKey() != want.lessonKey() {
			s.want = *s.python // whose next run has more of it
			k.prepare(ctx)
			return false
		}
	}
	if err == nil && k.ended == nil {
		var h *held
		if h, err = hold(spare, func() { k.hand(func() { k.lost(ctx, s, spare) }) }); err == nil {
			s.spare, s.latest = h, *spare
			if k.reserves = h.conn.relay != nil; k.reserves {
				k.reach(ctx)
			}
			return true
		}
	}
	// 125 is for what is not the shell's fault: a container that is about to end.
	if start, ok := errors.AsType[*execproxy.StartError](err); ok && start.Code != 125 {
		k.log.Printf("no spare: %v", start)
		s.spent = start.Error()
		return false
	}
	k.end(fmt.Errorf("no spare: %w", err))
	return false
}

// lost takes in that a spare has ended before its time. Whether the container is
// gone too, the next one shows.
func (k *keeper) lost(ctx context.Context, s *kind, spare *execproxy.Spare) {
	if s.spare == nil || s.spare.Spare != spare {
		return
	}
	s.drop()
	if s.died++; s.died >= diedLimit {
		s.spent = "the waiting shells keep ending"
	}
	k.log.Printf("the spare has ended")
	k.prepare(ctx)
}

func (k *keeper) tell() *Info {
	told := k.info
	told.Idle = k.last.want.Idle
	told.Python, told.Plain, told.Modules = k.last.latest.Python, k.last.latest.Plain, k.last.latest.Modules
	told.Left = k.last.latest.Left()
	told.Terminal = k.kinds[1].spare != nil
	switch {
	case k.runs > 0:
		told.State = "running"
	case k.paused:
		told.State = "paused"
	case k.last.spent != "":
		told.State = k.last.spent
	case k.last.spare == nil:
		told.State = "starting"
	default:
		told.State = "ready"
	}
	return &told
}
