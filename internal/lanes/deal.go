package lanes

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A Dealer deals jobs over lanes: each lane takes the next job as soon as it is free,
// the longest first. Set its fields, then call Deal.
type Dealer struct {
	Lanes []string // names, unique

	// Run does a job in a lane, given by its index. It returns the exit status, or
	// lost where the lane has gone away: then the lane gets no other job. It is
	// called by several goroutines at a time, once in each lane.
	Run func(ctx context.Context, job Job, lane int) (status int, lost bool)

	// Retries is how often a job that was lost is begun anew, in another lane.
	Retries int

	// FailFast ends all, by Run's ctx, with the first job that has not passed.
	FailFast bool

	// Stop, once closed, has no other job begun; nil never is. Those that run go on.
	Stop <-chan struct{}

	// Changed is told of each change of a job's state, and of all jobs at the begin,
	// one call after the other. Nil: nobody is.
	Changed func(Outcome)
}

// Deal does all jobs and returns what has become of each, in the order of jobs. When
// ctx is done no more are begun; those that run have their ctx done, too. A job for
// which there was no lane any more is Waiting.
func (d *Dealer) Deal(ctx context.Context, jobs []Job) []Outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes := make([]Outcome, len(jobs))
	waiting := make([]int, len(jobs)) // indices of jobs
	for i, job := range jobs {
		outcomes[i], waiting[i] = Outcome{Job: job.Name}, i
		d.changed(outcomes[i])
	}
	slices.SortStableFunc(waiting, func(a, b int) int { return cmp.Compare(length(jobs[b]), length(jobs[a])) })
	free := make([]int, len(d.Lanes))
	for lane := range free {
		free[lane] = lane
	}
	type end struct {
		job, lane, status int
		lost              bool
	}
	ends := make(chan end)
	for running := 0; ; running-- {
		for ctx.Err() == nil && !d.stopped() && len(waiting) > 0 && len(free) > 0 {
			job, lane := waiting[0], free[0]
			waiting, free = waiting[1:], free[1:]
			o := &outcomes[job]
			o.State, o.Lane, o.Begun, o.Tries = Running, d.Lanes[lane], time.Now(), o.Tries+1
			d.changed(*o)
			running++
			go func() {
				status, lost := d.Run(ctx, jobs[job], lane)
				ends <- end{job, lane, status, lost}
			}()
		}
		if running == 0 {
			return outcomes
		}
		e := <-ends
		o := &outcomes[e.job]
		o.State, o.Status, o.Took = Ended, e.status, time.Since(o.Begun)
		if e.lost {
			o.State = Lost
		} else {
			free = append(free, e.lane)
		}
		d.changed(*o)
		switch {
		case e.lost && o.Tries <= d.Retries && ctx.Err() == nil:
			waiting = append(waiting, e.job)
		case d.FailFast && !o.Passed():
			cancel()
		}
	}
}

func (d *Dealer) stopped() bool {
	select {
	case <-d.Stop:
		return true
	default:
		return false
	}
}

func (d *Dealer) changed(o Outcome) {
	if d.Changed != nil {
		d.Changed(o)
	}
}

// length is what a job is dealt by. One of which nothing is known may be the longest.
func length(j Job) time.Duration {
	if j.Last == 0 {
		return 1<<63 - 1
	}
	return j.Last
}
