package lanes

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A Table draws the jobs of a deal at the bottom of a terminal: a row for each, with its
// name, lane, state, time and last line of output, and below them a bar for all. What is
// written to it appears above. Where there are more jobs than rows, those that run come
// first, then what has failed, what waits and what has passed.
type Table struct {
	to io.Writer

	drawing  sync.RWMutex  // for what follows
	rows     int           // of the terminal
	progress *mpb.Progress // nil: it is not drawn
	bar      *mpb.Bar

	mu    sync.Mutex
	began time.Time
	lanes int
	jobs  []Outcome      // by their order
	at    map[string]int // where a job is in them
	last  []time.Duration
	lines []string // the last one of each
	ended int      // of jobs
	shown []int    // jobs, by their rows

	jobWidth, laneWidth int // of the widest name
}

// NewTable draws to a terminal of so many rows until Clear. The terminal is an
// *os.File.
func NewTable(terminal io.Writer, rows int, jobs []Job, lanes int) *Table {
	t := &Table{to: terminal, began: time.Now(), lanes: lanes, lines: make([]string, len(jobs)), at: make(map[string]int, len(jobs))}
	for i, j := range jobs {
		t.jobs = append(t.jobs, Outcome{Job: j.Name})
		t.last = append(t.last, j.Last)
		t.at[j.Name] = i
		t.jobWidth = max(t.jobWidth, runewidth.StringWidth(j.Name))
	}
	t.Draw(rows)
	return t
}

// Draw draws the table anew, to a terminal of so many rows.
func (t *Table) Draw(rows int) {
	t.drawing.Lock()
	defer t.drawing.Unlock()
	if t.progress != nil {
		t.clear()
		_, _ = io.WriteString(t.to, "\n") // where the terminal was lower, all of it is clear now
	}
	t.rows = rows
	// All but the bar, one for what is written above, and one more: mpb clears to the end of
	// the screen, and where that is all of it, tmux keeps a copy of each in its history.
	slots := max(0, min(len(t.jobs), rows-3))
	fillers := make([]mpb.BarFiller, slots) // from below
	for i := range fillers {
		fillers[slots-1-i] = mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
			_, err := io.WriteString(w, t.row(i, slots, s.AvailableWidth))
			return err
		})
	}
	t.progress = mpb.New(mpb.WithOutput(t.to), mpb.WithAutoRefresh())
	t.bar = t.progress.New(int64(len(t.jobs)), mpb.BarStyle().Lbound("[").Rbound("]"),
		mpb.BarTopExtender(fillers...), mpb.BarFillerTrim(),
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + t.left() })),
	)
	t.count()
}

// Clear takes the table away, until Draw. What is written after it goes to the terminal
// itself.
func (t *Table) Clear() {
	t.drawing.Lock()
	defer t.drawing.Unlock()
	t.clear()
}

func (t *Table) clear() {
	if t.progress != nil {
		t.bar.Abort(true)
		t.progress.Wait()
		t.progress = nil
	}
}

// Rows is how many rows the terminal had when the table was drawn.
func (t *Table) Rows() int {
	t.drawing.RLock()
	defer t.drawing.RUnlock()
	return t.rows
}

// Write writes whole lines above the table.
func (t *Table) Write(p []byte) (int, error) {
	t.drawing.RLock()
	defer t.drawing.RUnlock()
	if t.progress != nil {
		if n, err := t.progress.Write(p); err == nil {
			return n, nil
		}
	}
	return t.to.Write(p)
}

// Joined takes in that there is a lane more.
func (t *Table) Joined() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lanes++
}

// Changed takes in what has become of a job; see [Dealer.Changed].
func (t *Table) Changed(o Outcome) {
	t.mu.Lock()
	before := t.ended
	if i, ok := t.at[o.Job]; ok {
		if t.jobs[i].State > Running {
			t.ended--
		}
		if o.State > Running {
			t.ended++
		}
		t.jobs[i] = o
		t.laneWidth = max(t.laneWidth, runewidth.StringWidth(o.Lane))
	}
	if o.State == Lost {
		t.lanes--
	}
	same := t.ended == before
	t.mu.Unlock()
	if same {
		return
	}
	t.drawing.RLock()
	defer t.drawing.RUnlock()
	t.count()
}

// count has the bar show how many jobs have ended. t.drawing is held.
func (t *Table) count() {
	t.mu.Lock()
	ended := min(t.ended, len(t.jobs)-1) // complete, the bar would be drawn no more
	t.mu.Unlock()
	if t.progress != nil {
		t.bar.SetCurrent(int64(ended))
	}
}

// Line takes in a line of a job's output, which can do nothing to a terminal.
func (t *Table) Line(job, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.at[job]; ok {
		t.lines[i] = line
	}
}

// choose returns the jobs that get one of so many rows, in their order. t.mu is held.
func (t *Table) choose(rows int) []int {
	var ranked [4][]int
	for i, o := range t.jobs {
		r := 0 // where there is a row for each, they keep their places
		if rows < len(t.jobs) {
			r = rank(o)
		}
		if len(ranked[r]) < rows {
			ranked[r] = append(ranked[r], i)
		}
	}
	return slices.Concat(ranked[:]...)[:rows]
}

// row is what stands in a slot of the table, a line. They are drawn from slot 0 on.
func (t *Table) row(slot, slots, width int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slot == 0 {
		t.shown = t.choose(slots)
	}
	i := t.shown[slot]
	o := t.jobs[i]
	took := o.Took
	state := o.State.String()
	switch {
	case o.State == Running && o.Begun.IsZero():
		state = Waiting.String() // for its turn
	case o.State == Running:
		took = time.Since(o.Begun)
	case o.Passed():
		state = "pass"
	case o.State == Ended:
		state = fmt.Sprintf("fail %d", o.Status)
	}
	when := ""
	if o.State != Waiting && !o.Begun.IsZero() {
		when = fmt.Sprintf("%.1fs", took.Seconds())
	}
	text := fmt.Sprintf("%s  %-8s  %7s  %s  %s", pad(o.Job, t.jobWidth), state, when, pad(o.Lane, t.laneWidth), t.lines[i])
	// A line that is as wide as the terminal would be two.
	return strings.TrimRight(runewidth.Truncate(text, max(0, width-1), "…"), " ") + "\n"
}

// pad makes text as wide as the widest, within reason.
func pad(text string, widest int) string { return runewidth.FillRight(text, min(widest, 30)) }

// rank is in which order jobs get the rows that there are.
func rank(o Outcome) int {
	switch {
	case o.State == Running:
		return 0
	case o.Passed():
		return 3
	case o.State == Waiting:
		return 2
	}
	return 1
}

// left says how long it will take, by how long what took the last time; what is not
// known counts as the mean of what is.
func (t *Table) left() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var known, sum, all, longest time.Duration
	for i, o := range t.jobs {
		took := t.last[i]
		if o.State == Ended {
			took = o.Took
		}
		if took > 0 {
			known++
			sum += took
		}
	}
	if known == 0 {
		return time.Since(t.began).Round(time.Second).String()
	}
	for i, o := range t.jobs {
		took := cmp.Or(t.last[i], sum/known)
		switch o.State {
		case Running:
			if !o.Begun.IsZero() {
				took = max(0, took-time.Since(o.Begun))
			}
		case Waiting:
		default:
			continue
		}
		all += took
		longest = max(longest, took)
	}
	left := max(longest, all/time.Duration(max(1, t.lanes))).Round(time.Second)
	if left == 0 {
		return "soon" // or it takes longer than the last time
	}
	return "about " + left.String() + " left"
}
