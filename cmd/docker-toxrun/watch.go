package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/internal/lanes"
	"github.com/toxrun/docker-toxrun/watch"
)

// watchOptions are the options that only watch has.
type watchOptions struct {
	onBusy             string
	debounce, poll     time.Duration
	ignore             []string
	initial            bool
	clear, notify      bool
	exitPass, exitFail bool
	format             string
}

func newWatch(o *options, std stdio) *cobra.Command {
	w := &watchOptions{}
	cmd := &cobra.Command{
		Use:   "watch [OPTIONS] [-- ARG...]",
		Short: "Run the service's command, and again on every save",
		Long: `Run the service's command, tox unless configured otherwise, and again whenever
files change that the container sees.

Keys: Enter runs now, c cancels the run, p pauses, q quits, ? helps.`,
		Example: `  docker toxrun watch -- -e py39
  docker toxrun watch --on-busy queue --clear -- -e py39
  docker toxrun watch --exit-on-pass -- -e py39`,
		ValidArgsFunction: o.completeArgs,
		Args: func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash > 0 || dash < 0 && len(args) > 0 {
				if args[0] == "exec" || args[0] == "do" {
					return usage("watch runs the service's command alone, not "+args[0], "x-toxrun.command says which that is, tox if left out")
				}
				return usage(fmt.Sprintf("%q: what the command gets comes after --", args[0]),
					fmt.Sprintf("%s -- %s", cmd.CommandPath(), compose.CommandLine(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.carry {
				return usage("--carry is for one command whose end is waited for, which a watch does not end with", cmd.Root().CommandPath()+" exec --carry COMMAND")
			}
			if o.split.split {
				return usage("watch runs the command whole: --split does not go with it", "--all runs it in every replica")
			}
			return o.watch(cmd.Context(), std, w, serviceCommand(args))
		},
	}
	f := cmd.Flags()
	f.StringVar(&w.onBusy, "on-busy", "", "what a change does during a run: restart|queue|ignore (default restart)")
	f.DurationVar(&w.debounce, "debounce", 0, "`time` for which a file has to be left alone (default 25ms, 5ms for one that is closed)")
	f.DurationVar(&w.poll, "poll", 0, "compare all files once in this `time`, in place of the system's events")
	f.StringArrayVar(&w.ignore, "ignore", nil, "`pattern` in the syntax of .gitignore, repeatable")
	f.BoolVar(&w.initial, "initial", true, "run once before anything has changed")
	f.BoolVar(&w.clear, "clear", false, "clear the screen before each run")
	f.BoolVar(&w.notify, "notify", false, "tell the terminal of the end of each run (OSC 9 and bell)")
	f.BoolVar(&w.exitPass, "exit-on-pass", false, "quit after the first run that passes")
	f.BoolVar(&w.exitFail, "exit-on-fail", false, "quit after the first run that fails")
	f.StringVar(&w.format, "format", "", "`json`: an object a line on stdout, the command's stdout goes to stderr")
	f.SortFlags = false
	return cmd
}

// A watching is one `toxrun watch`.
type watching struct {
	o        *options
	engines  []engine
	std      stdio
	options  *watchOptions
	what     command
	screen   *terminal
	out, err *lanes.Lines // of several containers
	report   *watchReport
	stop     func() // of this process, by ^Z
	quit     context.CancelCauseFunc
	keys     func(on bool) // has the terminal send single keys, or lines

	mu    sync.Mutex
	lanes []*watchLane // one at least

	left enginesError // out of the run

	sigs sync.Mutex
	run  *watchRun // that goes on; nil: none
	sig  os.Signal // that is to end the watch

	status *int // of the last run that has ended; Follow's goroutine's
}

// errQuit is the end that the user, or an option, has asked for.
var errQuit = errors.New("quit")

// watch runs the command again and again, until it is told to end.
func (o *options) watch(ctx context.Context, std stdio, w *watchOptions, what command) error {
	received, stop := receiveSignals()
	defer stop()
	if err := onlyJSON(w.format); err != nil {
		return err
	}
	engines, err := until(received, o.engines)
	if err != nil {
		return err
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	report := &watchReport{to: o.messages(std.err), dir: here, clear: w.clear, notify: w.notify, screen: std.err, color: colored(std.err)}
	if w.format == "json" {
		report.json = std.out
	}
	first, err := o.ready(ctx, engines, std, what, received, o.refind)
	if err != nil {
		return err
	}
	run := &watching{o: o, engines: engines, std: std, options: w, what: what, screen: openTerminal(std), report: report, stop: received.suspend}
	if o.several() {
		run.out, run.err = run.screen.lines()
		report.to.Writer = run.err
	}
	defer run.close()
	if err := run.lanesFor(first, false); err != nil {
		return err
	}
	loop, tree, err := w.loop(first.targets, here)
	if err != nil {
		return err
	}
	tree.Notice = report.notice

	ctx, quit := context.WithCancelCause(ctx)
	defer quit(nil)
	watcher, err := until(received, func() (*watch.Watcher, error) { return tree.Start(ctx) })
	if err != nil {
		return err
	}
	defer watcher.Close()
	run.quit = quit
	var pressed <-chan byte
	run.keys = func(bool) {}
	if !o.noStdin {
		pressed, run.keys = run.screen.keys()
	}
	defer run.keys(false)
	commands := make(chan watch.Command)
	loop.Run, loop.Event, loop.Commands = run.once, run.event, commands
	ended := make(chan struct{})
	defer close(ended)
	go run.listen(ctx, ended, received.signals, pressed, commands)
	go run.look(ctx)
	report.started(tree.Roots, watcher.Mode())
	if pressed != nil {
		report.keys()
	}
	err = loop.Follow(ctx, watcher.C)
	switch {
	case run.status != nil && *run.status != 0:
		return &execproxy.ExitError{Code: *run.status}
	case run.status == nil && run.signal() != nil:
		return &execproxy.SignalError{Signal: run.signal()}
	case errors.Is(err, errQuit):
		return nil
	}
	return err
}

// loop is what the options and the services' x-toxrun say of the files and of the runs.
// The files are those of all targets, the rest is the first one's.
func (w *watchOptions) loop(targets []placed, here string) (*watch.Loop, *watch.Tree, error) {
	t := targets[0]
	policy, err := watch.ParsePolicy(cmp.Or(w.onBusy, string(t.Config.Watch.OnBusy), "restart"))
	if err != nil {
		return nil, nil, usage("--on-busy "+err.Error(), "")
	}
	if w.debounce < 0 || w.poll < 0 {
		return nil, nil, usage("--debounce and --poll take a time such as 500ms", "")
	}
	var roots, ignore []string
	for _, t := range targets {
		paths, patterns := watchedPaths(t.Target)
		roots = append(roots, paths...)
		ignore = slices.Concat(ignore, patterns, t.Config.Watch.Ignore)
	}
	slices.Sort(roots)
	roots = slices.Compact(roots)
	if len(roots) == 0 {
		return nil, nil, hinted(fmt.Errorf("nothing to watch: container %s has no directory of the project mounted", t.ContainerName),
			"name paths in x-toxrun.watch.paths")
	}
	tree := &watch.Tree{
		Roots:    roots,
		Base:     cmp.Or(t.ProjectDir, here),
		Ignore:   append(ignore, w.ignore...),
		Poll:     w.poll,
		Debounce: cmp.Or(w.debounce, t.Config.Watch.Debounce),
	}
	return &watch.Loop{OnBusy: policy, SkipInitial: !w.initial}, tree, nil
}

// watchedPaths are those that the service's x-toxrun names, or its develop.watch,
// or what of the project is mounted in its container.
func watchedPaths(t *compose.Target) (roots, ignore []string) {
	if len(t.Config.Watch.Paths) > 0 {
		return t.Config.Watch.Paths, nil
	}
	for _, w := range t.Develop {
		roots = append(roots, w.Path)
		if inside, err := filepath.Rel(t.ProjectDir, w.Path); err == nil && filepath.IsLocal(inside) {
			for _, pattern := range w.Ignore {
				ignore = append(ignore, "/"+filepath.ToSlash(filepath.Join(inside, pattern)))
			}
		}
	}
	if len(roots) > 0 {
		return roots, ignore
	}
	for _, m := range t.Mounts {
		if m.Source == "" {
			continue
		}
		inside, err := filepath.Rel(t.ProjectDir, m.Source)
		if t.ProjectDir == "" || err == nil && filepath.IsLocal(inside) {
			roots = append(roots, m.Source)
		}
	}
	return roots, nil
}

// event tells what the loop does, and ends it where the user wants that.
func (w *watching) event(e watch.Event) {
	switch e.Kind {
	case watch.Changed:
		w.report.changed(e.Batch.Paths(), e.Batch.Count)
		w.movesOn()
	case watch.Muted:
		w.report.notice(fmt.Sprintf("%s changes in every run, so a run writes it: it starts no more of them", printable(e.Path)),
			"ignore it with --ignore, x-toxrun.watch.ignore or .gitignore")
	case watch.Suspected:
		w.report.notice(fmt.Sprintf("%s ends each run at the same moment, so a run may write it: the next restarts for it wait", printable(e.Path)),
			"ignore it with --ignore, x-toxrun.watch.ignore or .gitignore")
	case watch.Paused:
		w.report.notice("paused", "")
	case watch.Resumed:
		w.report.notice("goes on", "")
	case watch.Ended:
		quits := w.signal() != nil // it may have come while a restart was ending the run
		if e.Cause != nil && !w.told() {
			w.tellCanceled()
		} else if code, ended := w.tellEnded(e.Err, e.Took); ended {
			w.status = &code
			w.report.notified(code)
			quits = quits || code == 0 && w.options.exitPass || code != 0 && w.options.exitFail
		}
		if quits {
			w.quit(errQuit)
		}
	}
}

// signal is the one that is to end the watch, or nil.
func (w *watching) signal() os.Signal {
	w.sigs.Lock()
	defer w.sigs.Unlock()
	return w.sig
}
