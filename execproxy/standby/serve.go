package standby

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// accept serves whoever connects, until the listener is closed.
func (k *keeper) accept(ctx context.Context, listener *net.UnixListener) {
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			k.hand(func() { k.end(err) })
			return
		}
		go k.serve(ctx, conn)
	}
}

func (k *keeper) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	in := bufio.NewReader(conn)
	var q request
	if conn.SetDeadline(time.Now().Add(requestTime)) != nil || checkPeer(conn) != nil || receive(in, &q) != nil {
		return
	}
	a := answer{Version: wireVersion}
	switch {
	case q.Version != wireVersion:
		_ = send(conn, a)
		k.hand(func() { k.end(errVersion) })
	case q.Verb == info:
		var told *Info
		if k.hand(func() { told = k.tell() }) {
			a.Info, _ = json.Marshal(told)
			_ = send(conn, a)
		}
	case q.Verb == stop:
		_ = send(conn, a)
		k.hand(func() { k.end(errStopped) })
		<-k.shut // and closes the connection, which tells that it is done
	case q.Verb == reach:
		k.connect(ctx, conn)
	case q.Verb == take:
		k.accompany(ctx, conn, in, q.Want)
	}
}

// quickTime is how long a run at a terminal may take to be over before the next spare is
// started: to start one delays the end of what runs by 50 ms (measured).
const quickTime = time.Second

// accompany lends what there is for a run, and waits for the run's end.
func (k *keeper) accompany(ctx context.Context, conn *net.UnixConn, in *bufio.Reader, want Want) {
	var l *lending
	if !k.hand(func() { l = k.lend(want) }) {
		return
	}
	h, hit := l.spare, false
	defer func() { k.hand(func() { k.back(ctx, l, hit) }) }()
	if want.TTY { // somebody may sit there for hours
		lasts := time.AfterFunc(quickTime, func() { k.hand(func() { k.lasts(l); k.prepare(ctx) }) })
		defer lasts.Stop()
	}
	token, err := k.give(conn, h)
	l.token = token
	if line, _ := in.ReadSlice('\n'); err != nil || string(line) != taken {
		return // the client has given up before
	}
	if conn.SetDeadline(time.Time{}) != nil {
		return
	}
	last := inspect
	for last == inspect || last == whole {
		line, _ := in.ReadSlice('\n')
		switch last = string(line); {
		case h == nil:
		case last == inspect:
			k.inspect(ctx, conn, l)
		case last == whole:
			_ = send(conn, execState{Whole: h.conn.relay == nil || h.conn.relay.whole.Load()})
		}
	}
	hit = h != nil && last != over
	if last == over || last == woken || ctx.Err() != nil {
		return
	}
	k.log.Printf("a client was killed: ending its command")
	if err := want.cmd(k.engine).Reap(ctx, token); err != nil {
		k.log.Printf("its command: %v", err)
	}
}

// eventTime is how long the Engine's word that an exec has ended is waited for before it is
// asked. It comes with the end of the output, 0.6 ms sooner than an answer (measured: 20.10).
const eventTime = 3 * time.Millisecond

// inspect tells a client the state of its exec. One that is not told asks the Engine itself.
func (k *keeper) inspect(ctx context.Context, conn net.Conn, l *lending) {
	select {
	case <-l.ended:
		_ = send(conn, execState{ExitCode: l.code})
		return
	case <-time.After(eventTime):
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	got, err := k.engine.ContainerExecInspect(ctx, l.spare.Exec)
	state := execState{Running: got.Running, Pid: got.Pid, ExitCode: &got.ExitCode}
	switch {
	case errors.Is(err, execproxy.ErrNoStatus):
		state.ExitCode = nil
	case err != nil:
		_, _ = io.WriteString(conn, "\n")
		return
	}
	_ = send(conn, state)
}

// give answers a client: with the spare, which is no more this process's then, or
// without. It returns the token of the command that the client is about to run.
func (k *keeper) give(conn *net.UnixConn, h *held) (token string, err error) {
	a := answer{Version: wireVersion, Token: rand.Text()}
	if h == nil {
		err = send(conn, a)
	} else {
		defer h.conn.Close() // this process's
		a.Spare, a.Token, a.Relayed = h.Spare, h.Token, h.conn.relay != nil
		err = pass(conn, a, h.conn)
	}
	return a.Token, err
}

// pass answers a client with a connection.
func pass(conn *net.UnixConn, a answer, passed *idle) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return sendWith(conn, append(line, '\n'), passed.raw)
}
