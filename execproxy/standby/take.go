package standby

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// A Lease is a keeper's answer to a client that is about to run a command. It
// lasts until the run's end: the keeper starts no spare meanwhile.
type Lease struct {
	Spare *execproxy.Spare // for the run; nil: the command is to be started plainly
	Token string           // the command's, should it be started plainly

	conn  net.Conn
	limit time.Duration // for an answer

	asking sync.Mutex
	in     *bufio.Reader // from conn
	late   int           // answers that have not come in time, and come before any other
}

// takeTime is how long a run waits for its keeper. One that is well answers within
// a millisecond, on a very busy machine within 100; a plain start takes longer there, too.
const takeTime = 250 * time.Millisecond

// relayTime is how long an answer of a keeper that relays may take: the way to the Engine is
// long, and without its word the output counts as broken.
const relayTime = 10 * time.Second

// Take asks the keeper for a spare. Without a keeper the lease is nil, and it is
// time to [Spawn] one when the run is over. With an error there is one that is of
// no use now.
func Take(dir string, want Want) (*Lease, error) {
	conn, err := dial(filepath.Join(dir, want.socket()), takeTime)
	switch {
	case gone(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var a answer
	in := &rights{UnixConn: conn}
	if err = send(conn, request{wireVersion, take, want}); err == nil {
		err = receive(bufio.NewReader(in), &a)
	}
	switch {
	case err == io.EOF:
		err = errors.New("the keeper was about to end")
	case err == nil && a.Version != wireVersion:
		conn.Close() // and it ends, so that one of our version can follow
		return nil, nil
	case err == nil && a.Spare != nil && in.passed == nil:
		err = errors.New("the keeper's spare came without its connection")
	case err == nil:
		if err = conn.SetDeadline(time.Time{}); err == nil {
			_, err = io.WriteString(conn, taken)
		}
	}
	if err != nil {
		conn.Close()
		if in.passed != nil {
			in.passed.Close()
		}
		return nil, err
	}
	l := &Lease{Spare: a.Spare, Token: a.Token, conn: conn, limit: takeTime, in: bufio.NewReader(conn)}
	if a.Spare != nil {
		a.Spare.Conn, a.Spare.State = in.passed, l.state
	}
	if a.Relayed {
		a.Spare.Whole, l.limit = l.whole, relayTime
	}
	return l, nil
}

// Dial has the keeper give a connection to the Engine, where to make one takes time.
func Dial(ctx context.Context, dir string, want Want) (net.Conn, error) {
	conn, err := dial(filepath.Join(dir, want.socket()), requestTime)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var a answer
	in := &rights{UnixConn: conn}
	if err = send(conn, request{Version: wireVersion, Verb: reach}); err == nil {
		err = receive(bufio.NewReader(in), &a)
	}
	if err == nil && in.passed == nil {
		err = errors.New("the keeper has no connection")
	}
	if err != nil && in.passed != nil {
		in.passed.Close()
	}
	return in.passed, err
}

// state has the keeper ask the Engine about the spare's exec, on a connection that is there
// already, and with all that takes a program time once. It fails where the keeper takes
// longer than for a lease, or has once, or answers another question.
func (l *Lease) state(ctx context.Context) (got container.ExecInspect, err error) {
	if !l.asking.TryLock() {
		return got, errors.New("the keeper is being asked")
	}
	defer l.asking.Unlock()
	if l.late > 0 {
		return got, errors.New("the keeper is slow")
	}
	s, err := l.ask(ctx, inspect)
	if err != nil {
		return got, err
	}
	got.ExecID, got.Running, got.Pid = l.Spare.Exec, s.Running, s.Pid
	switch {
	case s.ExitCode != nil:
		got.ExitCode = *s.ExitCode
	case !s.Running:
		err = execproxy.ErrNoStatus
	}
	return got, err
}

// whole tells whether all that the Engine has sent on the spare's connection was relayed.
// A keeper that can't be asked has not lived to do it.
func (l *Lease) whole(ctx context.Context) bool {
	l.asking.Lock() // nobody else can tell
	defer l.asking.Unlock()
	s, err := l.ask(ctx, whole)
	return err == nil && s.Whole
}

// ask sends a question, and returns the answer. l.asking is held.
func (l *Lease) ask(ctx context.Context, question string) (s execState, err error) {
	deadline := time.Now().Add(l.limit)
	if limit, ok := ctx.Deadline(); ok && limit.Before(deadline) {
		deadline = limit
	}
	if err = l.conn.SetDeadline(deadline); err == nil {
		_, err = io.WriteString(l.conn, question)
	}
	if err != nil {
		return s, err
	}
	var line []byte
	for l.late++; l.late > 0; l.late-- {
		if line, err = readLine(l.in); err != nil {
			return s, err
		}
	}
	return s, json.Unmarshal(line, &s)
}

// Done tells the keeper that the run is over: that nothing of it is left, or that
// the user has been told what is. A client that ends without it is taken for one
// that was killed, and its command is ended.
func (l *Lease) Done() {
	message := over
	if l.Spare != nil && l.Spare.Woken {
		message = woken
	}
	_ = l.conn.SetDeadline(time.Time{}) // state may have set one
	_, _ = io.WriteString(l.conn, message)
	l.conn.Close()
}
