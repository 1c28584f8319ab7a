// Package lanes runs more than one command at a time: it deals jobs over lanes,
// and shares one output among them. What a lane is and how a job runs there is the
// caller's; this package knows nothing of containers.
package lanes

import "time"

// A Job is something to be done once, in any lane.
type Job struct {
	Name string        // unique among the jobs of one deal
	Last time.Duration // how long it took the last time; 0: not known
}

// A State is how far a job has come.
type State int

const (
	Waiting  State = iota // for a lane, or never begun
	Running               // in Outcome.Lane
	Ended                 // with Outcome.Status
	Lost                  // its lane went away under it; what became of it is not known
	Canceled              // was ended before it could end by itself
)

var states = [...]string{"waiting", "running", "ended", "lost", "canceled"}

func (s State) String() string { return states[s] }

// An Outcome is what has become of a job.
type Outcome struct {
	Job    string
	State  State
	Lane   string        // where it ran the last time; empty: nowhere
	Status int           // exit status, of a job that has ended; 0 is success
	Begun  time.Time     // the last time; zero: never, or it waits for its turn in the lane
	Took   time.Duration // from then to its end
	Tries  int           // how often it was begun
}

// Passed tells whether the job has ended with success.
func (o Outcome) Passed() bool { return o.State == Ended && o.Status == 0 }
