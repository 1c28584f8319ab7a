package enginetest

import (
	"fmt"
	"slices"
	"testing"
)

// Example calls body with a container on an [Engine], for an Example function, which
// has no testing.TB. What would fail a test panics.
func Example(body func(e Target)) {
	t := new(example)
	defer t.end()
	body(Fake(t, Container{}))
}

// An example is what an Engine needs of a testing.TB.
type example struct {
	testing.TB
	cleanups []func()
}

func (t *example) Helper()                           {}
func (t *example) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *example) Error(args ...any)                 { panic(fmt.Sprint(args...)) }
func (t *example) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t *example) Fatal(args ...any)                 { t.Error(args...) }
func (t *example) Fatalf(format string, args ...any) { t.Errorf(format, args...) }

func (t *example) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}
