package paths

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReaderTellsOfNames(t *testing.T) {
	for text, want := range map[string]int{
		"":                                    0,
		"no path\n":                           0,
		"/ap p /etc/ap":                       0,
		"see /app":                            1,
		"/app /app /app":                      1,
		strings.Repeat("x", 40) + "/app/.tox": 1,
		"/etc/app.ini":                        1,
	} {
		for name, from := range map[string]func(io.Reader) io.Reader{
			"at once":     func(r io.Reader) io.Reader { return r },
			"in halves":   iotest.HalfReader,
			"in bytes":    iotest.OneByteReader,
			"with an end": iotest.DataErrReader,
		} {
			calls := 0
			got, err := io.ReadAll(NewReader(from(strings.NewReader(text)), project(), func() { calls++ }))
			if string(got) != text || err != nil {
				t.Errorf("%q %s: read %q, %v", text, name, got, err)
			}
			if calls != want {
				t.Errorf("%q %s: told %d times, want %d", text, name, calls, want)
			}
		}
	}
}
