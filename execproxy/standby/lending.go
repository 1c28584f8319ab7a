package standby

import (
	"context"
	"slices"
	"time"
)

// A lending is a run that has asked for a spare.
type lending struct {
	kind  *kind
	want  Want
	spare *held  // nil: there was none
	token string // of its command
	quick bool   // it may end soon

	ended chan struct{} // closed when the Engine has told that the spare's exec has ended,
	code  *int          // with this status
}

// lend is called by Keep's goroutine, as are lasts and back. It counts a run, and gives it the spare if there is one.
func (k *keeper) lend(want Want) *lending {
	k.runs++
	k.quick++
	s := k.of(want)
	k.last, s.used = s, time.Now()
	switch {
	case want.Shell: // it is no run
	case s.python != nil && !want.python() && slices.Equal(want.Program, s.python.Program):
		s.drop() // the user does not want it any more
		s.want, s.python = want, nil
	case s.python != nil && (!want.python() || want.Learn && k.lesson(want).other):
		s.want.Idle = want.Idle // a run of another program takes no modules from the next
	default:
		s.want = want
	}
	var h *held
	if !k.paused && (!want.Shell || s.spare != nil && !s.spare.Python) {
		h, s.spare = s.spare, nil
	}
	if h != nil && !h.release() {
		h.Close()
		h = nil
	}
	l := &lending{kind: s, want: want, spare: h, quick: true, ended: make(chan struct{})}
	if h != nil {
		k.lent[h.Exec] = l
		if h.conn.relay != nil {
			k.relayed++
		}
	}
	return l
}

// lasts takes in that a run goes on, or has ended: it holds up no spare any more.
func (k *keeper) lasts(l *lending) {
	if l.quick {
		l.quick = false
		k.quick--
	}
}

// back takes in the end of a run, and whether a spare was its command.
func (k *keeper) back(ctx context.Context, l *lending, hit bool) {
	k.runs--
	k.lasts(l)
	if l.spare != nil {
		delete(k.lent, l.spare.Exec)
		if l.spare.conn.relay != nil {
			k.relayed--
		}
	}
	s := l.kind
	if hit {
		k.info.Hits++
		s.died = 0
	} else {
		k.info.Misses++
	}
	if l.want.Learn {
		k.lesson(l.want).Run = l.token
	}
	k.info.Used = time.Now()
	s.used = k.info.Used
	k.unused.Reset(s.want.Idle)
	k.prepare(ctx)
}
