package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A stage is a part of a run with standby: from the first call of the function at until
// that of the next stage's.
type stage struct {
	at   string // the function; an event of the scheduler's where it has a colon
	what string
	why  string
}

// stages are in the order in which a run comes to them.
var stages = []stage{
	{"sched:sched_process_exec", "the program is loaded, Go's runtime starts", "of a Go program that does nothing, too"},
	{"runtime.main", "packages are initialized", "all that are linked, used or not: see below"},
	{"main.main", "is it a shim?", "a link to this program may be a command's name"},
	{"main.newRoot", "options and commands are made", "cobra has to know them to parse argv"},
	{"github.com/spf13/cobra.(*Command).ExecuteC", "argv is parsed", "one parser for every command"},
	{"main.(*options).complete", "variables, and what excludes what", "`TOXRUN_STANDBY` is one"},
	{"main.(*options).execute", "signals are received", "from here on they are the command's"},
	{"main.findEngines", "the Engine's address", "`config.json` names its context"},
	{"main.(*options).find", "the container", "from the cache: one file, and the state of each that it was made from"},
	{"main.(*options).runs", "what is to run where", "directory, user, variables, streams"},
	{"main.(*keeping).take", "the keeper is asked", "it gives the connection of what waits"},
	{"github.com/toxrun/docker-toxrun/execproxy.(*Cmd).Run", "the command is told what it is", "one line, and the goroutines of the streams"},
	{"github.com/toxrun/docker-toxrun/execproxy.(*run).wait", "the command runs", "it is a process of the container's; most of this is waiting"},
	{"github.com/toxrun/docker-toxrun/execproxy.(*run).ended", "its exit status", "the end of the stream does not tell it; the keeper knows"},
	{"github.com/toxrun/docker-toxrun/execproxy/standby.(*Lease).Done", "the keeper is told, the process ends", "it begins what waits for the next run"},
	{at: "sched:sched_process_exit"},
}

// traceFS is where the kernel is told what to trace. It needs root.
const traceFS = "/sys/kernel/tracing"

// A tracer takes the times at which a program comes to its stages, by the kernel: a
// breakpoint at each function (uprobe), with nothing in the program itself.
type tracer struct {
	dir    string   // of its own buffer
	probes []string // as the kernel has them
	stages []stage
}

// newTracer sets the breakpoints of program. A stage whose function is not there, or has
// been inlined, is an error.
func newTracer(program string, stages []stage) (_ *tracer, err error) {
	t := &tracer{dir: filepath.Join(traceFS, "instances", fmt.Sprintf("toxrun%d", os.Getpid())), stages: stages}
	offsets, err := functionOffsets(program)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(t.dir, 0o700); err != nil {
		return nil, fmt.Errorf("tracing needs root, and mount -t tracefs nodev %s: %w", traceFS, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	for i, s := range stages {
		event := strings.ReplaceAll(s.at, ":", "/")
		if event == s.at {
			offset, ok := offsets[s.at]
			if !ok {
				return nil, fmt.Errorf("%s has no function %s", program, s.at)
			}
			probe := fmt.Sprintf("toxrun%d/stage%d", os.Getpid(), i)
			if err := appendFile(filepath.Join(traceFS, "uprobe_events"), fmt.Sprintf("p:%s %s:%#x\n", probe, program, offset)); err != nil {
				return nil, err
			}
			t.probes = append(t.probes, probe)
			event = probe
		}
		if err := appendFile(filepath.Join(t.dir, "events", event, "enable"), "1"); err != nil {
			return nil, err
		}
	}
	return t, errors.Join(t.set("options/record-tgid", "1"), t.set("trace_clock", "mono"))
}

func (t *tracer) set(name, value string) error { return appendFile(filepath.Join(t.dir, name), value) }

func appendFile(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

// close takes the breakpoints away.
func (t *tracer) close() error {
	err := os.Remove(t.dir)
	for _, probe := range t.probes {
		err = errors.Join(err, appendFile(filepath.Join(traceFS, "uprobe_events"), "-:"+probe+"\n"))
	}
	return err
}

// functionOffsets are the places of a program's functions in its file.
func functionOffsets(program string) (map[string]uint64, error) {
	file, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	offsets := map[string]uint64{}
	for _, s := range symbols {
		for _, p := range file.Progs {
			if elf.ST_TYPE(s.Info) == elf.STT_FUNC && p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value < p.Vaddr+p.Filesz {
				offsets[s.Name] = s.Value - p.Vaddr + p.Off
			}
		}
	}
	return offsets, nil
}

// run has start start a process and wait for its end. It returns the microseconds of each
// stage but the last, which is the end.
func (t *tracer) run(start func() (pid int, err error)) ([]float64, error) {
	if err := os.Truncate(filepath.Join(t.dir, "trace"), 0); err != nil {
		return nil, err
	}
	pid, err := start()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(t.dir, "trace"))
	if err != nil {
		return nil, err
	}
	return parseTrace(string(text), pid, t.stages)
}

// traced is a line of the kernel's trace, with the thread, its process, the time in
// seconds, and the event.
var traced = regexp.MustCompile(`-(\d+)\s+\(\s*(\d+)\)\s+\[\d+\]\s+\S+\s+(\d+\.\d+): (\w+):`)

// parseTrace takes the first time of each stage in a process, and for the end the last.
func parseTrace(text string, process int, stages []stage) ([]float64, error) {
	came := make([]float64, len(stages))
	for line := range strings.Lines(text) {
		m := traced.FindStringSubmatch(line)
		if m == nil || m[2] != strconv.Itoa(process) {
			continue
		}
		at, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, err
		}
		for i, s := range stages {
			_, event, scheduler := strings.Cut(s.at, ":")
			if !scheduler {
				event = fmt.Sprintf("stage%d", i)
			}
			if event == m[4] && (came[i] == 0 || i == len(stages)-1) {
				came[i] = at
			}
		}
	}
	var took []float64
	for i := range stages[1:] {
		if came[i] == 0 || came[i+1] < came[i] {
			return nil, fmt.Errorf("the run did not come from %s to %s:\n%s", stages[i].at, stages[i+1].at, text)
		}
		took = append(took, (came[i+1]-came[i])*1e6)
	}
	return took, nil
}

// startup measures the stages of a run with standby, and writes docs/startup.md.
func startup(ctx context.Context, bin string, rounds int, line string) (text []byte, err error) {
	b, err := newBench(ctx, bin)
	if err != nil {
		return nil, err
	}
	b.stderr = os.Stderr
	defer func() { err = errors.Join(err, b.close()) }()
	p, err := b.up(ctx, service("tests", "busybox"))
	if err != nil {
		return nil, err
	}
	standby, err := p.standby(false)
	if err != nil {
		return nil, err
	}
	run := p.command(standby.user, "docker-toxrun", "exec", "-n", "true")
	t, err := newTracer(run.args[0], stages)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	loaded := load()
	took := make([][]float64, len(stages)-1)
	var outside, whole []float64
	for try, before := 0, 0; len(whole) < rounds; try++ {
		if try > 2*rounds+2 {
			return nil, fmt.Errorf("%d of %d runs woke what waited: the machine is too busy", len(whole), try)
		}
		if err := idle(ctx); err != nil {
			return nil, err
		}
		var all time.Duration
		cmd := run.make(ctx)
		each, err := t.run(func() (int, error) {
			begin := time.Now()
			out, err := cmd.CombinedOutput()
			all = time.Since(begin)
			if err == nil && len(out) > 0 {
				err = fmt.Errorf("the run says %q", out)
			}
			if err != nil {
				return 0, err
			}
			return cmd.Process.Pid, nil
		})
		if try == 0 { // which leaves the keeper behind
			continue
		}
		hits, missed := standby.hits(ctx) // missed: it is still about to begin
		woke := missed == nil && hits > before
		before = max(before, hits)
		switch {
		case !woke || try == 1: // the first one is not counted, as elsewhere
			continue
		case err != nil:
			return nil, err
		}
		inside := 0.0
		for i, microseconds := range each {
			took[i] = append(took[i], microseconds)
			inside += microseconds
		}
		whole = append(whole, milliseconds(all)*1000)
		outside = append(outside, milliseconds(all)*1000-inside)
	}
	parts := table{{"part", "µs, median:", "middle half:", "why"}}
	row := func(what string, values []float64, why string) {
		s := spreadOf(values)
		parts = append(parts, []string{what, micro(s.median), micro(s.q1) + "–" + micro(s.q3), why})
	}
	row("the process is made", outside, "fork and exec before the program, wait after it: the shell's")
	for i, values := range took {
		row(stages[i].what, values, stages[i].why)
	}
	row("all", whole, "")
	packages, total, err := initTable(ctx, run.args[0])
	if err != nil {
		return nil, err
	}
	machine := append(b.describe(ctx), []string{"load average", loaded + " before, " + load() + " after" + remark(loaded)})
	var out bytes.Buffer
	fmt.Fprintf(&out, startupText, time.Now().UTC().Format("2 January 2006"), line, machine, parts, plural(rounds, "round"), total, packages)
	return out.Bytes(), nil
}

func micro(microseconds float64) string { return fmt.Sprintf("%.0f", microseconds) }

const startupText = `# Where the time of a standby run goes

Made on %s by ` + "`%s`" + `; not to be edited.

%s
A run is ` + "`docker-toxrun exec -n true` with `TOXRUN_STANDBY`" + `, when its keeper has a shell that waits. The kernel takes the
time at which it comes to each part, by a breakpoint at a function (uprobe); there is no code for that in the program. A
part lasts until the next one begins. What takes so long is its own work, and a goroutine that has to be woken, a
processor that somebody else has, and the pages of the program that are used for the first time.

%s
%s. The medians of the parts need not add up to that of the whole.

## Packages

What the packages take that take longest, by Go's own count (` + "`GODEBUG=inittrace=1`" + `), of %.0f µs for all.

%s`

// initialized is a line of GODEBUG=inittrace=1.
var initialized = regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, (\S+) ms clock, (\d+) bytes, (\d+) allocs$`)

// initTable has the packages whose initialization takes longest, and the microseconds of
// all.
func initTable(ctx context.Context, program string) (t table, total float64, err error) {
	times, allocations := map[string][]float64{}, map[string]string{}
	for range 30 {
		cmd := command{args: []string{program, "docker-cli-plugin-metadata"}, env: []string{"GODEBUG=inittrace=1"}}.make(ctx)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return nil, 0, err
		}
		for _, m := range initialized.FindAllStringSubmatch(stderr.String(), -1) {
			ms, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return nil, 0, err
			}
			times[m[1]] = append(times[m[1]], ms*1000)
			allocations[m[1]] = m[4]
		}
	}
	var names []string
	medians := map[string]float64{}
	for name, values := range times {
		names = append(names, name)
		medians[name] = spreadOf(values).median
		total += medians[name]
	}
	slices.SortFunc(names, func(a, b string) int {
		if medians[a] != medians[b] {
			return int(medians[b]*1000) - int(medians[a]*1000)
		}
		return strings.Compare(a, b)
	})
	t = table{{"package", "µs, median:", "allocations:"}}
	for _, name := range names[:min(12, len(names))] {
		t = append(t, []string{"`" + name + "`", micro(medians[name]), allocations[name]})
	}
	return t, total, nil
}
