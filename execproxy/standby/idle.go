package standby

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// An idle is a connection to the Engine that a client is to go on with. Until that one
// writes nothing comes on it: what there is to read is its end.
type idle struct {
	net.Conn                 // what is passed on
	raw      syscall.RawConn // of it
	relay    *relay          // behind it; nil: it is the Engine's own
	ended    chan error      // how reading from it has ended; room for one
}

// await watches conn, and calls ended once should it end meanwhile.
func await(conn net.Conn, ended func()) (*idle, error) {
	i := &idle{Conn: conn, ended: make(chan error, 1)}
	passed, ok := conn.(syscall.Conn)
	if !ok {
		end, relay, err := newRelay(conn)
		if err != nil {
			return nil, err
		}
		i.Conn, i.relay, passed = end, relay, end
	}
	var err error
	if i.raw, err = passed.SyscallConn(); err != nil {
		return nil, err
	}
	go func() {
		_, err := i.Read(make([]byte, 1))
		i.ended <- err
		if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
			ended()
		}
	}()
	return i, nil
}

// release ends the watch, for the connection to be given away. It tells whether it
// was alive until now.
func (i *idle) release() bool {
	if i.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	return errors.Is(<-i.ended, os.ErrDeadlineExceeded)
}
