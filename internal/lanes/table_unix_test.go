//go:build unix

package lanes_test

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"

	"github.com/toxrun/docker-toxrun/internal/lanes"
)

// redraw goes up by so many lines, and clears what is below.
var redraw = regexp.MustCompile(`\x1b\[(\d+)A\x1b\[J`)

// On a terminal with more jobs than rows the table never scrolls and no line is wider than
// the terminal, what runs is shown, and in the end only what was written is left.
func TestTableFitsItsTerminal(t *testing.T) {
	for _, size := range []pty.Winsize{{Rows: 24, Cols: 80}, {Rows: 8, Cols: 30}} {
		t.Run(fmt.Sprintf("%dx%d", size.Cols, size.Rows), func(t *testing.T) {
			master, tty, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer master.Close()
			if err := pty.Setsize(tty, &size); err != nil {
				t.Fatal(err)
			}
			s := &seen{now: make(chan struct{}, 1)}
			read := make(chan struct{})
			go func() {
				io.Copy(s, master) // ends with the terminal
				close(read)
			}()
			var jobs []lanes.Job
			for i := range 40 {
				jobs = append(jobs, lanes.Job{Name: fmt.Sprint("job-", i), Last: time.Second})
			}
			table := lanes.NewTable(tty, int(size.Rows), jobs, 2)
			begun := time.Now().Add(-3 * time.Second)
			table.Changed(lanes.Outcome{Job: "job-0", State: lanes.Ended, Lane: "tests-1", Begun: begun, Took: time.Second})
			table.Changed(lanes.Outcome{Job: "job-38", State: lanes.Running, Lane: "tests-1", Begun: begun})
			table.Changed(lanes.Outcome{Job: "job-39", State: lanes.Running, Lane: "tests-2", Begun: begun})
			table.Line("job-39", strings.Repeat("a wide 界 line ", 20))
			s.wait(t, "job-39  running")
			s.wait(t, "1 of 40")
			for i := range 30 {
				fmt.Fprintf(table, "written %d\n", i)
			}
			s.wait(t, "written 29")
			table.Clear()
			fmt.Fprintln(table, "after it")
			tty.Close()
			<-read
			text := strings.ReplaceAll(s.String(), "\r\n", "\n")
			frames := redraw.Split(text, -1)
			ups := redraw.FindAllStringSubmatch(text, -1)
			if len(frames) < 3 {
				t.Fatalf("drawn %d times: %q", len(frames), text)
			}
			for i, frame := range frames {
				for line := range strings.Lines(frame) {
					if width := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); width > int(size.Cols) {
						t.Errorf("a line of %d columns: %q", width, line)
					}
				}
				if i == len(ups) {
					break
				}
				drawn := strings.Count(frame, "\n") - strings.Count(frame, "written")
				if up := ups[i][1]; up != fmt.Sprint(drawn) || drawn >= int(size.Rows) {
					t.Errorf("goes up by %s lines after %d, of %d rows: %q", up, drawn, size.Rows, frame)
				}
			}
			if last := frames[len(frames)-1]; last != "after it\n" {
				t.Errorf("left at the end: %q", last)
			}
			for i := range 30 {
				if !strings.Contains(text, fmt.Sprintf("written %d\n", i)) {
					t.Errorf("line %d is lost", i)
				}
			}
		})
	}
}

// seen is what a terminal has shown so far.
type seen struct {
	mu   sync.Mutex
	text strings.Builder
	now  chan struct{}
}

func (s *seen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	select {
	case s.now <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// wait waits until text is there, or for the test's deadline.
func (s *seen) wait(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.now:
		case <-t.Context().Done():
			t.Fatalf("no %q in %q", text, s)
		}
	}
}

// What a change of a job takes does not depend on how many jobs there are: of 100,000 the
// first would else be seen minutes late.
func BenchmarkTable(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n, " jobs"), func(b *testing.B) {
			jobs := make([]lanes.Job, n)
			for i := range jobs {
				jobs[i].Name = fmt.Sprint("job-", i)
			}
			table := lanes.NewTable(null, 50, jobs, 500)
			defer table.Clear()
			begun := time.Now()
			for i := 0; b.Loop(); i++ {
				name := jobs[n-1-i%1000].Name
				table.Changed(lanes.Outcome{Job: name, State: lanes.Running, Lane: "tests-1", Begun: begun})
				table.Line(name, "a line")
			}
		})
	}
}
