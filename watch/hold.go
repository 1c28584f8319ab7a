package watch

import (
	"maps"
	"math"
	"slices"
	"time"
)

// A hold keeps restarts back. Under Restart, a file that is written in the middle of
// a run would end each one, and there would be no evidence for echoes. So once the
// same files have ended several runs in a row, at the same moment of each, the next
// restart waits a while, in case the run ends by itself meanwhile. That delays a
// restart, and loses nothing.
//
// An editor that saves a file in pieces is through before the first hold: what began
// too early has to be ended. A script that saves as soon as a run has begun can't be
// told from the run itself; it gets each restart, some of them seconds late.
type hold struct {
	streak int                      // restarts in a row that were alike
	since  time.Time                // when the first of them was called for
	paths  map[string]time.Duration // for what, and when in the run
	next   time.Time                // when to hold the next back
	length time.Duration            // for how long
	worked time.Duration            // what did: it is done again
}

// The first hold comes after so many restarts, the first of them so long ago. One
// that was in vain is followed by as long a time without, and one twice as long. What
// goes on for endlessHold is no script any more, and is held until the run ends.
const (
	holdStreak  = 3
	holdAfter   = 400 * time.Millisecond
	firstHold   = time.Second
	longestHold = 8 * time.Second
	endlessHold = 5 * time.Minute
)

// delay returns for how long to hold back the restart that changes call for: noted
// says which, and when in the run. held is what others in the same run were for.
func (h *hold) delay(noted map[string]time.Duration, now time.Time, held time.Duration) time.Duration {
	alike := h.alike(noted, held > 0)
	if held > 0 && alike {
		return held // from now on
	}
	if held > 0 {
		*h = hold{}
		return 0
	}
	if !alike {
		*h = hold{since: now, next: now.Add(holdAfter), length: firstHold}
	}
	h.paths = noted
	h.streak++
	switch {
	case h.worked > 0:
		return h.worked
	case now.Sub(h.since) > endlessHold:
		return math.MaxInt64
	case h.streak >= holdStreak && !now.Before(h.next):
		return h.length
	}
	return 0
}

// alike reports whether what was noted in this run is what was in the one before, or
// again in this one, at whatever moment.
func (h *hold) alike(noted map[string]time.Duration, again bool) bool {
	for name, offset := range noted {
		before, ok := h.paths[name]
		if ok && (again || near(before, offset)) {
			continue
		}
		if _, ok := h.paths[inDir(name)]; !ok {
			return false
		}
	}
	return len(h.paths) > 0
}

// ended takes in that a run has ended by itself, while its restart was held back for
// so long; zero if it was not.
func (h *hold) ended(held time.Duration) {
	if held == 0 {
		*h = hold{}
	}
	h.worked = held
}

// failed takes in that a restart was held back in vain, and returns for what.
func (h *hold) failed(now time.Time) []string {
	h.worked = 0
	h.next = now.Add(h.length)
	h.length = min(2*h.length, longestHold)
	return slices.Sorted(maps.Keys(h.paths))
}
