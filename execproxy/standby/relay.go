package standby

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// A relay stands in for a connection that only this process can go on with: TLS has its
// state here, a connection helper its process. Whoever has the other end of its socket
// finds there what the Engine sends, and the Engine what is written there, each up to its
// end.
type relay struct {
	engine net.Conn
	here   *net.UnixConn
	whole  atomic.Bool // all that the Engine has sent, to its end, was passed on
}

// newRelay relays conn, which it closes at the end. The other end is closed by whoever
// has it.
func newRelay(conn net.Conn) (end *net.UnixConn, r *relay, err error) {
	here, end, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	r = &relay{engine: conn, here: here}
	go r.run()
	return end, r, nil
}

func (r *relay) run() {
	defer r.engine.Close()
	defer r.here.Close()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(r.engine, r.here)
		closeWrite(r.engine)
	})
	both.Go(func() {
		_, err := io.Copy(r.here, r.engine)
		r.whole.Store(err == nil) // before the end can be seen
		closeWrite(r.here)
	})
	both.Wait()
}

// closeWrite tells the other side that no more comes.
func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = conn.Close()
}
