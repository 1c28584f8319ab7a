package lanes_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/toxrun/docker-toxrun/internal/lanes"
)

// The lines of each source arrive whole, all of them and in their order, however they
// are cut into writes.
func TestLinesStayWhole(t *testing.T) {
	const sources, lines = 4, 2000
	var out bytes.Buffer
	shared := lanes.NewLines(&out)
	var all sync.WaitGroup
	for n := range sources {
		all.Go(func() {
			s := shared.Source(fmt.Sprintf("%d | ", n))
			random := rand.New(rand.NewPCG(uint64(n), 1))
			var text bytes.Buffer
			for i := range lines {
				length := random.IntN(100)
				if i%500 == 250 {
					length = 2 * lanes.LongLine
				}
				fmt.Fprintf(&text, "%d %s.\n", i, strings.Repeat("x", length))
			}
			all := text.Bytes()[:text.Len()-1] // the last without its newline
			for len(all) > 0 {
				n := min(1+random.IntN(300), len(all))
				if random.IntN(1000) == 0 {
					n = min(3*lanes.LongLine, len(all))
				}
				if got, err := s.Write(all[:n]); got != n || err != nil {
					t.Errorf("Write of %d: %d, %v", n, got, err)
				}
				all = all[n:]
			}
			s.Close()
		})
	}
	all.Wait()
	var next [sources]int
	for line := range strings.Lines(out.String()) {
		source := strings.IndexByte("0123", line[0])
		want := fmt.Sprintf("%d | %d ", source, next[source])
		if rest, ok := strings.CutPrefix(line, want); !ok || strings.TrimLeft(rest, "x") != ".\n" {
			t.Fatalf("%.80q, want %q", line, want)
		}
		next[source]++
	}
	if next != [sources]int{lines, lines, lines, lines} {
		t.Errorf("lines of each: %v", next)
	}
}

func TestUnfinishedLineHoldsNobodyBack(t *testing.T) {
	var out bytes.Buffer
	shared := lanes.NewLines(&out)
	a, b := shared.Source("a | "), shared.Source("b | ")
	io.WriteString(a, "1\nslow")
	io.WriteString(b, "quick\n")
	if got := out.String(); got != "a | 1\nb | quick\n" {
		t.Fatalf("%q", got)
	}
	io.WriteString(a, " end\nlast")
	io.WriteString(b, "")
	a.Close()
	b.Close()
	if got := out.String(); got != "a | 1\nb | quick\na | slow end\na | last\n" {
		t.Errorf("%q", got)
	}
}

// A line that is too long to be kept comes through in pieces, and nobody else's
// between them.
func TestLongLineIsNotMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		shared := lanes.NewLines(&out)
		long, other := shared.Source(""), shared.Source("")
		piece := strings.Repeat("l", lanes.LongLine)
		io.WriteString(long, piece)
		io.WriteString(long, "l")
		if out.Len() != len(piece)+1 {
			t.Errorf("%d bytes of a long line are kept", len(piece)+1-out.Len())
		}
		go io.WriteString(other, "other\n")
		synctest.Wait()
		io.WriteString(long, "end")
		long.Close()
		synctest.Wait()
		if got := strings.TrimLeft(out.String(), "l"); got != "end\nother\n" {
			t.Errorf("after the long line: %q", got)
		}
	})
}

// What is said of the commands waits for no line, and comes after it.
func TestWriteWaitsForNobody(t *testing.T) {
	var out bytes.Buffer
	shared := lanes.NewLines(&out)
	s := shared.Source("")
	io.WriteString(s, strings.Repeat("l", 2*lanes.LongLine))
	io.WriteString(shared, "one\n")
	io.WriteString(shared, "two\n")
	io.WriteString(s, "end")
	s.Close()
	io.WriteString(shared, "three\n")
	if got := strings.TrimLeft(out.String(), "l"); got != "end\none\ntwo\nthree\n" {
		t.Errorf("after the long line: %q", got)
	}
}

func TestBinaryIsRefused(t *testing.T) {
	var out bytes.Buffer
	s := lanes.NewLines(&out).Source("a | ")
	if _, err := io.WriteString(s, "text\nPNG\x00\n"); !errors.Is(err, lanes.ErrBinary) || out.String() != "a | text\n" {
		t.Errorf("Write = %v, and %q is written", err, &out)
	}
}

// A receiver that fails in a long line leaves the turn to the others.
func TestFailedReceiverGivesTheTurnBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		shared := lanes.NewLines(writer(func([]byte) (int, error) { return 0, full }))
		a, b := shared.Source(""), shared.Source("")
		if _, err := io.WriteString(a, strings.Repeat("a", 2*lanes.LongLine)); err != full {
			t.Errorf("a: %v", err)
		}
		if _, err := io.WriteString(b, "b\n"); err != full {
			t.Errorf("b: %v", err)
		}
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
