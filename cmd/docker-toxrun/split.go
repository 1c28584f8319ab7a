package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/client"
	"github.com/spf13/pflag"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/internal/lanes"
)

// splitOptions are the options of a run that is dealt over replicas.
type splitOptions struct {
	split     bool
	each      string // words, a job each; else tox environments
	eachFile  string // of more words than a command line has room for
	failFast  bool
	keepGoing bool // the default
	retries   int
	report    string // file
	logs      string // directory
}

func (s *splitOptions) add(f *pflag.FlagSet) {
	f.BoolVar(&s.split, "split", false, "deal the tox environments over all running containers of the service")
	f.StringVar(&s.each, "each", "", "with --split: a command for each word of `LIST`, in place of {}")
	f.StringVar(&s.eachFile, "each-file", "", "with --split: likewise for each line of this `file`")
	f.BoolVar(&s.failFast, "fail-fast", false, "with --split: end the rest when one has failed")
	f.BoolVar(&s.keepGoing, "keep-going", false, "with --split: don't (the default)")
	f.IntVar(&s.retries, "retries", 0, "with --split: run `N` times again what was lost with its container")
	f.StringVar(&s.report, "report", "", "with --split: write the outcome to this `file`, as JSON or JUnit (.xml)")
	f.StringVar(&s.logs, "logs", "", "with --split: write the output of each to a file in this `directory`")
}

func (s *splitOptions) check() error {
	switch {
	case !s.split && (s.each != "" || s.eachFile != "" || s.failFast || s.keepGoing || s.retries != 0 || s.report != "" || s.logs != ""):
		return usage("--each, --each-file, --fail-fast, --keep-going, --retries, --report and --logs go with --split", "")
	case s.failFast && s.keepGoing:
		return usage("--fail-fast and --keep-going exclude each other", "")
	case s.each != "" && s.eachFile != "":
		return usage("--each and --each-file exclude each other", "")
	case s.retries < 0:
		return usage("--retries takes a number", "")
	case s.each != "" && len(strings.Fields(s.each)) == 0:
		return usage("--each: there is no word in it", "")
	}
	return nil
}

// A splitting is a run that is split in jobs.
type splitting struct {
	o       *options
	plan    plan
	signals *sharing
	out     *lanes.Lines
	err     *lanes.Lines
	args    map[string][]string // by the job's name
	logs    map[string]string   // likewise; empty without --logs
	color   bool
	table   *lanes.Table // nil where stderr is no terminal

	mu    sync.Mutex
	lanes []lane
	gone  []string // IDs of containers whose lanes are gone: one that runs again is a new lane
}

// lane is the one with that index.
func (s *splitting) lane(at int) lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lanes[at]
}

// runSplit deals the jobs that the command is split in over the lanes of the plan. Its
// error is an ExitError with the highest status of all.
func (o *options) runSplit(ctx context.Context, p plan, screen *terminal, received received) error {
	s := &splitting{o: o, plan: p, args: map[string][]string{}, color: colored(screen.std.err)}
	s.out, s.err = screen.lines()
	s.lanes = o.lanes(p, screen, s.out, s.err)
	disconnect, err := o.connectLanes(s.lanes, p.what)
	if err != nil {
		return err
	}
	defer disconnect()
	jobs, err := interruptible(ctx, received, func(ctx context.Context) ([]splitJob, error) {
		return o.jobs(ctx, s.lanes[0], p.what.args(p.targets[0].Config))
	})
	if err != nil {
		return err
	}
	if dir := o.split.logs; dir != "" {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
		s.logs = logFiles(dir, jobs)
	}
	report, err := openReport(o.split.report)
	if err != nil {
		return err
	}
	defer report.Close()
	memory := openDurations(p)
	var list []lanes.Job
	for _, j := range jobs {
		s.args[j.name] = j.args
		list = append(list, lanes.Job{Name: j.name, Last: memory.last(j.name)})
	}
	began := time.Now()
	stopDrawing := func() {}
	if rows := screen.rowsFor(o); rows > 0 {
		s.table = lanes.NewTable(screen.std.err, rows, list, len(s.lanes))
		s.err.Through(s.table)
		stopDrawing = s.redraws(screen)
		received.suspend = s.suspends(received.suspend, screen)
	}
	s.signals = share(received, s.lanes)
	defer s.signals.stop()
	dealer := lanes.Dealer{
		Run: s.run, Changed: s.changed, Stop: s.signals.ending,
		Retries: o.split.retries, FailFast: o.split.failFast,
	}
	for _, l := range s.lanes {
		dealer.Lanes = append(dealer.Lanes, l.name)
	}
	more, stopLooking := s.looks(ctx, screen)
	dealer.More = more
	outcomes := dealer.Deal(ctx, list)
	stopLooking()
	stopDrawing()
	took := time.Since(began)
	memory.keep(outcomes)
	worst := s.sum(outcomes, took)
	if report != nil {
		if err := s.report(began, took, worst, outcomes).write(report); err != nil {
			return err
		}
	}
	if worst == 0 {
		return nil
	}
	return &execproxy.ExitError{Code: worst}
}

// suspends is suspend, without the table meanwhile: the terminal is the shell's.
func (s *splitting) suspends(suspend func(), screen *terminal) func() {
	return func() {
		s.table.Clear()
		suspend()
		s.table.Draw(screen.rowsFor(s.o))
	}
}

// redraws draws the table anew when the terminal has more or less rows. stop takes it
// away.
func (s *splitting) redraws(screen *terminal) (stop func()) {
	sizes, stopped := screen.resizes()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-sizes:
				if rows := screen.rowsFor(s.o); rows > 0 && rows != s.table.Rows() {
					s.table.Draw(rows)
				}
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		stopped()
		s.table.Clear()
	}
}

// run does a job in a lane, and shows its output when it has failed by itself.
func (s *splitting) run(ctx context.Context, job lanes.Job, at int, begins func()) lanes.End {
	s.signals.enter(at)
	defer s.signals.leave(at)
	l := s.lane(at)
	l.to.about, l.begins = job.Name, begins
	output, err := newJobOutput(s.logs[job.Name])
	if err != nil {
		return lanes.End{Status: status(err, l.to)}
	}
	defer output.close()
	if s.table != nil {
		output.line = func(line string) { s.table.Line(job.Name, line) }
	}
	l.out, l.err = output.stream(0), output.stream(1)
	args := s.args[job.Name]
	err = s.o.run(ctx, l, command{args: func(compose.Config) []string { return args }, queued: s.plan.what.queued, mapped: s.plan.what.mapped, env: s.plan.what.env})
	if s.unbegun(err, l) {
		s.leaves(l)
		return lanes.End{Gone: true, Unbegun: true}
	}
	code := status(err, l.to)
	if code != 0 && !s.canceled(ctx) || s.o.verbose {
		if problem := output.replay(s.out, s.err); problem != nil && code == 0 {
			code = status(problem, l.to)
		}
	}
	end := lanes.End{Status: code}
	end.Gone = code != 0 && !l.target.engine.runs(context.WithoutCancel(ctx), l.target.Target)
	end.Lost = end.Gone || execproxy.Died(err)
	if end.Gone {
		s.leaves(l)
	}
	return end
}

// leaves takes in that a lane is gone.
func (s *splitting) leaves(l lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = append(s.gone, l.target.Container)
}

// unbegun tells whether err shows that the job has not begun, since its container is not
// there any more, or its engine, and says so: of an engine once.
func (s *splitting) unbegun(err error, l lane) bool {
	_, gone := errors.AsType[*execproxy.GoneError](err)
	_, lost := errors.AsType[*execproxy.LostError](err) // of an engine that has gone later
	switch e := l.target.engine; {
	case gone:
		l.to.say(err.Error())
	case lost || !client.IsErrConnectionFailed(err):
		return false
	case e.others:
		s.o.once(func(string) { newEngineError(e, err).status(s.about(""), "") }, e.host)
	default:
		s.o.once(func(string) { status(err, s.about("")) }, e.host)
	}
	return true
}

// about is where toxrun speaks of a job, or of all for the empty name.
func (s *splitting) about(job string) messages {
	to := s.lane(0).to
	to.about = job
	return to
}

// canceled tells whether all that still runs was to end.
func (s *splitting) canceled(ctx context.Context) bool {
	select {
	case <-s.signals.ending:
		return true
	default:
		return ctx.Err() != nil
	}
}

// changed tells of a job's end.
func (s *splitting) changed(o lanes.Outcome) {
	if s.table != nil {
		s.table.Changed(o)
	}
	to := s.about(o.Job)
	switch o.State {
	case lanes.Ended:
		to.ended(o.Status, o.Took, s.color)
	case lanes.Lost:
		again := ""
		if o.Tries <= s.o.split.retries {
			again = "; to run again"
		}
		to.say(fmt.Sprintf("lost with its container (%s)%s", o.Lane, again))
	case lanes.Canceled:
		to.say("canceled, " + brief(o.Took))
	}
}

// signaled is the status of a signal that has ended the run, or 0.
func (s *splitting) signaled() int {
	select {
	case <-s.signals.ending:
		return status(&execproxy.SignalError{Signal: s.signals.ended}, s.lane(0).to)
	default:
		return 0
	}
}

// fewNames is how many are in one line. --report has all.
const fewNames = 20

// few are names, not too many of them.
func few(names []string) string {
	if len(names) <= fewNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:fewNames], ", "), len(names)-fewNames)
}

// sum tells of the whole, and returns the highest status.
func (s *splitting) sum(outcomes []lanes.Outcome, took time.Duration) (worst int) {
	var failed, lost, canceled, left []string
	passed := 0
	for _, o := range outcomes {
		switch {
		case o.Passed():
			passed++
		case o.State == lanes.Ended:
			failed = append(failed, o.Job)
			worst = max(worst, o.Status)
		case o.State == lanes.Lost:
			lost = append(lost, o.Job)
			worst = max(worst, statusFailed)
		case o.State == lanes.Canceled:
			canceled = append(canceled, o.Job)
		default:
			left = append(left, o.Job)
		}
	}
	if len(canceled)+len(left) > 0 {
		worst = cmp.Or(s.signaled(), worst, statusFailed)
	}
	text := fmt.Sprintf("%d of %d passed in %s", passed, len(outcomes), brief(took))
	for _, group := range []struct {
		what  string
		names []string
	}{{"failed", failed}, {"lost", lost}, {"canceled", canceled}, {"not begun", left}, {"left out", s.plan.left.names()}} {
		if len(group.names) > 0 {
			text += fmt.Sprintf("; %s: %s", group.what, few(group.names))
		}
	}
	s.about("").say(text)
	return worst
}
