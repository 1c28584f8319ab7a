package execproxy

import (
	"io"
	"os"
	"sync"
	"time"
)

// A sink takes output off the Engine's hands and writes it to a receiver that
// may be slower. It holds sinkSize bytes; then write blocks, which holds the
// command back as a full pipe would. But once the command has ended the Engine
// gives its last output 2 seconds to be read and then drops it, about 1 MB at
// most (moby, daemon/monitor.go); so a blocked write asks now and then whether
// the command still runs, and when it doesn't, takes all that is left.
type sink struct {
	w     io.Writer
	none  bool        // w throws all away: nothing is written
	ended func() bool // whether the command may have ended
	flush func()      // of all the run's sinks

	mu      sync.Mutex
	waiting []byte // accepted, not yet taken by the writing goroutine
	limit   int    // of len(waiting)
	closed  bool   // nothing more will be accepted
	err     error  // of w; all further output is dropped

	told    bool          // of all that is waiting; belongs to who calls write
	filled  chan struct{} // room for one: waiting, or closed, has changed
	emptied chan struct{} // room for one: the writing goroutine took what was waiting
	done    chan struct{} // closed when all is written, or after err
}

const (
	// sinkSize is many times what one read from the Engine brings, so that
	// neither side waits for the other at full speed.
	sinkSize = 1 << 20

	// sinkMore is what a blocked write may add after the command has ended:
	// more than the Engine holds at that point.
	sinkMore = 4 << 20

	// stallTime is how long a write is blocked before it asks whether the
	// command has ended, well under the 2 seconds that the Engine then gives.
	stallTime = 400 * time.Millisecond
)

// newSink starts the goroutine that writes to w. It ends after close, or when w
// fails.
func newSink(r *run, w io.Writer) *sink {
	s := &sink{
		w:       w,
		none:    throwsAway(w),
		ended:   r.mayHaveEnded,
		flush:   r.flush,
		limit:   sinkSize,
		filled:  make(chan struct{}, 1),
		emptied: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	r.spawn(s.drain)
	return s
}

// write accepts data, or drops it when the receiver has failed. It keeps no
// reference to it. It is written at the next flush at the latest: to wake the
// writing goroutine for each small piece takes longer than the pieces.
func (s *sink) write(data []byte) {
	for !s.none {
		s.mu.Lock()
		if s.err != nil {
			s.mu.Unlock()
			return
		}
		if len(s.waiting) == 0 || len(s.waiting)+len(data) <= s.limit {
			s.waiting = append(s.waiting, data...)
			s.mu.Unlock()
			s.told = false
			return
		}
		s.mu.Unlock()
		s.flush()
		select {
		case <-s.emptied:
		case <-s.done:
		case <-time.After(stallTime):
			if s.ended() {
				s.mu.Lock()
				s.limit = len(s.waiting) + sinkMore
				s.mu.Unlock()
			}
		}
	}
}

// tell has what was accepted written.
func (s *sink) tell() {
	if !s.told {
		s.told = true
		wake(s.filled)
	}
}

// close says that nothing more will come; done tells when all is written.
func (s *sink) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	wake(s.filled)
}

// failure is the receiver's error, or nil.
func (s *sink) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sink) drain() {
	defer close(s.done)
	var taken []byte
	for {
		s.mu.Lock()
		taken, s.waiting = s.waiting, taken[:0]
		s.limit = sinkSize
		closed := s.closed
		s.mu.Unlock()
		if len(taken) == 0 {
			if closed {
				return
			}
			<-s.filled
			continue
		}
		wake(s.emptied)
		if _, err := s.w.Write(taken); err != nil {
			s.mu.Lock()
			s.err, s.waiting = err, nil
			s.mu.Unlock()
			return
		}
	}
}

// throwsAway tells whether nobody would ever see what w is given.
func throwsAway(w io.Writer) bool {
	return w == io.Discard || isNull(w)
}

// isNull tells whether a reader or writer is /dev/null.
func isNull(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	null, err := os.Stat(os.DevNull)
	if err != nil {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.SameFile(info, null)
}

// wake leaves a token in a channel that has room for one.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
