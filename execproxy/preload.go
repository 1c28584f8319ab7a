package execproxy

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// preloadScript becomes the interpreter of a program, or goes on as a shell.
//
//go:embed preload/find.sh
var preloadScript string

//go:embed preload
var preloadFiles embed.FS

// preloadProgram is what the interpreter of a spare runs, in one namespace.
var preloadProgram = sync.OnceValue(func() string {
	var program strings.Builder
	for _, name := range []string{"stash", "probe", "verdict", "main"} {
		text, _ := preloadFiles.ReadFile("preload/" + name + ".py")
		program.Write(text)
	}
	return program.String()
})

// preloadMain is what the interpreter of a spare is started with. The program runs in
// its frame, the only one that it would not have if it were started by itself, and in
// its namespace. What hands out modules passes for a part of importlib, as it is one: no
// warning is of its lines, and no tracer's user asks for them.
const preloadMain = `import sys
if sys.version_info < (3, 6): sys.exit("Python %d.%d is too old" % sys.version_info[:2])
own = {"__name__": "preload", "beside_script": sys.path[:1] == [""]}
if own["beside_script"]: del sys.path[0]
exec(compile(sys.argv[1], "<frozen importlib._bootstrap_external>", "exec"), own)
with own["program"]: exec(own["program"].wake())
`

// A Lesson is what earlier runs of a program have taught about the Python modules that it
// imports. The zero Lesson is that there were none.
type Lesson struct {
	Known string // Spare.Known of the spare before; it is for preload/verdict.py to read
	Run   string // the token of the run before, which may have left the names of its modules
}

// Program is the beginning of args that says what runs: a script, or a Python with its
// flags and a file or module. It has one word where it is not known to be more.
func Program(args []string) []string {
	if len(args) > 1 && isPythonName(path.Base(args[0])) {
		for n := 1; n < min(len(args), 5); n++ {
			switch arg := args[n]; {
			case arg == "-m" && n+1 < len(args):
				return args[:n+2]
			case !strings.HasPrefix(arg, "-"):
				return args[:n+1]
			case arg == "-c", arg == "-m", arg == "-", arg == "--":
				return args[:1]
			}
		}
	}
	return args[:min(len(args), 1)]
}

// Watchers are those of a program's arguments that may have a tracer look on: coverage, a
// profiler, a debugger. What is learned without one does not hold with it.
func Watchers(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		arg = strings.ToLower(arg)
		return !slices.ContainsFunc(watchers[:], func(part string) bool { return strings.Contains(arg, part) })
	})
}

// watchers are as WATCHER in preload/verdict.py.
var watchers = [...]string{"cov", "trac", "prof", "pdb", "debug"}

// isPythonName tells whether a program's name is that of an interpreter, with its version
// or without.
func isPythonName(name string) bool {
	for _, prefix := range []string{"python", "pypy"} {
		if version, ok := strings.CutPrefix(name, prefix); ok {
			return strings.Trim(version, "0123456789.") == ""
		}
	}
	return false
}

// PrepareTime is above what Prepare takes at most with a Preload or Learn. Without, it takes
// 70 ms as a rule, and seconds on a busy machine.
const PrepareTime = preloadTime + 5*time.Second

// preloadTime is how long an interpreter may take to be there. It ends itself
// before.
const preloadTime = 35 * time.Second

// preload starts a spare that is an interpreter.
func (c *Cmd) preload(ctx context.Context) (*Spare, error) {
	if len(c.Args) == 0 {
		return nil, refusal("no command")
	}
	line, err := c.exports()
	if err != nil {
		return nil, err
	}
	if c.TTY && len(line) > ttyLine {
		return nil, refusal("its environment is too long for a terminal's line")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, preloadTime, errors.New("the import takes too long"))
	defer cancel()
	program := Program(c.Args)
	var flags []string
	number := "" // of flags, where the program is a Python
	if n := len(program); n > 1 {
		if flags = program[1 : n-1]; program[n-2] == "-m" {
			flags = program[1 : n-2]
		}
		number = strconv.Itoa(len(flags))
	}
	wait := waitScript
	if c.TTY {
		wait = waitTTYScript
	}
	args := []string{"sh", "-c", preloadScript + wait, "sh", program[0], number}
	args = append(append(append(args, flags...), "-c", preloadMain, preloadProgram(), strconv.Itoa(len(program))), program...)
	if c.Learn != nil {
		args = append(args, "auto", c.Learn.Known, c.Learn.Run, strings.Join(Watchers(c.Args[len(program):]), "\n"))
	} else {
		args = append(args, "names", strings.Join(c.Preload, ","), "", "")
	}
	s, err := c.launch(ctx, append(args, c.Sources...), line)
	switch {
	case s == nil:
	case s.Python:
		s.Env = c.Env
	case c.Learn != nil:
		s.Plain = "" // nobody has said that it is Python
	}
	return s, err
}

// ttyLine is the longest line that a terminal takes in its usual mode (termios(3)), with
// its end.
const ttyLine = 4095

// changing are the variables that may differ from run to run without a difference to
// what is imported: watch tells in one what was saved.
var changing = []string{"TOXRUN_CHANGED", ClientVariable}

// exports is the line that gives find.sh the environment of c. What a variable was
// before, with a "=" in front if it was set at all, goes along: from that another
// environment can be made.
func (c *Cmd) exports() (string, error) {
	var was, is strings.Builder
	note := func(key string) { fmt.Fprintf(&was, ` _toxrun_was_%s="${%s+=$%s}"`, key, key, key) }
	note("LC_CTYPE") // set by Python where there is no locale
	for key, assignment := range variables(c.Env) {
		_, value, assigned := strings.Cut(assignment, "=")
		switch {
		case slices.Contains(changing, key):
			continue
		case !exportable(key):
			return "", refusal(fmt.Sprintf("no shell can set the variable %s", key))
		case assigned:
			fmt.Fprintf(&is, "export %s=%s; ", key, quote(value))
		default:
			fmt.Fprintf(&is, "unset %s; ", key)
		}
		if key != "LC_CTYPE" {
			note(key)
		}
	}
	return "unset PWD OLDPWD SHLVL; export" + was.String() + "; " + is.String() + "\n", nil
}

// variables are the assignments of env by their key. One without a "=" unsets.
func variables(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, assignment := range env {
		key, _, _ := strings.Cut(assignment, "=")
		m[key] = assignment
	}
	return m
}

const (
	// wordLimit is the longest argument or variable that Linux starts a program
	// with, MAX_ARG_STRLEN. A script that runs right here would take more.
	wordLimit = 128<<10 - 1

	// messageLimit is below what Linux starts a program with in all, a quarter of
	// the 8 MiB that the stack may usually have, whatever else is in the environment.
	messageLimit = 1 << 20
)

// message is what the interpreter becomes the command of c with: its own length in ten
// digits, and then, with NULs between them, "same" for the environment that it has, the
// directory or nothing for the one it is in, "null" for a stdin that is /dev/null, the number of arguments, the arguments,
// and the variables.
func (s *Spare) message(c *Cmd) (string, bool) {
	same := func(env []string) map[string]string {
		m := variables(env)
		for _, key := range changing {
			delete(m, key)
		}
		return m
	}
	fields := []string{"", "", "", strconv.Itoa(len(c.Args))}
	if maps.Equal(same(c.Env), same(s.Env)) {
		fields[0] = "same"
	}
	if c.Dir != s.Dir {
		fields[1] = c.Dir
	}
	if c.Stdin == nil && !c.TTY {
		fields[2] = "null"
	}
	fields = append(append(fields, c.Args...), c.Env...)
	for _, field := range fields {
		if len(field) > wordLimit {
			return "", false
		}
	}
	if _, ok := variables(c.Env)[""]; ok {
		return "", false // which Python can't set
	}
	body := strings.Join(fields, "\x00")
	return fmt.Sprintf("%010d", len(body)) + body, len(body) <= messageLimit
}
