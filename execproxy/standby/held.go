package standby

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// A held is a spare that its keeper watches: nothing is to be heard of it but its
// end.
type held struct {
	*execproxy.Spare
	raw   syscall.RawConn
	heard chan error // how listening to it has ended; room for one
}

// hold watches s, and calls ended once should it end while it is held.
func hold(s *execproxy.Spare, ended func()) (*held, error) {
	conn, ok := s.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.New("the connection can't be passed on")
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	h := &held{s, raw, make(chan error, 1)}
	go func() {
		_, err := s.Conn.Read(make([]byte, 1))
		h.heard <- err
		if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
			ended()
		}
	}()
	return h, nil
}

// release ends the watch, for the spare to be given away. It tells whether the
// spare was alive until now.
func (h *held) release() bool {
	if h.Conn.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	return errors.Is(<-h.heard, os.ErrDeadlineExceeded)
}
