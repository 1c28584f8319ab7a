package standby

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// A held is a spare that its keeper watches. Until it is woken it writes nothing: what
// there is to read from it is its end.
type held struct {
	*execproxy.Spare
	raw   syscall.RawConn
	ended chan error // how reading from it has ended; room for one
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
		h.ended <- err
		if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
			ended()
		}
	}()
	return h, nil
}

// release ends the watch, for the spare to be given away. It tells whether the
// spare was alive until now.
func (h *held) release() bool {
	h.Release()
	if h.Conn.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	return errors.Is(<-h.ended, os.ErrDeadlineExceeded)
}
