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

	// More gives the name of each lane that comes later, whose index is the next one. Nil:
	// none does.
	More <-chan string

	// Run does a job in a lane, given by its index. It calls begins when it is the
	// job's turn there, where it has one. It is called by several goroutines at a time,
	// once in each lane.
	Run func(ctx context.Context, job Job, lane int, begins func()) End

	// Retries is how often a job that was lost is begun anew, in a lane that is left.
	Retries int

	// FailFast ends all, by Run's ctx, with the first job that has not passed.
	FailFast bool

	// Stop, once closed, has no other job begun; nil never is. Those that run go on, and
	// count as canceled unless they pass.
	Stop <-chan struct{}

	// Changed is told of each change of a job's state, and of all jobs at the begin,
	// one call after the other. Nil: nobody is.
	Changed func(Outcome)
}

// An End is how a job has ended in a lane.
type End struct {
	Status int  // exit status; 0 is success
	Lost   bool // its lane went away under it, so that there is no status
	Gone   bool // the lane is gone, and gets no other job

	// Unbegun tells that the lane was gone before the job could begin, which is dealt
	// anew, whatever Retries says.
	Unbegun bool
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
	longest := func(a, b int) int { return cmp.Compare(length(jobs[b]), length(jobs[a])) }
	slices.SortStableFunc(waiting, longest)
	names := slices.Clone(d.Lanes)
	free := make([]int, len(names))
	for lane := range free {
		free[lane] = lane
	}
	type end struct {
		End
		job, lane int
	}
	ends, begun := make(chan end), make(chan int)
	for running := 0; ; {
		for ctx.Err() == nil && !d.stopped() && len(waiting) > 0 && len(free) > 0 {
			job, lane := waiting[0], free[0]
			waiting, free = waiting[1:], free[1:]
			o := &outcomes[job]
			o.State, o.Lane, o.Begun, o.Tries = Running, names[lane], time.Time{}, o.Tries+1
			d.changed(*o)
			running++
			go func() {
				ends <- end{d.Run(ctx, jobs[job], lane, func() { begun <- job }), job, lane}
			}()
		}
		if running == 0 {
			break
		}
		var e end
		select {
		case job := <-begun:
			outcomes[job].Begun = time.Now()
			d.changed(outcomes[job])
			continue
		case name := <-d.More:
			free = append(free, len(names))
			names = append(names, name)
			continue
		case e = <-ends:
			running--
		}
		o := &outcomes[e.job]
		o.State, o.Status, o.Took = Ended, e.Status, 0
		if !o.Begun.IsZero() {
			o.Took = time.Since(o.Begun)
		}
		switch {
		case e.Unbegun:
			o.State, o.Lane = Waiting, ""
			o.Tries--
		case o.Passed() && !e.Lost:
		case ctx.Err() != nil || d.stopped():
			o.State = Canceled
		case e.Lost:
			o.State = Lost
		}
		if !e.Gone {
			free = append(free, e.lane)
		}
		d.changed(*o)
		if o.State == Lost && o.Tries <= d.Retries {
			o.State = Waiting
			d.changed(*o)
		}
		switch {
		case o.State == Waiting:
			waiting = append(waiting, e.job)
			slices.SortStableFunc(waiting, longest)
		case d.FailFast && !o.Passed():
			cancel()
		}
	}
	for i := range outcomes {
		if o := &outcomes[i]; o.State == Waiting && o.Tries > 0 {
			o.State = Lost // and no lane was left to begin it anew
		}
	}
	return outcomes
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
