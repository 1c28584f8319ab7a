package enginetest

import (
	"testing"
	"time"
)

// Deadline is until when t waits for what is about to happen: 20 seconds before
// the end of all tests (go test -timeout), so that a wait that is in vain fails t
// and can be cleaned up. How long anything takes is no matter of a test: on a busy
// machine it takes longer. Without a -timeout it is a day.
func Deadline(t testing.TB) time.Time {
	if limited, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if at, ok := limited.Deadline(); ok {
			return at.Add(-20 * time.Second)
		}
	}
	return time.Now().Add(24 * time.Hour)
}

// Late is a channel that tells of [Deadline].
func Late(t testing.TB) <-chan time.Time { return time.After(time.Until(Deadline(t))) }
