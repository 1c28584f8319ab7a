package standby

import (
	"bufio"
	"errors"
	"io"
	"net"
	"path/filepath"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// A Lease is a keeper's answer to a client that is about to run a command. It
// lasts until the run's end: the keeper starts no spare meanwhile.
type Lease struct {
	Spare *execproxy.Spare // for the run; nil: the command is to be started plainly
	Token string           // the command's, should it be started plainly

	conn net.Conn
}

// takeTime is how long a run waits for its keeper. One that is well answers within
// a millisecond, on a very busy machine within 100; a plain start takes longer there, too.
const takeTime = 250 * time.Millisecond

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
	if a.Spare != nil {
		a.Spare.Conn = in.passed
	}
	return &Lease{Spare: a.Spare, Token: a.Token, conn: conn}, nil
}

// Done tells the keeper that the run is over: that nothing of it is left, or that
// the user has been told what is. A client that ends without it is taken for one
// that was killed, and its command is ended.
func (l *Lease) Done() {
	message := over
	if l.Spare != nil && l.Spare.Woken {
		message = woken
	}
	_, _ = io.WriteString(l.conn, message)
	l.conn.Close()
}
