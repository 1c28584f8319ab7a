//go:build unix

package execproxy_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// eachPython runs body where there is a Python: on this machine, and in the image
// that has tox.
func eachPython(t *testing.T, body func(t *testing.T, e enginetest.Target)) {
	enginetest.EachImage(t, []string{"toxrun-test:debian"}, func(t *testing.T, e enginetest.Target) {
		if _, err := os.Stat("/usr/bin/python3"); err != nil && e.Engine != nil {
			t.Skip(err)
		}
		body(t, e)
	})
}

// onePython runs body on the engine made for tests with this machine's Python, and
// without that in the image: what it is about is the script's and the interpreter's.
// The environment may name an image that has another Python.
func onePython(t *testing.T, body func(t *testing.T, e enginetest.Target)) {
	if image := os.Getenv("TOXRUN_TEST_PYTHON_IMAGE"); image != "" {
		t.Run("real", func(t *testing.T) { body(t, enginetest.Real(t, image)) })
		return
	}
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		t.Run("fake", func(t *testing.T) { body(t, enginetest.Fake(t, enginetest.Container{})) })
		return
	}
	t.Run("real-debian", func(t *testing.T) { body(t, enginetest.Real(t, "toxrun-test:debian")) })
}

// A scripts is a directory in a container with console scripts and the module
// witness, for the preload of theirs.
type scripts struct {
	enginetest.Target
	dir string
}

func newScripts(t *testing.T, e enginetest.Target) scripts {
	s := scripts{e, strings.TrimSpace(e.Exec(t, "mktemp", "-d"))}
	t.Cleanup(func() { e.Exec(t, "rm", "-rf", s.dir) })
	s.write(t, "witness.py", `version = 1
import logging, multiprocessing.process
logging._startTime *= 0 # long ago
multiprocessing.process.ORIGINAL_DIR = '/elsewhere'
`)
	return s
}

// python is the interpreter of the scripts, /usr/bin/python3 unless the environment
// names one of another version, for the fake engine.
var python = cmp.Or(os.Getenv("TOXRUN_TEST_PYTHON"), "/usr/bin/python3")

func (s scripts) write(t *testing.T, name, text string) {
	t.Helper()
	s.Exec(t, "sh", "-c", `printf %s "$2" >"$1"; chmod 755 "$1"`, "sh", path.Join(s.dir, name), text)
}

// script makes a console script that notes whether its modules were imported before.
func (s scripts) script(t *testing.T, first, body string) {
	s.write(t, "script", "#!"+first+"\n"+s.notes("witness", "tabnanny")+body)
}

// notes is a line of Python that notes whether any of these modules is in the stash that
// preload/stash.py has put behind importlib.
func (s scripts) notes(modules ...string) string {
	return fmt.Sprintf("import sys; __name__ == '__main__' and open(%q, 'a').write((lambda find: any(hasattr(c.cell_contents, 'kept') and {'%s'} & set(c.cell_contents.kept) for c in getattr(getattr(find, '__func__', None), '__closure__', None) or ()) and 'spare ' or 'plain ')(sys.modules['_frozen_importlib_external'].PathFinder.find_spec))\n",
		s.dir+"/seen", strings.Join(modules, "', '"))
}

// seen checks what the runs of the script have noted.
func (s scripts) seen(t *testing.T, what, want string) {
	t.Helper()
	if got := s.Exec(t, "cat", s.dir+"/seen"); got != want {
		t.Errorf("%s: runs %q, want %q", what, got, want)
	}
	s.Exec(t, "rm", s.dir+"/seen")
}

// command is a Cmd for the script, with witness as its preload.
func (s scripts) command(args ...string) *execproxy.Cmd {
	c := execproxy.Command(s.Client, s.Container, append([]string{s.dir + "/script"}, args...)...)
	c.Preload = []string{"witness"}
	return c
}

// interpreter is spare for one that is to be an interpreter.
func interpreter(t *testing.T, c *execproxy.Cmd) *execproxy.Cmd {
	t.Helper()
	if spare(t, c); !c.Spare.Python || c.Spare.Plain != "" {
		t.Fatalf("the spare is a shell: %s", c.Spare.Plain)
	}
	return c
}

// An outcome is all that a user sees of a run.
type outcome struct{ stdout, stderr, err string }

func run(t *testing.T, c *execproxy.Cmd) outcome {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run(t.Context())
	return outcome{stdout.String(), stderr.String(), fmt.Sprint(err)}
}

// same runs what make makes, plainly and in a spare that was prepared in another
// directory, and compares.
func same(t *testing.T, what string, make func() *execproxy.Cmd) outcome {
	t.Helper()
	plain := run(t, make())
	c := make()
	dir := c.Dir
	c.Dir = ""
	interpreter(t, c)
	c.Dir = dir
	compare(t, what, run(t, c), plain)
	return plain
}

// address is where an object is, which no two runs have alike.
var address = regexp.MustCompile("0x[0-9a-f]+")

func compare(t *testing.T, what string, woken, plain outcome) {
	t.Helper()
	got, want := address.ReplaceAllString(fmt.Sprintf("%+q", woken), "0x"), address.ReplaceAllString(fmt.Sprintf("%+q", plain), "0x")
	if got == want {
		return
	}
	from := 0
	for from < min(len(got), len(want)) && got[from] == want[from] {
		from++
	}
	from = max(0, from-100)
	t.Errorf("%s: with a spare ... %.500s\nwithout ... %.500s", what, got[from:], want[from:])
}

// everything is a script that tells what surrounds it.
const everything = `
import os
names = {k: v for k, v in vars().items() if k[:2] == '__'}
names['__loader__'] = names['__loader__'].name, names['__loader__'].path, type(names['__loader__'])
print(names, list(vars()))
print(sys.argv, getattr(sys, 'orig_argv', 0), sys.path, sys.flags, sys.warnoptions, sys._xoptions, sys.executable)
print(os.getcwd(), sorted((k, v) for k, v in os.environ.items() if k != 'TOXRUN_RUN'))
print(sys.modules['__main__'].__dict__ is globals(), sys.excepthook is sys.__excepthook__, sys.stdin.encoding, sys.stdout)
import signal, resource
print([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGALRM)], signal.pthread_sigmask(0, []), signal.alarm(0))
os.system('sort -z /proc/self/environ | tr "\\0" "\\n" | grep -v TOXRUN_RUN; ls /proc/self/fd; echo $PPID >/dev/null')
`

var bodies = map[string]string{
	"surroundings": everything,
	"exit 3":       "sys.exit(3)",
	"exit text":    "print('out'); sys.exit('text')",
	"exit None":    "sys.exit()",
	"chain": `
def f():
    try:
        {}['key']
    except KeyError as e:
        raise ValueError('two\nlines') from e
try:
    f()
except ValueError:
    import no_such_module
`,
	"traceback of one frame": "raise ValueError",
	"error in exec":          "exec('1/0')",
	"interrupt":              "import os, signal; print('out'); os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)",
	"terminate":              "import os, signal; sys.stdout.flush(); os.kill(os.getpid(), signal.SIGTERM); import time; time.sleep(9)",
	"stdin":                  "print(sys.stdin.readline()); sys.stdout.flush(); import os; os.system('cat')",
	"stdin bytes":            "import os; print(os.read(0, 2)); sys.stdout.flush(); os.execvp('cat', ['cat'])",
	"atexit":                 "import atexit; atexit.register(print, 'at exit', flush=True); atexit.register(lambda: print(sys.exc_info(), getattr(sys, 'last_value', None), sys.excepthook)); print('out', file=sys.stderr); 1/0",
	"last traceback":         "import atexit; atexit.register(lambda: print(sys.last_traceback.tb_frame.f_code.co_filename, sys.last_traceback.tb_next)); 1/0",
	"excepthook":             "sys.excepthook = lambda kind, value, tb: print('hook', kind, value, tb.tb_frame.f_code.co_name, tb.tb_next, value.__traceback__ is tb); 1/0",
	"error in excepthook":    "def hook(*_): 2/0\n\nif sys.version_info >= (3, 11): sys.excepthook = hook\n1/0",
	"os._exit":               "import os; print('lost'); os._exit(4)",
	"threads": `
import threading
said = threading.Event()
def f():
    said.wait(); print('thread'); raise ValueError
threading.Thread(target=f, name='name').start(); print('main'); said.set()`,
	"spawn": `
import multiprocessing, os
def f(q): q.put((__name__, os.getcwd(), sys.argv, sys.path))
if __name__ == '__main__':
    multiprocessing.set_start_method('spawn'); q = multiprocessing.Queue()
    p = multiprocessing.Process(target=f, args=(q,)); p.start(); print(q.get()); p.join(); print(p.exitcode, multiprocessing.process.ORIGINAL_DIR)`,
	"warnings":    "import warnings; warnings.warn('careful'); import sys as s, os; assert 1, 'x'\nwarnings.warn('old', DeprecationWarning)",
	"logging":     "import logging, time; logging.basicConfig(format='%(levelname)s'); logging.warning('w'); print(time.time() - logging._startTime < 1 or time.time_ns() - logging._startTime < 10**9)",
	"main":        "import __main__, pickle\nclass C: pass\nprint(__main__.__file__, type(pickle.loads(pickle.dumps(C()))), hasattr(__main__, 'own'))",
	"source":      "import inspect, traceback\ndef f(): pass\nprint(inspect.getsource(f), inspect.getfile(f))\ntry: 1/0\nexcept Exception: traceback.print_exc()",
	"cookie":      "# é\nprint(ascii('é'))",
	"child":       "import subprocess; subprocess.call([sys.executable, '-c', 'import sys; print(sys.flags, sys.path)']); subprocess.call('yes | head -1', shell=True)",
	"annotations": "x: int = 1\nprint(globals().get('__annotations__'))",
	"names":       "print([n for n in ('own', 'script', 'sys', 'os', 'exec') if n in globals()])\nsys = own = exec = None",
	"big output":  "print('x' * 300000, end='')",
}

func TestPreloadedScriptIsLikeAnyOther(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, e enginetest.Target) {
		s := newScripts(t, e)
		for name, body := range bodies {
			s.script(t, python, body)
			same(t, name, func() *execproxy.Cmd {
				c := s.command("", "a b\n'\"\\$HOME", "é", strings.Repeat("x\n", 60_000))
				c.Dir, c.Env = "/tmp", []string{"A=a b\nc", "B=", "PWD=/mine", "PYTHONWARNINGS=default"}
				c.Stdin = strings.NewReader("line\nrest\x00\xff")
				return c
			})
			s.seen(t, name, "plain spare ")
		}
	})
}

// So it is at a terminal, which is in the mode, and of the size, that it always has.
func TestPreloadedScriptAtATerminal(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, e enginetest.Target) {
		s := newScripts(t, e)
		s.script(t, python, everything+`
import os, termios, readline
print([a for a in termios.tcgetattr(0)], os.get_terminal_size(), [os.isatty(n) for n in range(3)], os.tcgetpgrp(0) == os.getpid() == os.getsid(0))
sys.exit(7)
`)
		same(t, "terminal", func() *execproxy.Cmd {
			c := s.command("arg", "é\n")
			c.Dir, c.Env = "/tmp", []string{"A=a b", "TERM=vt220"}
			c.TTY, c.Size = true, execproxy.Size{Rows: 40, Columns: 120}
			return c
		})
		s.seen(t, "terminal", "plain spare ")
	})
}

// Whatever way the first line names the interpreter, and with whatever flags.
func TestPreloadTakesTheInterpreterOfTheScript(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newScripts(t, e)
		s.Exec(t, "ln", "-s", python, s.dir+"/python 3")
		s.Exec(t, "ln", "-s", python, s.dir+"/python3")
		for _, first := range []string{
			"/usr/bin/env python3", "/usr/bin/env -S python3 -s", " " + python + " -I", python + " -sE ", python + " -bb", python + " -Werror", python + "\t-uO",
			"/bin/sh\n'''exec' \"" + s.dir + "/python 3\" -E \"$0\" \"$@\"\n' '''",
			"/bin/sh\n'''exec' " + python + " \"$0\" \"$@\"\n' '''",
		} {
			s.script(t, first, everything)
			same(t, first, func() *execproxy.Cmd {
				c := s.command("arg")
				c.Args[0] = "script"
				c.Dir = "/usr"
				c.Env = []string{"PATH=" + s.dir + ":/usr/bin:/bin"}
				c.Preload = []string{"tabnanny"}
				return c
			})
			s.seen(t, first, "plain spare ")
		}
	})
}

// A spare becomes whatever it is told.
func TestInterpreterBecomesAnyCommand(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newScripts(t, e)
		s.script(t, python, everything+"print(sys.stdin.read(), signal.getsignal(signal.SIGPIPE))")
		s.write(t, "no-program", "echo never")
		s.write(t, "no-interpreter", "#!/no/such/interpreter\n")
		for name, test := range map[string]struct {
			change func(*execproxy.Cmd)
			seen   string
		}{
			"same":             {func(c *execproxy.Cmd) {}, "plain spare "},
			"nothing on stdin": {func(c *execproxy.Cmd) { c.Stdin = nil }, "plain spare "},
			"changed files":    {func(c *execproxy.Cmd) { c.Env = append(c.Env, "TOXRUN_CHANGED=a.py") }, "plain spare "},
			"order":            {func(c *execproxy.Cmd) { c.Env = []string{"B=b", "A=x", "PYTHONPATH=rel", "A=a"} }, "plain plain "},
			"last wins":        {func(c *execproxy.Cmd) { c.Env = []string{"B=b", "A=x", "HOME=/nowhere", "A=a"} }, "plain spare "},
			"relative path":    {func(c *execproxy.Cmd) { c.Dir = "/usr" }, "plain plain "},
			"directory":        {func(c *execproxy.Cmd) { c.Dir = "/usr" }, "plain spare "},
			"variable":         {func(c *execproxy.Cmd) { c.Env = append(c.Env, "FORCE_COLOR=1") }, "plain plain "},
			"other value":      {func(c *execproxy.Cmd) { c.Env = append(c.Env, "A=other") }, "plain plain "},
			"no variable":      {func(c *execproxy.Cmd) { c.Env = nil }, "plain plain "},
			"odd variable":     {func(c *execproxy.Cmd) { c.Env = append(c.Env, "a.b=c", "IFS=x", "_=y") }, "plain plain "},
			"locale":           {func(c *execproxy.Cmd) { c.Env = append(c.Env, "LC_ALL=C") }, "plain plain "},
			"without PATH":     {func(c *execproxy.Cmd) { c.Env = append(c.Env, "PATH") }, "plain plain "},
			"program": {func(c *execproxy.Cmd) {
				c.Args = []string{"sh", "-c", `env | grep -v TOXRUN_RUN | sort; pwd; cat; kill -PIPE $$`}
			}, ""},
			"missing":           {func(c *execproxy.Cmd) { c.Args[0] = "no-such-program" }, ""},
			"directory to run":  {func(c *execproxy.Cmd) { c.Args[0] = "/usr" }, ""},
			"no program":        {func(c *execproxy.Cmd) { c.Args[0] = s.dir + "/no-program" }, ""},
			"no interpreter":    {func(c *execproxy.Cmd) { c.Args[0] = s.dir + "/no-interpreter" }, ""},
			"missing directory": {func(c *execproxy.Cmd) { c.Dir = "/no/such/dir" }, ""},
			"long argument":     {func(c *execproxy.Cmd) { c.Args[1] = strings.Repeat("x", 131071) }, "plain spare "},
			"too long argument": {func(c *execproxy.Cmd) { c.Args[1] = strings.Repeat("x", 131072) }, ""},
		} {
			make := func() *execproxy.Cmd {
				c := s.command("arg")
				c.Env = []string{"A=a", "B=b", "HOME=/nowhere"}
				if name == "relative path" {
					c.Env = []string{"PYTHONPATH=rel"}
				}
				c.Stdin = strings.NewReader("in")
				return c
			}
			plain := make()
			test.change(plain)
			want := run(t, plain)
			woken := interpreter(t, make())
			test.change(woken)
			compare(t, name, run(t, woken), want)
			if test.seen != "" {
				s.seen(t, name, test.seen)
			}
		}
	})
}

// What has changed since the import is imported anew.
func TestChangeAfterTheImportIsSeen(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		for name, test := range map[string]struct {
			file, text, want string
		}{
			"module":           {"witness.py", "version = 2\n", "plain version 2\n"},
			"same size":        {"witness.py", "version = 9\n", "plain version 9\n"},
			"package":          {"witness/__init__.py", "version = 3\n", "spare version 3\n"},
			"new module first": {"json.py", "raise SystemExit('mine')", ""},
			"nothing of it":    {".script.swp", "", "spare version 1\n"},
			"same names":       {"other", "", "spare version 1\n"},
			"script":           {"script", "#!" + python + "\nprint('new')", "new\n"},
		} {
			s := newScripts(t, e)
			s.write(t, "other", "")
			s.script(t, python, "import witness\nprint(open("+fmt.Sprintf("%q", s.dir+"/seen")+").read() + 'version', witness.version)\nimport json, fractions")
			command := func() *execproxy.Cmd {
				c := s.command()
				c.Env = []string{"PYTHONDONTWRITEBYTECODE=1"} // a .pyc knows its source by the second
				return c
			}
			c := interpreter(t, command())
			s.Exec(t, "mkdir", "-p", path.Dir(path.Join(s.dir, test.file)))
			s.write(t, test.file+".new", test.text)
			s.Exec(t, "mv", path.Join(s.dir, test.file+".new"), path.Join(s.dir, test.file))
			woken := run(t, c)
			if test.want != "" && woken.stdout != test.want {
				t.Errorf("%s: %+q, want %q", name, woken, test.want)
			}
			s.Exec(t, "rm", "-f", s.dir+"/seen")
			if plain := run(t, command()); strings.Replace(plain.stdout, "plain", "spare", 1) != strings.Replace(woken.stdout, "plain", "spare", 1) || plain.err != woken.err {
				t.Errorf("%s: %+q, without a spare %+q", name, woken, plain)
			}
		}
	})
}

// Where the import can't be made beforehand, the spare is a shell and says why.
func TestPreloadThatCannotBeIsAPlainSpare(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newScripts(t, e)
		for name, text := range map[string]string{
			"prints": "print('hello')", "prints_bytes": "import os; os.write(1, b'x')",
			"fails": `raise ValueError('bad\nline')`, "exits": "import sys; sys.exit(3)", "dies": "import os; os._exit(3)",
			"hangs": "import time, signal; signal.alarm(1); time.sleep(600)", "reads": "input()",
		} {
			s.write(t, name+".py", text)
		}
		s.Exec(t, "mkdir", s.dir+"/compiled")
		s.write(t, "compiled/__init__.py", "import warnings, os, importlib\nwarnings.resetwarnings()\n"+
			"[importlib.import_module('compiled.' + f.partition('.')[0]) for f in os.listdir(os.path.dirname(__file__)) if f.endswith('.so')]")
		s.Exec(t, python, "-c", "import shutil, sys\nfrom importlib.util import find_spec as find\n"+
			"shutil.copy(next(find(n).origin for n in ('_json', '_bz2', '_ctypes') if find(n) and find(n).origin.endswith('.so')), sys.argv[1])", s.dir+"/compiled")
		for name, test := range map[string]struct {
			first, body string
			change      func(*execproxy.Cmd)
			why         string
		}{
			"prints":       {python, "", func(c *execproxy.Cmd) { c.Preload = []string{"prints"} }, `^it prints "hello"$`},
			"prints bytes": {python, "", func(c *execproxy.Cmd) { c.Preload = []string{"prints_bytes"} }, `^it prints "x"$`},
			"fails":        {python, "", func(c *execproxy.Cmd) { c.Preload = []string{"fails"} }, `^import fails: ValueError: bad line$`},
			"exits":        {python, "", func(c *execproxy.Cmd) { c.Preload = []string{"exits"} }, `^import exits: SystemExit: 3$`},
			"dies":         {python, "", func(c *execproxy.Cmd) { c.Preload = []string{"dies"} }, `^it ended with exit status 3$`},
			"hangs":        {python, "", func(c *execproxy.Cmd) { c.Preload = []string{"hangs"} }, `^the import takes too long$`},
			"compiled":     {python, "import compiled", func(c *execproxy.Cmd) { c.Preload = []string{"compiled"} }, `^module compiled\._\w+ can't be imported beforehand: needs:compiled$`},
			"no module":    {python, "", func(c *execproxy.Cmd) { c.Preload = []string{"no.such"} }, `^import no.such: ModuleNotFoundError: No module named 'no'$`},
			"not a name":   {python, "", func(c *execproxy.Cmd) { c.Preload = []string{"'"} }, `^import ': ModuleNotFoundError: `},
			"project":      {python, "", func(c *execproxy.Cmd) { c.Sources = []string{"/nowhere", s.dir} }, `^module witness is the project's own: .*/witness.py$`},
			"shell":        {"/bin/sh", "echo", func(c *execproxy.Cmd) {}, `/script is not a Python script$`},
			"shell by env": {"/usr/bin/env sh", "echo", func(c *execproxy.Cmd) {}, `/script is not a Python script$`},
			"module flag":  {python + " -mwitness", "", func(c *execproxy.Cmd) {}, `/script is not a Python script$`},
			"syntax":       {python, "1 +", func(c *execproxy.Cmd) {}, `^.*/script: SyntaxError: invalid syntax`},
			"careless":     {python + " -Wd", `'\d'`, func(c *execproxy.Cmd) {}, `^it prints `},
			"no program":   {python, "", func(c *execproxy.Cmd) { c.Args[0] = "no-such-program" }, `^no-such-program: not found$`},
			"binary":       {python, "", func(c *execproxy.Cmd) { c.Args[0] = "sleep"; c.Args = append(c.Args, "0") }, `/sleep is not a Python script$`},
			"odd variable": {python, "", func(c *execproxy.Cmd) { c.Env = []string{"a.b=c"} }, `^no shell can set the variable a.b$`},
			"broken":       {"/usr/bin/env python4", "", func(c *execproxy.Cmd) {}, `^it prints ".*python4.*No such file or directory"$`},
		} {
			s.write(t, "script", "#!"+test.first+"\n"+test.body+"\n")
			make := func() *execproxy.Cmd {
				c := s.command()
				test.change(c)
				return c
			}
			plain := run(t, make())
			c := spare(t, make())
			if c.Spare.Python || !regexp.MustCompile(test.why).MatchString(c.Spare.Plain) {
				t.Errorf("%s: the spare's reason to be a shell is %q, want %q", name, c.Spare.Plain, test.why)
			}
			compare(t, name, run(t, c), plain)
		}
	})
}

func TestProjectItselfIsWhatTheScriptIs(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, e enginetest.Target) {
		s := newScripts(t, e)
		s.script(t, python, "")
		s.Exec(t, "mkdir", "-p", s.dir+"/lib/site-packages")
		s.write(t, "lib/site-packages/installed.py", "")
		c := s.command()
		c.Sources = []string{s.dir}
		c.Preload = []string{"installed"}
		c.Env = []string{"PYTHONPATH=" + s.dir + "/lib/site-packages"}
		interpreter(t, c)
	})
}

func TestInterpreterEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, e enginetest.Target) {
		s := newScripts(t, e)
		s.write(t, "witness.py", "import atexit; atexit.register(open, "+fmt.Sprintf("%q", s.dir+"/seen")+", 'w')")
		s.script(t, python, "")
		c := interpreter(t, s.command())
		if len(e.Processes(t, c.Spare.Token)) != 1 {
			t.Fatal("there is no process that waits")
		}
		c.Spare.Close()
		for deadline := enginetest.Deadline(t); len(e.Processes(t, c.Spare.Token)) > 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the process that waits is left")
			}
		}
		if left := e.Exec(t, "ls", s.dir); strings.Contains(left, "seen") {
			t.Error("the end of a spare is the end of a script")
		}
	})
}

// What the keeper of a spare hands on is all that it takes.
func TestInterpreterIsWokenByAnotherProcess(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	s := newScripts(t, e)
	s.script(t, python, "print(sys.argv)")
	c := s.command("arg")
	c.Env = []string{"A=a"}
	kept := *interpreter(t, c).Spare
	conn := kept.Conn
	kept.Conn = nil
	text, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	c.Spare = &execproxy.Spare{}
	if err := json.Unmarshal(text, c.Spare); err != nil {
		t.Fatal(err)
	}
	c.Spare.Conn = conn
	run(t, c)
	s.seen(t, "handed on", "spare ")
}

func TestSignalReachesAScriptInASpare(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, e enginetest.Target) {
		s := newScripts(t, e)
		s.script(t, python, "print('ready', flush=True)\nimport time\ntime.sleep(60)")
		for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			ends := func(c *execproxy.Cmd) outcome {
				var stderr bytes.Buffer
				c.Stderr = &stderr
				s := start(t, c)
				s.signals <- sig
				err := <-s.done
				return outcome{"", stderr.String(), fmt.Sprint(err)}
			}
			plain := ends(s.command())
			compare(t, sig.String(), ends(interpreter(t, s.command())), plain)
			s.seen(t, sig.String(), "plain spare ")
		}
	})
}

// What two runs need not have in common: times, and what the system numbers.
var took = regexp.MustCompile(`\d+\.\d+ ?s(econds)?|pid \d+|0x[0-9a-f]+`)

// The programs that it is for.
func TestPreloadedToolsAreLikeAnyOther(t *testing.T) {
	t.Parallel()
	e := enginetest.Real(t, "toxrun-test:debian")
	s := newScripts(t, e)
	s.write(t, "test_it.py", "def test_good(): pass\ndef test_bad(capsys):\n    print('out')\n    x = [1]\n    assert x == [2]\n")
	s.write(t, "tox.ini", "[tox]\nskipsdist = true\n[testenv:none]\nskip_install = true\ncommands = true\n")
	for _, test := range []struct {
		preload string
		args    []string
		status  string
	}{
		{"tox", []string{"tox", "--version"}, "<nil>"},
		{"tox", []string{"tox", "-a", "-v"}, "<nil>"},
		{"tox", []string{"tox", "--hashseed", "1", "--showconfig"}, "<nil>"},
		{"tox", []string{"tox", "-c", "/no/such/tox.ini"}, "exit status (1|254)"}, // of tox 3, of tox 4
		{"pytest", []string{"pytest", "--version"}, "<nil>"},
		{"pytest", []string{"pytest", "-p", "no:cacheprovider", "-v"}, "exit status 1"},
		{"pytest", []string{"pytest", "--no-such-option"}, "exit status 4"},
		{"pytest", []string{"python3", "-m", "pytest", "-p", "no:cacheprovider", "-W", "error"}, "exit status 1"},
	} {
		command := func() *execproxy.Cmd {
			c := execproxy.Command(e.Client, e.Container, test.args...)
			c.Dir, c.Env, c.Sources = s.dir, []string{"PYTHONUNBUFFERED=1", "PYTHONHASHSEED=1"}, []string{s.dir}
			return c
		}
		outcome := func(c *execproxy.Cmd) outcome {
			o := run(t, c)
			o.stdout, o.stderr = took.ReplaceAllString(o.stdout, "TIME"), took.ReplaceAllString(o.stderr, "TIME")
			return o
		}
		named, first, second := command(), command(), command()
		named.Preload, first.Learn = []string{test.preload}, new(execproxy.Lesson)
		what, plain := strings.Join(test.args, " "), outcome(command())
		compare(t, what+", named", outcome(interpreter(t, named)), plain)
		compare(t, what+", first", outcome(interpreter(t, first)), plain)
		second.Learn = &execproxy.Lesson{Known: first.Spare.Known, Run: first.Spare.Token}
		if interpreter(t, second); second.Spare.Modules == 0 {
			t.Errorf("%s: nothing was learned: %s", what, second.Spare.Known)
		}
		compare(t, what+", learned", outcome(second), plain)
		if !regexp.MustCompile("^" + test.status + "$").MatchString(plain.err) {
			t.Errorf("%s: %+q", what, plain)
		}
	}
}

// pytest rewrites modules that their plugin has named, and warns of one that it can't: also where
// the run before it did not, so that they are imported beforehand.
func TestModulesThatPytestRewritesAreRewritten(t *testing.T) {
	t.Parallel()
	e := enginetest.Real(t, "toxrun-test:debian")
	s := newScripts(t, e)
	s.Exec(t, "mkdir", "-p", s.dir+"/lib/site-packages/plug-1.dist-info")
	for file, text := range map[string]string{
		"plug.py":                           "import pytest, plug_late\npytest.register_assert_rewrite('plug_late', 'plug_asked')\n",
		"plug_late.py":                      "def check(x): assert x == [2]\n",
		"plug_asked.py":                     "def check(x): assert x == [3]\n",
		"plug_marked.py":                    "def check(x): assert x == [4]\n",
		"plug_user.py":                      "import plug_marked\n",
		"plug-1.dist-info/METADATA":         "Metadata-Version: 2.1\nName: plug\nVersion: 1\n",
		"plug-1.dist-info/RECORD":           "plug.py,,\nplug_marked.py,,\n",
		"plug-1.dist-info/entry_points.txt": "[pytest11]\nplug = plug\n",
	} {
		s.write(t, "lib/site-packages/"+file, text)
	}
	s.write(t, "test_plug.py", "import plug_late, plug_asked, pytest\nfrom plug_user import plug_marked\n@pytest.mark.parametrize('by', [plug_late, plug_asked, plug_marked])\ndef test_it(by): by.check([1])\n")
	lesson := new(execproxy.Lesson)
	command := func(args ...string) *execproxy.Cmd {
		c := execproxy.Command(e.Client, e.Container, append([]string{"pytest", "-p", "no:cacheprovider"}, args...)...)
		c.Dir, c.Env, c.Sources, c.Learn = s.dir, []string{"PYTHONHASHSEED=1", "PYTHONPATH=" + s.dir + "/lib/site-packages"}, []string{s.dir}, lesson
		return c
	}
	outcome := func(c *execproxy.Cmd) outcome {
		o := run(t, c)
		o.stdout = took.ReplaceAllString(o.stdout, "TIME")
		return o
	}
	plain := outcome(command())
	for _, part := range []string{"already imported so cannot be rewritten: plug_late", "assert [1] == [3]", "assert [1] == [4]"} {
		if !strings.Contains(plain.stdout, part) {
			t.Fatalf("%q is not in %s", part, plain.stdout)
		}
	}
	first := interpreter(t, command("--assert=plain"))
	outcome(first)
	lesson = &execproxy.Lesson{Known: first.Spare.Known, Run: first.Spare.Token}
	second := interpreter(t, command())
	for _, name := range []string{"plug_late", "plug_asked", "plug_marked", "plug_user"} {
		if !slices.Contains(strings.Fields(second.Spare.Known), name) {
			t.Errorf("%s is not imported beforehand: %s", name, second.Spare.Known)
		}
	}
	compare(t, "learned", outcome(second), plain)
}
