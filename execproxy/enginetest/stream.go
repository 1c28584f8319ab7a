package enginetest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/pkg/stdcopy"
)

const (
	// drainTime is for how long the Engine waits for the output of a process
	// that has ended (daemon/monitor.go).
	drainTime = 2 * time.Second

	// bufferSize is from where on the output that a client has not read yet
	// holds up the process (container/stream/bytespipe).
	bufferSize = 1e6

	// frameSize is the most that one frame carries: io.Copy's buffer.
	frameSize = 32 << 10
)

// A stream is a hijacked connection.
type stream struct {
	conn net.Conn
	in   *bufio.Reader // what the client sends, of which the server may have read some
	tty  bool          // as the client has it at the start; the exec may disagree
}

// writeHeader answers the request that the connection came with.
func (s *stream) writeHeader(c *call, tty bool) error {
	status, kind := "200 OK", types.MediaTypeRawStream
	upgrade := ""
	if _, ok := c.r.Header["Upgrade"]; ok {
		status = "101 UPGRADED"
		upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
		if !tty && versions.GreaterThanOrEqualTo(c.version, "1.42") {
			kind = types.MediaTypeMultiplexedStream
		}
	}
	var b strings.Builder
	b.WriteString("HTTP/1.1 " + status + "\r\nContent-Type: " + kind + "\r\n" + upgrade)
	c.w.Header().WriteSubset(&b, nil)
	b.WriteString("\r\n")
	_, err := io.WriteString(s.conn, b.String())
	return err
}

const (
	stdout = stdcopy.Stdout
	stderr = stdcopy.Stderr
)

// output returns where the process's output of that kind goes.
func (s *stream) output(kind stdcopy.StdType) io.Writer {
	if s.tty {
		return s.conn
	}
	return stdcopy.NewStdWriter(s.conn, kind)
}

// CloseWrite ends the output. The real Engine does no more than that either: a
// client that still writes is not told, and blocks when nobody reads any more.
func (s *stream) CloseWrite() error {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return s.conn.Close()
}

// A queue is output on its way from a process to a client.
type queue struct {
	mu     sync.Mutex
	change sync.Cond
	data   []byte
	closed bool
}

func newQueue() *queue {
	q := new(queue)
	q.change.L = &q.mu
	return q
}

var errQueueClosed = errors.New("queue is closed")

// Write blocks while more than bufferSize is in the queue.
func (q *queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.data) >= bufferSize && !q.closed {
		q.change.Wait()
	}
	if q.closed {
		return 0, errQueueClosed
	}
	q.data = append(q.data, p...)
	q.change.Broadcast()
	return len(p), nil
}

// Read returns what is left in a closed queue before io.EOF.
func (q *queue) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.data) == 0 {
		if q.closed {
			return 0, io.EOF
		}
		q.change.Wait()
	}
	n := copy(p, q.data)
	if q.data = q.data[n:]; len(q.data) == 0 {
		q.data = nil
	}
	q.change.Broadcast()
	return n, nil
}

func (q *queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.change.Broadcast()
	return nil
}

// collect moves a process's output into q until its end. Where nobody takes it
// any more, or q is nil, it is read all the same: a process does not notice that
// its client has gone. A terminal's end is believed the second time: the kernel looks for
// output first and for an end then, and what a process writes in between and ends is
// behind the end (three times in 38,000 on two busy cores, Linux 6.18).
func collect(q *queue, from *os.File) {
	buf := make([]byte, frameSize)
	ended := false
	for {
		n, err := from.Read(buf)
		if n > 0 && q != nil {
			if _, err := q.Write(buf[:n]); err != nil {
				q = nil
			}
		}
		if err != nil && (ended || !errors.Is(err, syscall.EIO)) {
			return
		}
		ended = err != nil
	}
}

// deliver moves output from q to the client. Its end is the end of the client's
// input too.
func (s *stream) deliver(q *queue, kind stdcopy.StdType) error {
	defer q.Close()
	defer s.conn.SetReadDeadline(time.Unix(1, 0))
	w := s.output(kind)
	buf := make([]byte, frameSize)
	for {
		n, err := q.Read(buf)
		if err != nil {
			return nil
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// feed moves the client's input to the process. Only the client's end of input
// closes the process's; what a process does not want any more is not read from
// the client either, until the process has ended. It tells whether nothing came.
func (s *stream) feed(to io.Writer, ended <-chan struct{}) (empty bool) {
	empty = true
	buf := make([]byte, frameSize)
	for {
		n, err := s.in.Read(buf)
		if n > 0 {
			empty = false
			if _, err := to.Write(buf[:n]); err != nil {
				<-ended
				return empty
			}
		}
		if err != nil {
			return empty
		}
	}
}
