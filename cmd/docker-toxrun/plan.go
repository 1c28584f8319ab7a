package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/internal/lanes"
)

// A plan is which command runs in which containers.
type plan struct {
	what    command
	engines []engine     // in which they were looked for
	targets []placed     // one at least: a lane each
	left    enginesError // the engines, of several, that have none
}

// A placed is a target with the engine that it is in.
type placed struct {
	*compose.Target
	engine engine
}

// A finding finds the one target that is meant, in the cache or not.
type finding func(context.Context, engine, stdio) (*compose.Target, error)

// plan finds the targets in all engines; find finds one where there is to be one in each.
func (o *options) plan(ctx context.Context, engines []engine, std stdio, what command, find finding) (plan, error) {
	each := func(e engine) ([]placed, error) { return o.findIn(ctx, e, std, find) }
	p, err := o.together(engines, what, each)
	p.engines = engines
	if err == nil {
		return p, nil
	}
	nodes, err := o.nodes(ctx, engines, err)
	if err != nil {
		return plan{}, err
	}
	p, err = o.together(nodes, what, each)
	p.engines = engines
	if err != nil && len(nodes) == 1 {
		err = enginesError{newEngineError(nodes[0], err)}
	}
	return p, err
}

// findIn finds the targets in an engine.
func (o *options) findIn(ctx context.Context, e engine, std stdio, find finding) ([]placed, error) {
	switch {
	case e.tasks != nil:
		return o.findTasks(ctx, e, std)
	case o.several():
		return o.findEach(ctx, e, std)
	}
	target, err := find(ctx, e, std)
	return []placed{{target, e}}, err
}

// remembered tells whether the Engine was not asked for the targets.
func (p plan) remembered() bool { return p.targets[0].Cached }

// A lane is where one command of a plan runs, and what it is connected to here.
type lane struct {
	name     string // for people, where there are several
	target   placed
	client   *execproxy.Client // nil: the run has one of its own
	screen   *terminal
	in       io.Reader // nil: none
	out, err io.Writer
	to       messages // about it
	received received
	begins   func() // is called when it is the command's turn; nil: nothing is
}

// end ends the last line of each output, where there are several lanes.
func (l lane) end() {
	for _, to := range []io.Writer{l.out, l.err} {
		if source, ok := to.(*lanes.Source); ok {
			_ = source.Close() // the run had the same error
		}
	}
}

// alone is the one lane that has the screen for itself.
func (o *options) alone(t placed, screen *terminal) lane {
	l := lane{target: t, screen: screen, to: o.messages(screen.std.err)}
	l.out, l.err = screen.outputs()
	return l
}

// runs runs the command in each lane of the plan.
func (o *options) runs(ctx context.Context, p plan, std stdio, received received) error {
	screen := openTerminal(std)
	p.left.status(o.messages(std.err), " is left out")
	switch {
	case o.several() && !o.noStdin && !screen.in && !isEmpty(screen.std.in):
		return usage("stdin can't be given to several containers", "-n leaves it alone")
	case o.split.split:
		return o.runSplit(ctx, p, screen, received)
	case o.several():
		return o.runEach(ctx, p, screen, received)
	}
	only := o.alone(p.targets[0], screen)
	only.received = received
	if !o.noStdin {
		only.in = screen.input()
	}
	return o.run(ctx, only, p.what)
}

// runEach runs the command in several containers at once. Its error is an ExitError
// with the highest status of all, when each lane has told of its end.
func (o *options) runEach(ctx context.Context, p plan, screen *terminal, received received) error {
	out, err := screen.lines()
	each := o.lanes(p, screen, out, err)
	disconnect, problem := o.connectLanes(each, p.what)
	if problem != nil {
		return problem
	}
	defer disconnect()
	signals := share(received, each)
	defer signals.stop()
	codes := make([]int, len(each))
	took := make([]time.Duration, len(each))
	var all sync.WaitGroup
	for i, l := range each {
		signals.enter(i)
		all.Go(func() {
			begin := time.Now()
			err := o.run(ctx, l, p.what)
			signals.leave(i)
			took[i] = time.Since(begin)
			l.end()
			codes[i] = status(lineless(err), l.to)
		})
	}
	all.Wait()
	worst := 0
	for i, l := range each {
		if !o.detach {
			l.to.ended(codes[i], took[i], colored(screen.std.err))
		}
		worst = max(worst, codes[i])
	}
	if len(p.left) > 0 {
		o.messages(screen.std.err).say("left out: " + strings.Join(p.left.names(), ", "))
		worst = max(worst, statusFailed)
	}
	if worst == 0 {
		return nil
	}
	return &execproxy.ExitError{Code: worst}
}

// rowsFor is how many rows the terminal has that stderr is: 0 where it is none, or where
// nothing is to be drawn.
func (t *terminal) rowsFor(o *options) int {
	fd := int(t.std.err.Fd())
	if info, err := t.std.out.Stat(); err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 {
		return 0 // what reads it may write to the same terminal
	}
	if o.quiet || os.Getenv("TERM") == "dumb" || !term.IsTerminal(fd) {
		return 0
	}
	_, rows, err := term.GetSize(fd)
	if err != nil {
		return 0
	}
	return rows
}

// lines are stdout and stderr for several to share, one and the same where both go to the
// same file.
func (t *terminal) lines() (out, err *lanes.Lines) {
	stdout, stderr := t.outputs()
	out = lanes.NewLines(stdout)
	if stderr == stdout {
		return out, out
	}
	return out, lanes.NewLines(stderr)
}

// lanes are those of a plan for several containers, which share out and err.
func (o *options) lanes(p plan, screen *terminal, out, err *lanes.Lines) []lane {
	each := make([]lane, len(p.targets))
	width := 0
	for i, t := range p.targets {
		each[i] = lane{name: t.ContainerName, target: t, screen: screen}
		if t.Service != "" {
			each[i].name = fmt.Sprintf("%s-%d", t.Service, t.Number)
		}
		if t.engine.others {
			each[i].name = t.engine.name + "/" + each[i].name
		}
		width = max(width, len(each[i].name))
	}
	for i := range each {
		l := &each[i]
		prefix := func(f *os.File) string {
			text := visible(l.name) + strings.Repeat(" ", width-len(l.name)) + " | "
			switch {
			case o.noPrefix:
				return ""
			case colored(f):
				return laneColors[i%len(laneColors)] + text + plain
			}
			return text
		}
		l.out = out.Source(prefix(screen.std.out))
		l.err = l.out
		if err != out {
			l.err = err.Source(prefix(screen.std.err))
		}
		l.to = o.messages(screen.std.err)
		l.to.Writer, l.to.about = err, l.name
	}
	return each
}

// laneColors are the colours of lanes, in docker compose's order (ECMA-48).
var laneColors = [...]string{"\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[93m", "\x1b[92m", "\x1b[95m", "\x1b[94m"}

// oneContainer is the hint for what several containers can't share.
const oneContainer = "run it in one container: -s SERVICE --index N"

// lineless explains what can't be shown in lines.
func lineless(err error) error {
	if errors.Is(err, lanes.ErrBinary) {
		return hinted(err, oneContainer)
	}
	return err
}

// isEmpty tells whether nothing can come from f: it is /dev/null, or not open.
func isEmpty(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && os.SameFile(info, null)
}
