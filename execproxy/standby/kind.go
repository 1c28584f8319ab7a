package standby

import (
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// A kind is what there is of one kind of spares.
type kind struct {
	want      Want      // of the last client, or of the last one with Python; the zero Want: there was none
	python    *Want     // of the last one whose spare was an interpreter; nil: there was none
	used      time.Time // by a client
	spare     *held     // nil: there is none now
	preparing bool
	died      int             // spares in a row that ended before they were used
	spent     string          // why the container can't have one; "": it can
	latest    execproxy.Spare // without its connection
}

// lately tells whether a client has asked for one in the time for which it is kept.
func (s *kind) lately() bool { return !s.used.IsZero() && time.Since(s.used) < s.want.Idle }

// drop ends the spare that nobody wants any more.
func (s *kind) drop() {
	if s.spare != nil {
		s.spare.Close()
		s.spare = nil
	}
}
