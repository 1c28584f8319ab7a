// Command bench compares docker-toxrun with the other ways to the same end, all in
// one run and taking turns. It knows nothing of how docker-toxrun works: every
// contender but the floor is a program, started as a user starts it.
//
//	bench [-quick] [-only SCENE,...] [-o FILE]    what docs/benchmarks.md has
//	bench -startup [-n ROUNDS] [-o FILE]          what docs/startup.md has
//	bench -scale [-quick] [-o FILE]               what docs/scale.md has
//	bench [-n ROUNDS] COMMAND...                  these command lines, each one argument
//
// `make bench` calls it, with all it needs in place.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// scenes are what is measured, in this order.
var scenes = []struct {
	name    string
	measure func(*bench, context.Context) ([]*result, error)
}{
	{"true", (*bench).measureTrue},
	{"terminal", (*bench).measureTerminal},
	{"tox", (*bench).measureTox},
	{"learn", (*bench).measureLearn},
	{"watch", (*bench).measureWatch},
	{"streams", (*bench).measureStreams},
	{"signals", (*bench).measureSignals},
	{"services", (*bench).measureServices},
	{"replicas", (*bench).measureReplicas},
	{"crowd", (*bench).measureCrowd},
	{"remote", (*bench).measureRemote},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) || errors.Is(err, errUsage) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "toxrun: bench:", err)
		os.Exit(1)
	}
}

// errUsage has been told already.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "fewer rounds and less data, to try it out")
	only := flags.String("only", "", "`scenes` to measure: "+strings.Join(names(), ","))
	file := flags.String("o", "", "`file` for the tables, else stdout")
	bin := flags.String("bin", "bin", "`directory` of the programs")
	starts := flags.Bool("startup", false, "the parts of a run with standby; as root, on Linux")
	scales := flags.Bool("scale", false, "many jobs over many containers, simulated; on Linux")
	n := flags.Int("n", 15, "`rounds` of command lines, or of -startup")
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	if flags.NArg() > 0 {
		return lines(ctx, *n, flags.Args())
	}
	chosen := names()
	if *only != "" {
		chosen = strings.Split(*only, ",")
	}
	for _, name := range chosen {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("no scene %q: there are %s", name, strings.Join(names(), ", "))
		}
	}
	line := strings.Join(append([]string{"go run ./internal/bench"}, args...), " ")
	var text []byte
	var err error
	switch {
	case *starts:
		text, err = startup(ctx, *bin, *n, line)
	case *scales:
		text, err = scale(ctx, *bin, *quick, line)
	default:
		text, err = compare(ctx, *bin, *quick, chosen, line)
	}
	if err != nil {
		return err
	}
	if *file == "" {
		_, err = os.Stdout.Write(text)
		return err
	}
	return os.WriteFile(*file, text, 0o644)
}

func names() (all []string) {
	for _, s := range scenes {
		all = append(all, s.name)
	}
	return all
}

// compare measures the scenes and returns the tables.
func compare(ctx context.Context, bin string, quick bool, chosen []string, line string) (text []byte, err error) {
	b, err := newBench(ctx, bin)
	if err != nil {
		return nil, err
	}
	b.quick, b.stderr = quick, os.Stderr
	defer func() { err = errors.Join(err, b.close()) }()
	r := &report{began: time.Now(), command: line, machine: b.describe(ctx)}
	before := load()
	for _, s := range scenes {
		if !slices.Contains(chosen, s.name) {
			continue
		}
		results, err := s.measure(b, ctx)
		if err != nil {
			return nil, err
		}
		r.results = append(r.results, results...)
	}
	took := time.Since(r.began).Round(time.Second)
	r.machine = append(r.machine, []string{"load average", before + " before, " + load() + " after " + took.String() + remark(before)})
	var out bytes.Buffer
	err = r.write(&out)
	return out.Bytes(), err
}

// lines lets command lines take turns, and compares them with the first one.
func lines(ctx context.Context, rounds int, commands []string) error {
	if rounds < 1 {
		return fmt.Errorf("-n %d: at least one round is needed", rounds)
	}
	g := &group{title: "command lines", unit: "ms", rounds: rounds, base: "0"}
	for i, line := range commands {
		c := command{args: strings.Fields(line)}
		if len(c.args) == 0 {
			return errors.New("a command line is empty")
		}
		g.contenders = append(g.contenders, contender{key: fmt.Sprint(i), name: line, run: c.succeeds})
	}
	r, err := g.measure(ctx, idle)
	if err == nil {
		fmt.Print(r.table())
	}
	return err
}
