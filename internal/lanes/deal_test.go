package lanes_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toxrun/docker-toxrun/internal/lanes"
)

// jobs are n jobs that took so many seconds the last time.
func jobs(seconds ...int) (list []lanes.Job) {
	for i, s := range seconds {
		list = append(list, lanes.Job{Name: fmt.Sprint("job-", i), Last: time.Duration(s) * time.Second})
	}
	return list
}

// takes does each job in the time that it took last.
func takes(ctx context.Context, job lanes.Job, _ int, begins func()) lanes.End {
	begins()
	select {
	case <-time.After(job.Last):
		return lanes.End{}
	case <-ctx.Done():
		return lanes.End{Status: 130}
	}
}

// lost is the end of a job whose lane goes away.
var lost = lanes.End{Status: 137, Lost: true, Gone: true}

func names(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint("lane-", i))
	}
	return list
}

func TestJobsAreDealt(t *testing.T) {
	for _, test := range []struct {
		lanes int
		jobs  []lanes.Job
		want  time.Duration
	}{
		{4, jobs(1, 1, 1, 1, 1, 1, 1, 1), 2 * time.Second},
		{2, jobs(1, 1, 1, 1, 4), 4 * time.Second}, // the longest first
		{3, jobs(1), time.Second},
		{1, jobs(1, 2), 3 * time.Second},
		{2, nil, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			ran := map[string]int{}
			busy := map[int]bool{}
			d := lanes.Dealer{Lanes: names(test.lanes), Run: func(ctx context.Context, job lanes.Job, lane int, begins func()) lanes.End {
				mu.Lock()
				if ran[job.Name]++; busy[lane] {
					t.Errorf("lane %d has two jobs at a time", lane)
				}
				busy[lane] = true
				mu.Unlock()
				defer func() { mu.Lock(); busy[lane] = false; mu.Unlock() }()
				return takes(ctx, job, lane, begins)
			}}
			begin := time.Now()
			outcomes := d.Deal(t.Context(), test.jobs)
			if took := time.Since(begin); took != test.want {
				t.Errorf("%d jobs in %d lanes took %v, want %v", len(test.jobs), test.lanes, took, test.want)
			}
			for i, o := range outcomes {
				if o.Job != test.jobs[i].Name || !o.Passed() || o.Took != test.jobs[i].Last || o.Tries != 1 || ran[o.Job] != 1 {
					t.Errorf("%+v, ran %d times", o, ran[o.Job])
				}
			}
		})
	}
}

// What takes how long is not known the first time: such a job is begun before all that
// are known.
func TestUnknownJobsComeFirst(t *testing.T) {
	var order []string
	d := lanes.Dealer{Lanes: names(1), Run: func(_ context.Context, job lanes.Job, _ int, _ func()) lanes.End {
		order = append(order, job.Name)
		return lanes.End{}
	}}
	d.Deal(t.Context(), jobs(1, 0, 3, 0))
	if want := []string{"job-1", "job-3", "job-2", "job-0"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// A lane that goes away loses its job and gets no other; the rest is dealt on.
func TestLostLane(t *testing.T) {
	for retries, want := range []lanes.State{lanes.Lost, lanes.Ended} {
		synctest.Test(t, func(t *testing.T) {
			d := lanes.Dealer{Lanes: names(2), Retries: retries, Run: func(ctx context.Context, job lanes.Job, lane int, begins func()) lanes.End {
				if lane == 0 {
					time.Sleep(job.Last / 2)
					return lost
				}
				return takes(ctx, job, lane, begins)
			}}
			outcomes := d.Deal(t.Context(), jobs(4, 1, 1, 1))
			if got := outcomes[0]; got.State != want || got.Tries != 1+retries {
				t.Errorf("with %d retries %+v, want %v", retries, got, want)
			}
			for _, o := range outcomes[1:] {
				if !o.Passed() || o.Lane != "lane-1" {
					t.Errorf("%+v", o)
				}
			}
		})
	}
}

// A lane that comes back goes on, and what it has lost is begun anew in its order.
func TestLaneThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		d := lanes.Dealer{Lanes: names(1), Retries: 1, Run: func(ctx context.Context, job lanes.Job, lane int, begins func()) lanes.End {
			if order = append(order, job.Name); len(order) == 1 {
				return lanes.End{Status: 137, Lost: true}
			}
			return takes(ctx, job, lane, begins)
		}}
		for _, o := range d.Deal(t.Context(), jobs(1, 3, 2)) {
			if !o.Passed() {
				t.Errorf("%+v", o)
			}
		}
		if want := []string{"job-1", "job-1", "job-2", "job-0"}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
	})
}

// A job takes time from its begin on, not while it waits for its turn in its lane.
func TestTurnIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := lanes.Dealer{Lanes: names(1), Run: func(ctx context.Context, job lanes.Job, lane int, begins func()) lanes.End {
			if job.Name == "job-1" {
				time.Sleep(time.Minute)
				return lanes.End{Status: 125} // its turn never came
			}
			time.Sleep(time.Hour)
			return takes(ctx, job, lane, begins)
		}}
		o := d.Deal(t.Context(), jobs(2, 1))
		if o[0].Took != 2*time.Second || o[1].Took != 0 || !o[1].Begun.IsZero() || o[1].Status != 125 {
			t.Errorf("%+v", o)
		}
	})
}

// What could not begin in a lane that was gone is dealt to the next one, and where none is
// left it has not begun.
func TestLaneGoneBefore(t *testing.T) {
	for n, want := range map[int]lanes.State{1: lanes.Waiting, 2: lanes.Ended} {
		synctest.Test(t, func(t *testing.T) {
			d := lanes.Dealer{Lanes: names(n), Run: func(ctx context.Context, job lanes.Job, lane int, begins func()) lanes.End {
				if lane == 0 {
					return lanes.End{Gone: true, Unbegun: true}
				}
				return takes(ctx, job, lane, begins)
			}}
			for _, o := range d.Deal(t.Context(), jobs(1, 2)) {
				if o.State != want || o.Tries != n-1 {
					t.Errorf("of %d lanes: %+v, want %v", n, o, want)
				}
			}
		})
	}
}

func TestNoLaneIsLeft(t *testing.T) {
	d := lanes.Dealer{Lanes: names(2), Retries: 5, Run: func(context.Context, lanes.Job, int, func()) lanes.End { return lost }}
	outcomes := d.Deal(t.Context(), jobs(1, 1, 1))
	if outcomes[0].State != lanes.Lost || outcomes[1].State != lanes.Lost || outcomes[2].State != lanes.Waiting {
		t.Errorf("%+v", outcomes)
	}
}

func TestFailFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := lanes.Dealer{Lanes: names(2), FailFast: true, Run: func(ctx context.Context, job lanes.Job, lane int, begins func()) lanes.End {
			if job.Name == "job-1" {
				time.Sleep(time.Second)
				return lanes.End{Status: 3}
			}
			return takes(ctx, job, lane, begins)
		}}
		begin := time.Now()
		outcomes := d.Deal(t.Context(), jobs(9, 8, 7))
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v", took)
		}
		if o := outcomes; o[0].State != lanes.Canceled || o[1].Status != 3 || o[2].State != lanes.Waiting {
			t.Errorf("%+v", o)
		}
	})
}

func TestStop(t *testing.T) {
	stop := make(chan struct{})
	d := lanes.Dealer{Lanes: names(1), Stop: stop, Run: func(ctx context.Context, job lanes.Job, _ int, begins func()) lanes.End {
		close(stop)
		return lanes.End{}
	}}
	if o := d.Deal(t.Context(), jobs(2, 1)); !o[0].Passed() || o[1].State != lanes.Waiting {
		t.Errorf("%+v", o)
	}
	d.Run = func(context.Context, lanes.Job, int, func()) lanes.End { return lanes.End{Status: 130} }
	d.Stop = nil
	if o := d.Deal(t.Context(), jobs(1)); o[0].State != lanes.Ended {
		t.Errorf("%+v", o)
	}
	stop = make(chan struct{})
	d.Stop, d.Run = stop, func(context.Context, lanes.Job, int, func()) lanes.End {
		close(stop)
		return lanes.End{Status: 130}
	}
	if o := d.Deal(t.Context(), jobs(1)); o[0].State != lanes.Canceled {
		t.Errorf("%+v", o)
	}
}

// Whoever draws the jobs is told of each step of each.
func TestChangesAreTold(t *testing.T) {
	var told []string
	d := lanes.Dealer{Lanes: names(1), Run: takes, Changed: func(o lanes.Outcome) {
		text := fmt.Sprintf("%s %v %s", o.Job, o.State, o.Lane)
		if !o.Begun.IsZero() {
			text += " now"
		}
		told = append(told, text)
	}}
	synctest.Test(t, func(t *testing.T) { d.Deal(t.Context(), jobs(1, 2)) })
	want := []string{"job-0 waiting ", "job-1 waiting ",
		"job-1 running lane-0", "job-1 running lane-0 now", "job-1 ended lane-0 now",
		"job-0 running lane-0", "job-0 running lane-0 now", "job-0 ended lane-0 now"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}
