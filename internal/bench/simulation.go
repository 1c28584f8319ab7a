package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// What an Engine takes for an exec, as measured on 20.10 with two cores: for each of its
// requests, from the start to the first byte, and for starts that come all at once.
const (
	answerTime = 800 * time.Microsecond
	startTime  = 64 * time.Millisecond
	execRate   = 20 // starts a second
)

// A simulation is a service with many containers, on Engines of this process that take as
// long as a real one. Its commands are no processes: they last as many seconds as their
// last word says.
type simulation struct {
	*project
	engines  []*enginetest.Engine
	cleanups []func()
	errs     []error

	mu    sync.Mutex
	begun time.Time // when the first exec was started; zero: none was
}

// simulate brings up so many containers of a service, dealt over so many Engines, in a
// project of its own.
func (b *bench) simulate(engines, containers int) (*simulation, error) {
	b.labels++
	p := &project{bench: b, name: b.projectName(b.labels)}
	p.dir = filepath.Join(b.tmp, p.name)
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return nil, err
	}
	text := "name: " + p.name + "\nservices:\n" + service("tests", "busybox")
	if err := os.WriteFile(filepath.Join(p.dir, "compose.yaml"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	s := &simulation{project: p}
	for i := range engines {
		e := new(enginetest.Engine)
		e.Start(s)
		e.Fault(func(http.ResponseWriter, *http.Request) bool {
			time.Sleep(answerTime)
			return false
		})
		s.engines = append(s.engines, e)
		starts := new(queueOfStarts)
		for n := range (containers + engines - 1 - i) / engines {
			e.Add(s.container(n+1, starts))
		}
	}
	return s, nil
}

// container is the nth of the service in an Engine.
func (s *simulation) container(n int, starts *queueOfStarts) enginetest.Container {
	return enginetest.Container{
		Name: s.replica(strconv.Itoa(n)),
		Labels: map[string]string{
			"com.docker.compose.project":             s.name,
			"com.docker.compose.project.working_dir": s.dir,
			"com.docker.compose.service":             "tests",
			"com.docker.compose.container-number":    strconv.Itoa(n),
			"com.docker.compose.oneoff":              "False",
			"com.docker.compose.config-hash":         s.name, // the same for all
		},
		Simulated: func(command []string) enginetest.Simulation { return s.exec(command, starts) },
	}
}

// hosts are the options that name the Engines.
func (s *simulation) hosts() (options []string) {
	for _, e := range s.engines {
		options = append(options, "-H", e.Host())
	}
	return options
}

// exec is what a command does in there.
func (s *simulation) exec(command []string, starts *queueOfStarts) enginetest.Simulation {
	s.mu.Lock()
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	s.mu.Unlock()
	seconds, _ := strconv.ParseFloat(command[len(command)-1], 64) // of what is no number, none
	return enginetest.Simulation{
		Delay:  starts.next() + startTime,
		Time:   time.Duration(seconds * float64(time.Second)),
		Stdout: "1 passed\n",
	}
}

// A queueOfStarts is an Engine's: it starts one exec after the other.
type queueOfStarts struct {
	mu   sync.Mutex
	free time.Time // when the next one can be started
}

// next is how long one has to wait that comes now.
func (q *queueOfStarts) next() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if q.free.Before(now) {
		q.free = now
	}
	wait := q.free.Sub(now)
	q.free = q.free.Add(time.Second / execRate)
	return wait
}

// A spreading is how the times of jobs differ: by a factor whose mean is 1.
type spreading struct {
	name   string
	factor func(*rand.Rand) float64
}

var (
	even = spreading{"even", func(r *rand.Rand) float64 { return 0.2 + 1.6*r.Float64() }}

	// Most are short and some very long, as with test suites: a tenth of them is a third of the work.
	skewed = spreading{"skewed", func(r *rand.Rand) float64 {
		const sigma = 0.8
		return math.Exp(sigma*r.NormFloat64() - sigma*sigma/2)
	}}
)

// A work is what a matrix has to do.
type work struct {
	words        []string // each the seconds that it lasts, and no two the same
	sum, longest time.Duration
}

// makeWork makes n jobs, the same in each bench.
func makeWork(n int, mean time.Duration, by spreading) work {
	var w work
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		lasts := time.Duration(float64(mean) * by.factor(random)).Round(time.Millisecond)
		w.words = append(w.words, fmt.Sprintf("%.3f%06d", lasts.Seconds(), i))
		w.sum, w.longest = w.sum+lasts, max(w.longest, lasts)
	}
	return w
}

// seen is when the first exec was started, and how many requests there were, both since
// the last reset.
func (s *simulation) seen() (begun time.Time, requests int) {
	for _, e := range s.engines {
		requests += len(e.Requests())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun, requests
}

func (s *simulation) reset() {
	for _, e := range s.engines {
		e.ResetRequests()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = time.Time{}
}

// close ends the Engines.
func (s *simulation) close() error {
	for _, f := range s.cleanups {
		f()
	}
	return errors.Join(s.errs...)
}

// Helper, Cleanup, Error and Fatal make an enginetest.Test of a simulation.
func (s *simulation) Helper() {}

func (s *simulation) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *simulation) Error(args ...any) { s.errs = append(s.errs, errors.New(fmt.Sprint(args...))) }

func (s *simulation) Fatal(args ...any) { panic(fmt.Sprint(args...)) } // an Engine that can't even listen
