package main

import (
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// A terminal is what the standard streams say of the one we run in, if any.
type terminal struct {
	std     stdio
	in, out bool // whether stdin and stdout are terminals
	err     bool // whether stderr is one
}

func openTerminal(std stdio) *terminal {
	return &terminal{
		std: std,
		in:  term.IsTerminal(int(std.in.Fd())),
		out: term.IsTerminal(int(std.out.Fd())),
		err: term.IsTerminal(int(std.err.Fd())),
	}
}

// input is stdin as a command may read it: never while the shell has the
// terminal.
func (t *terminal) input() io.Reader {
	if t.in {
		return foregroundReader{t}
	}
	return t.std.in
}

// colored tells whether what goes to f may be coloured: to a terminal, unless the
// user does not want it (no-color.org) or the terminal can't.
func colored(f *os.File) bool {
	return term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// outputs are stdout and stderr. Where both go to the same file they are one
// writer, so that their order is kept.
func (t *terminal) outputs() (stdout, stderr io.Writer) {
	out, err := t.std.out.Stat()
	if err != nil {
		return t.std.out, t.std.err
	}
	if other, err := t.std.err.Stat(); err == nil && os.SameFile(out, other) {
		return t.std.out, t.std.out
	}
	return t.std.out, t.std.err
}

// size is the window's, zero where there is none.
func (t *terminal) size() execproxy.Size {
	for _, file := range []*os.File{t.std.out, t.std.in, t.std.err} {
		if columns, rows, err := term.GetSize(int(file.Fd())); err == nil {
			return execproxy.Size{Rows: uint(rows), Columns: uint(columns)}
		}
	}
	return execproxy.Size{}
}

// raw puts the terminal into raw mode, where stdin is one. restore brings the
// old mode back, however often it is called.
func (t *terminal) raw() (restore func(), err error) {
	if !t.in {
		return func() {}, nil
	}
	fd := int(t.std.in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(fd, before) }, nil
}

// environment is what makes a command's output look as it would here. With a
// TTY of its own a command sees for itself, but for the kind of terminal.
func (t *terminal) environment(tty bool) []string {
	if !t.out {
		return nil
	}
	kind := os.Getenv("TERM")
	if tty {
		if widelyKnown(kind) {
			return []string{"TERM=" + kind}
		}
		return nil // the Engine's own: xterm
	}
	var env []string
	if kind != "" {
		env = append(env, "TERM="+kind)
	}
	if size := t.size(); size != (execproxy.Size{}) {
		env = append(env, "COLUMNS="+strconv.Itoa(int(size.Columns)), "LINES="+strconv.Itoa(int(size.Rows)))
	}
	if none := os.Getenv("NO_COLOR"); none != "" {
		return append(env, "NO_COLOR="+none)
	}
	return append(env, "FORCE_COLOR=1", "PY_COLORS=1", "CLICOLOR_FORCE=1")
}

// widelyKnown tells whether small images know this kind of terminal: those of
// Debian's ncurses-base.
func widelyKnown(kind string) bool {
	base, _, _ := strings.Cut(kind, "-")
	switch base {
	case "xterm", "screen", "tmux":
		return kind == base || kind == base+"-256color" || kind == base+"-color"
	case "linux", "vt100", "vt220", "ansi", "dumb":
		return true
	}
	return false
}
