package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// A matrix is a number of jobs that are dealt over lanes, containers on so many Engines.
type matrix struct {
	jobs, lanes, engines int
	mean                 time.Duration // of a job
	by                   spreading
	promised             bool // what it may take
}

// A scaling is what docs/scale.md is about.
type scaling struct {
	matrices []matrix // each is run twice
	starving []matrix // the same with more and more Engines
	replicas [][2]int // containers and Engines, for one command in each
}

// model is run on a real Engine, too, with real processes.
var model = matrix{100, 20, 1, time.Second, even, false}

var (
	wholeScaling = scaling{
		matrices: []matrix{
			{10, 10, 1, 3 * time.Second, even, false},
			{1_000, 100, 5, 3 * time.Second, even, false},
			{10_000, 500, 25, 3 * time.Second, even, true},
			{10_000, 500, 25, 3 * time.Second, skewed, false},
			{100_000, 500, 25, 2 * time.Second, even, false},
		},
		starving: []matrix{
			{2_000, 500, 1, 3 * time.Second, even, false},
			{2_000, 500, 5, 3 * time.Second, even, false},
			{2_000, 500, 25, 3 * time.Second, even, false},
		},
		replicas: [][2]int{{10, 1}, {100, 5}, {1_000, 1}, {1_000, 50}},
	}

	// quickScaling tries it out.
	quickScaling = scaling{
		matrices: []matrix{{10, 10, 1, time.Second, even, false}, {500, 100, 5, time.Second, skewed, false}},
		starving: []matrix{{100, 50, 1, time.Second, even, false}, {100, 50, 5, time.Second, even, false}},
		replicas: [][2]int{{10, 1}, {100, 5}},
	}
)

//go:embed scale.md.tmpl
var scaleText string

// A scalePage is what scaleText is about.
type scalePage struct {
	Date, Command                                       string
	Machine, Promised, Model, Jobs, Cost, Engines, Each table
	Rate, ModelJobs, ModelLanes                         int
	Answer, Start                                       float64 // ms, of a simulated Engine
	Alone, Starts                                       string  // of the real one: an exec in ms, and how many it starts a second
}

// scale simulates, and writes docs/scale.md.
func scale(ctx context.Context, bin string, quick bool, line string) (text []byte, err error) {
	b, err := newBench(ctx, bin)
	if err != nil {
		return nil, err
	}
	b.quick, b.stderr = quick, os.Stderr
	defer func() { err = errors.Join(err, b.close()) }()
	todo := wholeScaling
	if quick {
		todo = quickScaling
	}
	loaded := load()
	page := scalePage{
		Date: time.Now().UTC().Format("2 January 2006"), Command: line,
		Rate: execRate, Answer: milliseconds(answerTime), Start: milliseconds(startTime),
		ModelJobs: model.jobs, ModelLanes: model.lanes,
	}
	if err = b.scaleModel(ctx, &page); err != nil {
		return nil, err
	}
	if err = b.scaleJobs(ctx, todo.matrices, &page); err != nil {
		return nil, err
	}
	if page.Engines, err = b.scaleEngines(ctx, todo.starving); err != nil {
		return nil, err
	}
	if page.Each, err = b.scaleEach(ctx, todo.replicas); err != nil {
		return nil, err
	}
	page.Machine = append(b.describe(ctx), []string{"load average", loaded + " before, " + load() + " after"})
	var out bytes.Buffer
	err = template.Must(template.New("scale").Parse(scaleText)).Execute(&out, page)
	return out.Bytes(), err
}

// scaleModel runs the model on the real Engine and on a simulated one.
func (b *bench) scaleModel(ctx context.Context, page *scalePage) error {
	page.Model = table{{"Engine", "took, s:", "first output, s:", "memory, MB:", "connections:", "processor, ms/job:"}}
	row := func(name string, o observed) {
		page.Model = append(page.Model, []string{name, secondsText(o.took), secondsText(o.first), whole(o.megabytes), fmt.Sprint(o.sockets), o.perRun(model.jobs)})
	}
	w := makeWork(model.jobs, model.mean, model.by)
	p, _, _, err := b.replicas(ctx, model.lanes)
	if err != nil {
		return err
	}
	var alone, rate float64
	o, err := p.split(ctx, nil, w, false)
	if err == nil {
		alone, rate, err = floor{b.socket, p.replica("1")}.starts()
	}
	if err = errors.Join(err, p.down(ctx)); err != nil {
		return err
	}
	row("20.10, with processes", o)
	page.Alone, page.Starts = whole(alone), whole(rate)
	s, err := b.simulate(model.engines, model.lanes)
	if err != nil {
		return err
	}
	o, err = s.split(ctx, s.hosts(), w, false)
	if err = errors.Join(err, s.close()); err != nil {
		return err
	}
	row("simulated", o)
	return nil
}

// starts is the milliseconds of an exec, when the Engine has nothing else to do, and how
// many it does in a second of those that come 20 at a time.
func (f floor) starts() (alone, rate float64, err error) {
	var each []float64
	for range 15 {
		_, took, err := f.exec("true")
		if err != nil {
			return 0, 0, err
		}
		each = append(each, milliseconds(took))
	}
	const lanes, runs = 20, 10
	begin := time.Now()
	ends := make(chan error, lanes)
	for range lanes {
		go func() {
			var err error
			for range runs {
				if err == nil {
					_, _, err = f.exec("true")
				}
			}
			ends <- err
		}()
	}
	for range lanes {
		err = errors.Join(err, <-ends)
	}
	return spreadOf(each).median, lanes * runs / time.Since(begin).Seconds(), err
}

// scaleJobs runs each matrix twice: when nothing is known of its jobs, and on a terminal
// when all is.
func (b *bench) scaleJobs(ctx context.Context, matrices []matrix, page *scalePage) error {
	page.Promised = table{{"promised of 10,000 jobs over 500 lanes", "at most:", "got:", "kept"}}
	page.Jobs = table{{"jobs:", "lanes:", "Engines:", "a job, s:", "spread", "known", "bound, s:", "took, s:", "ratio:"}}
	page.Cost = table{{"jobs:", "lanes:", "stderr", "first job, s:", "first output, s:", "memory, MB:", "connections:", "files:", "requests/s:", "processor, ms/job:"}}
	for _, m := range matrices {
		s, err := b.simulate(m.engines, m.lanes)
		if err != nil {
			return err
		}
		for _, known := range []bool{false, true} {
			o, bound, err := s.deal(ctx, m, known)
			if err != nil {
				return errors.Join(err, s.close())
			}
			said, stderr := "no", "pipe"
			if known {
				said, stderr = "yes", "terminal"
			}
			begun, requests := s.seen()
			ratio := o.took.Seconds() / bound.Seconds()
			page.Jobs = append(page.Jobs, []string{fmt.Sprint(m.jobs), fmt.Sprint(m.lanes), fmt.Sprint(m.engines), whole(m.mean.Seconds()), m.by.name, said,
				secondsText(bound), secondsText(o.took), ratioNumber(ratio)})
			page.Cost = append(page.Cost, []string{fmt.Sprint(m.jobs), fmt.Sprint(m.lanes), stderr, secondsText(begun.Sub(o.start)), secondsText(o.first),
				whole(o.megabytes), fmt.Sprint(o.sockets), fmt.Sprint(o.files), whole(float64(requests) / o.took.Seconds()), o.perRun(m.jobs)})
			b.say("%d jobs over %d lanes: %v %v", m.jobs, m.lanes, page.Jobs[len(page.Jobs)-1], page.Cost[len(page.Cost)-1])
			if m.promised {
				page.promise("time, to the bound, known: "+said, ratioNumber, 1.15, ratio)
				page.promise("memory, MB, stderr a "+stderr, whole, 200, o.megabytes)
				if known {
					page.promise("first output on a terminal, s", ratioNumber, 1, o.first.Seconds())
				} else {
					page.promise("first job begun, s", ratioNumber, 1, begun.Sub(o.start).Seconds())
				}
			}
		}
		if err := s.close(); err != nil {
			return err
		}
	}
	return nil
}

func (p *scalePage) promise(text string, number func(float64) string, atMost, got float64) {
	kept := "yes"
	if got > atMost {
		kept = "no"
	}
	p.Promised = append(p.Promised, []string{text, number(atMost), number(got), kept})
}

// scaleEngines runs matrices that are the same but for the number of Engines.
func (b *bench) scaleEngines(ctx context.Context, matrices []matrix) (table, error) {
	t := table{{"jobs:", "lanes:", "Engines:", "bound, s:", "bound by starts, s:", "took, s:", "lanes busy:"}}
	for _, m := range matrices {
		s, err := b.simulate(m.engines, m.lanes)
		if err != nil {
			return nil, err
		}
		o, bound, err := s.deal(ctx, m, false)
		if err = errors.Join(err, s.close()); err != nil {
			return nil, err
		}
		starts := time.Duration(m.jobs/m.engines) * time.Second / execRate
		busy := makeWork(m.jobs, m.mean, m.by).sum.Seconds() / o.took.Seconds()
		t = append(t, []string{fmt.Sprint(m.jobs), fmt.Sprint(m.lanes), fmt.Sprint(m.engines), secondsText(bound), secondsText(starts), secondsText(o.took), whole(busy)})
		b.say("%d Engines: %v", m.engines, t[len(t)-1])
	}
	return t, nil
}

// scaleEach runs a command of one second in each of so many containers at once.
func (b *bench) scaleEach(ctx context.Context, replicas [][2]int) (table, error) {
	t := table{{"containers:", "Engines:", "bound, s:", "took, s:", "first begun, s:", "first output, s:", "memory, MB:", "connections:", "files:", "processor, ms each:"}}
	for _, n := range replicas {
		containers, engines := n[0], n[1]
		s, err := b.simulate(engines, containers)
		if err != nil {
			return nil, err
		}
		u, err := b.user(s.name)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		args := slices.Concat([]string{"docker-toxrun"}, s.hosts(), []string{"--all", "exec", "-n", "sleep", "1"})
		o, err := s.command(u, args...).observe(ctx, false)
		begun, _ := s.seen()
		if err = errors.Join(err, s.close()); err != nil {
			return nil, err
		}
		bound := time.Duration(containers/engines-1)*time.Second/execRate + startTime + time.Second
		t = append(t, []string{fmt.Sprint(containers), fmt.Sprint(engines), secondsText(bound), secondsText(o.took), secondsText(begun.Sub(o.start)),
			secondsText(o.first), whole(o.megabytes), fmt.Sprint(o.sockets), fmt.Sprint(o.files), o.perRun(containers)})
		b.say("%d containers: %v", containers, t[len(t)-1])
	}
	return t, nil
}

// deal runs a matrix. bound is the best that any order of the jobs could take.
func (s *simulation) deal(ctx context.Context, m matrix, terminal bool) (o observed, bound time.Duration, err error) {
	s.reset()
	w := makeWork(m.jobs, m.mean, m.by)
	o, err = s.split(ctx, s.hosts(), w, terminal)
	return o, max(w.sum/time.Duration(m.lanes), w.longest), err
}

// split deals the jobs over the project's containers, on the Engines that options name.
func (p *project) split(ctx context.Context, options []string, w work, terminal bool) (o observed, err error) {
	u, err := p.bench.user(p.name, "TERM=xterm", "TMPDIR="+p.bench.tmp)
	if err != nil {
		return o, err
	}
	file := filepath.Join(p.dir, "words")
	if err := os.WriteFile(file, []byte(strings.Join(w.words, "\n")), 0o644); err != nil {
		return o, err
	}
	args := slices.Concat([]string{"docker-toxrun"}, options, []string{"--split", "--each-file", file, "exec", "-n", "sleep", "{}"})
	o, err = p.command(u, args...).observe(ctx, terminal)
	if want := fmt.Sprintf("%d of %d passed", len(w.words), len(w.words)); err == nil && !strings.Contains(o.end, want) {
		err = fmt.Errorf("it does not say %q but %q", want, o.end)
	}
	return o, err
}

// perRun is the processor's time for each of so many runs.
func (o observed) perRun(runs int) string {
	return fmt.Sprintf("%.1f", milliseconds(o.processor)/float64(runs))
}

func secondsText(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

func whole(n float64) string { return fmt.Sprintf("%.0f", n) }
