package standby

import "github.com/toxrun/docker-toxrun/execproxy"

// A held is a spare that its keeper watches.
type held struct {
	*execproxy.Spare
	conn *idle
}

// hold watches s, and calls ended once should it end while it is held.
func hold(s *execproxy.Spare, ended func()) (*held, error) {
	conn, err := await(s.Conn, ended)
	if err != nil {
		return nil, err
	}
	return &held{s, conn}, nil
}

// release ends the watch, for the spare to be given away. It tells whether the
// spare was alive until now.
func (h *held) release() bool {
	h.Release()
	return h.conn.release()
}

// Close ends the spare.
func (h *held) Close() {
	h.Spare.Close()
	h.conn.Close()
}
