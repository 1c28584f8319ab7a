package lanes_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toxrun/docker-toxrun/internal/lanes"
)

// 10,000 jobs over 500 lanes take little longer than the best that any order of them could
// take: the work divided by the lanes, or the longest job. When nothing is known of the jobs
// that holds as long as none of them is many times longer than the others; what a very long
// one can add is its own time.
func TestManyJobsAreDealtWell(t *testing.T) {
	const jobs, many = 10_000, 500
	for _, test := range []struct {
		name   string
		factor func(*rand.Rand) float64 // of a job's time, around 1
		known  bool
		within float64 // of the bound
	}{
		{"even, known", even, true, 1.02},
		{"even, unknown", even, false, 1.15},
		{"skewed, known", skewed, true, 1.02},
		{"skewed, unknown", skewed, false, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 1))
			var list []lanes.Job
			took := map[string]time.Duration{}
			var sum, longest time.Duration
			for i := range jobs {
				job := lanes.Job{Name: fmt.Sprint("job-", i)}
				d := time.Duration(test.factor(random) * float64(time.Minute))
				if took[job.Name] = d; test.known {
					job.Last = d
				}
				sum, longest = sum+d, max(longest, d)
				list = append(list, job)
			}
			bound := max(sum/many, longest)
			synctest.Test(t, func(t *testing.T) {
				d := lanes.Dealer{Lanes: names(many), Run: func(_ context.Context, job lanes.Job, _ int, begins func()) lanes.End {
					begins()
					time.Sleep(took[job.Name])
					return lanes.End{}
				}}
				begin := time.Now()
				for _, o := range d.Deal(t.Context(), list) {
					if !o.Passed() || o.Took != took[o.Job] {
						t.Fatalf("%+v, want %v", o, took[o.Job])
					}
				}
				got := time.Since(begin)
				if ratio := got.Seconds() / bound.Seconds(); ratio > test.within {
					t.Errorf("took %v, %.3f of %v, want at most %.2f", got, ratio, bound, test.within)
				}
				if got > sum/many+longest { // Graham, 1966
					t.Errorf("took %v, with lanes free while jobs waited: more than %v and %v", got, sum/many, longest)
				}
			})
		})
	}
}

func even(r *rand.Rand) float64 { return 0.2 + 1.6*r.Float64() }

func skewed(r *rand.Rand) float64 {
	const sigma = 0.8
	return math.Exp(sigma*r.NormFloat64() - sigma*sigma/2)
}
