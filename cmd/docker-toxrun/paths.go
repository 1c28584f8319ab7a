package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/carry"
	"github.com/toxrun/docker-toxrun/internal/paths"
)

// mapsPaths tells which way paths are mapped: into the container in the command's words,
// and out of it in its output. It is both where nobody has said and a person or an editor
// of this machine is to open what is named, and none in a shell, whose user is inside.
func (o *options) mapsPaths(what command, args []string, screen *terminal) (in, out bool) {
	switch {
	case !what.mapped:
		return false, false
	case o.mapPaths != "":
		return strings.HasPrefix(o.mapPaths, "in"), strings.HasSuffix(o.mapPaths, "out")
	}
	on := (o.shim != nil || screen.out) && !isShell(args)
	return on, on
}

// isShell tells whether args start a shell that a person will use.
func isShell(args []string) bool {
	switch path.Base(args[0]) {
	case "sh", "bash", "zsh", "ash", "dash", "ksh", "fish":
		return !slices.ContainsFunc(args[1:], func(arg string) bool { return !strings.HasPrefix(arg, "-") })
	}
	return false
}

// A translation is what is done about the paths of one run.
type translation struct {
	cmd     *execproxy.Cmd
	engine  *execproxy.Client
	load    *carry.Load // nil: nothing is carried
	history *history    // nil: none is kept
	outputs []*paths.Writer
}

// translate has c's paths mapped, in its words and its output, as the options say. c has
// all else by now. What can't be carried is told.
func (o *options) translate(e *execproxy.Client, t *compose.Target, screen *terminal, what command, c *execproxy.Cmd) *translation {
	tr := &translation{cmd: c, engine: e}
	in, out := o.mapsPaths(what, c.Args, screen)
	if what.history && t.Config.ShellHistory {
		tr.keepHistory(t)
	}
	if in || o.carry {
		if o.carry && tr.load == nil {
			tr.load = newLoad(e, t, c.User)
		}
		here, _ := os.Getwd()
		_, mounted := t.PathFor(here)
		if o.shim != nil && !mounted && o.workdir == "" && t.Config.Workdir == "" {
			o.once(c.Notice, fmt.Sprintf("this directory is in no mount of the container: %s runs in %s", o.shim.name, cmp.Or(t.Workdir, "/")))
		}
		c.Args = paths.Words{Dir: here, Bare: o.carry && !mounted, Translate: func(name, full string) string {
			return tr.word(t, in, name, full)
		}}.Args(c.Args)
	}
	if out {
		tr.mapOutput(t)
	}
	return tr
}

// word is the path in the container for one in the command's words, "" to leave it.
func (tr *translation) word(t *compose.Target, in bool, name, full string) string {
	inside, where := t.PathForFile(full)
	switch {
	case where != compose.Outside && (!in || inside == "/"):
		return ""
	case where != compose.Outside && !filepath.IsAbs(name) && tr.cmd.Dir != "" && path.Join(tr.cmd.Dir, filepath.ToSlash(name)) == inside:
		return "" // it leads there anyway
	case where != compose.Outside:
		return inside
	case tr.load == nil, tr.isPlace(t, full), !temporary(full) && tr.there(full):
		return ""
	}
	inside, err := tr.load.Add(full)
	if err != nil {
		tr.cmd.Notice(fmt.Sprintf("not carried into the container: %v", err))
	}
	return inside
}

// mapOutput has the command's output written with this machine's paths.
func (tr *translation) mapOutput(t *compose.Target) {
	var pairs []paths.Pair
	for _, m := range t.Mounts {
		pairs = append(pairs, paths.Pair{From: m.Target, To: m.Source})
	}
	if tr.load != nil {
		for inside, here := range tr.load.Places() {
			pairs = append(pairs, paths.Pair{From: inside, To: here})
		}
	}
	m := paths.NewMap(pairs)
	if m == nil {
		return
	}
	if from := tr.cmd.Stdin; from != nil && !tr.cmd.TTY && !isNullFile(from) {
		tr.cmd.Stdin = paths.NewReader(from, m, func() { tr.exact() })
	}
	both := tr.cmd.Stdout == tr.cmd.Stderr
	tr.cmd.Stdout = tr.mapped(tr.cmd.Stdout, m)
	if both {
		tr.cmd.Stderr = tr.cmd.Stdout
	} else {
		tr.cmd.Stderr = tr.mapped(tr.cmd.Stderr, m)
	}
}

// typedTime is how long the begin of a path waits for its end at a terminal: a person
// waits for what was typed to appear.
const typedTime = 10 * time.Millisecond

func (tr *translation) mapped(to io.Writer, m *paths.Map) io.Writer {
	if isNullFile(to) {
		return to
	}
	w := paths.NewWriter(to, m)
	if tr.cmd.TTY {
		w.Terminal, w.Patience = true, typedTime
	}
	tr.outputs = append(tr.outputs, w)
	return w
}

// exact has the output passed on as it is from now on: paths that came in go out as they
// were, and no file that an editor has formatted is changed.
func (tr *translation) exact() {
	for _, w := range tr.outputs {
		w.Exact()
	}
}

// isNullFile tells whether a stream is /dev/null.
func isNullFile(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && isEmpty(file)
}

// end passes on what is left of the output of a run that has ended with err, which it
// returns, or why that failed.
func (tr *translation) end(err error) error {
	for _, w := range tr.outputs {
		if failed := w.Close(); failed != nil && err == nil && !errors.Is(failed, syscall.EPIPE) {
			err = &execproxy.OutputError{Err: failed}
		}
	}
	return err
}
