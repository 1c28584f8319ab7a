package execproxy

import (
	"io"
	"sync/atomic"
	"time"
)

const (
	// drainTime is how long the Engine waits for the output of a command that has
	// ended (moby, daemon/monitor.go). Then it ends the stream.
	drainTime = 2 * time.Second

	// overdueTime is for how long, beyond that, nothing may come before the end of
	// the stream counts as lost, by the Engine or by a proxy.
	overdueTime = 5 * time.Second
)

// A silence tells for how long a stream has been waited for. Output that has come
// and is not taken yet, since its receiver is slow, is no silence.
type silence struct {
	start time.Time
	since atomic.Int64 // nanoseconds after start, and 1 more; 0: nobody waits
}

func (s *silence) begin() { s.since.Store(int64(time.Since(s.start)) + 1) }
func (s *silence) end()   { s.since.Store(0) }

// length is 0 where nobody waits.
func (s *silence) length() time.Duration {
	since := s.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(s.start) - time.Duration(since-1)
}

// watchEnd tells wait when the command has ended and the end of its output is
// overdue. It asks for the command only while the output is silent.
func (r *run) watchEnd() {
	var ended time.Time // when the Engine first said so
	for {
		select {
		case <-time.After(lookTime):
		case <-r.requests.Done():
			return
		}
		if r.outputSilence.length() < drainTime {
			continue
		}
		if ended.IsZero() {
			now, err := r.inspect(r.requests, r.id)
			if err != nil || now.running || now.unknown || !now.started {
				continue
			}
			ended = time.Now()
		}
		if time.Since(ended) < overdueTime || r.outputSilence.length() < drainTime+overdueTime {
			continue
		}
		select {
		case r.overdue <- struct{}{}:
		case <-r.requests.Done():
		}
		return
	}
}

// cutEnd is the end of output that was given up. What a spare would have reported
// may have been lost with it: nobody knows then whether it has become the command.
func (r *run) cutEnd() error {
	if r.woken() && !r.hasBegun() {
		return io.ErrUnexpectedEOF
	}
	return nil
}
