//go:build unix

package execproxy_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// A school is a script whose runs teach, with modules below a site-packages.
type school struct {
	scripts
	lesson execproxy.Lesson
}

func newSchool(t *testing.T, e enginetest.Target, modules map[string]string) *school {
	s := &school{scripts: newScripts(t, e)}
	for name, text := range modules {
		s.Exec(t, "mkdir", "-p", path.Dir(path.Join(s.dir, "lib/site-packages", name)))
		s.write(t, "lib/site-packages/"+name+".py", text)
	}
	return s
}

// command is a Cmd for the script that learns.
func (s *school) command(args ...string) *execproxy.Cmd {
	c := execproxy.Command(s.Client, s.Container, append([]string{s.dir + "/script"}, args...)...)
	lesson := s.lesson
	c.Learn, c.Sources, c.Dir = &lesson, []string{s.dir}, s.dir
	c.Env = []string{"PYTHONPATH=" + s.dir + "/lib/site-packages", "PYTHONDONTWRITEBYTECODE=1"}
	return c
}

// teach runs c, and returns the spare that comes after it, in which c2 runs.
func (s *school) teach(t *testing.T, c, c2 *execproxy.Cmd) *execproxy.Cmd {
	t.Helper()
	interpreter(t, c)
	run(t, c)
	if !c.Spare.Woken {
		t.Fatal("the run was none of the spare's")
	}
	s.lesson = execproxy.Lesson{Known: c.Spare.Known, Run: c.Spare.Token}
	lesson := s.lesson
	c2.Learn = &lesson
	interpreter(t, c2)
	if left := s.Exec(t, "sh", "-c", "ls /dev/shm | grep -c "+c.Spare.Token+" || true"); strings.TrimSpace(left) != "0" {
		t.Error("the names that the run has left are still there")
	}
	s.lesson = execproxy.Lesson{Known: c2.Spare.Known}
	return c2
}

// Each module is one that a run could tell from one that is imported now, with the reason
// for which it is not imported beforehand; none: it is, and does then what it does.
var traps = map[string]struct{ text, why string }{
	"plain":            {"import json, fractions, logging\nclass C: pass", ""},
	"warns":            {"import warnings; warnings.warn('careful', DeprecationWarning)", ""},
	"warns_outside":    {"import warnings; warnings.warn('careful', DeprecationWarning, stacklevel=2)", "warns"},
	"warns_inside":     {"import warnings\ndef f(): warnings.warn('old', FutureWarning, stacklevel=2)\nf()", ""},
	"filters":          {"import warnings; warnings.filterwarnings('ignore', message='this'); warnings.simplefilter('always', UserWarning, append=True)", ""},
	"no_filters":       {"import warnings; warnings.resetwarnings()", "warnings"},
	"catches":          {"import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n    import warns", ""},
	"shows":            {"import warnings; warnings.showwarning = print", "warnings"},
	"argv":             {"import sys; name = sys.argv[0]", "argv"},
	"argv_list":        {"import sys; copy = list(sys.argv)", "argv"},
	"clock":            {"import time; start = time.time()", "clock"},
	"clock_inside":     {"import time\ndef f(): return time.monotonic()\nf()", "clock"},
	"today":            {"import datetime; year = datetime.date.today().year", "clock"},
	"cwd":              {"import os; cwd = os.getcwd()", "directory"},
	"home":             {"import os; home = os.environ.get('HOME')", ""},
	"changed":          {"import os; changed = os.environ.get('TOXRUN_CHANGED')", "environment"},
	"variables":        {"import os; copy = dict(os.environ)", "environment"},
	"sets":             {"import os; os.environ['SET'] = 'x'", "environment"},
	"sets_for_now":     {"import os; os.environ['SET2'] = 'x'; import home; del os.environ['SET2']", ""},
	"threads":          {"import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "threads"},
	"socket_open":      {"import socket; s = socket.socket()", "opens"},
	"socket_closed":    {"import socket; socket.socket(socket.AF_INET6 if 0 else socket.AF_INET).close()", ""},
	"connects":         {"import socket\ns = socket.socket(socket.AF_UNIX)\ntry: s.connect('/no/such')\nexcept OSError: pass\ns.close()", "socket"},
	"opens":            {"import os; f = os.open('/dev/null', 0)", "opens"},
	"writes":           {"open('/dev/null', 'w').close()", "files"},
	"makes":            {"import os\ntry: os.mkdir('/')\nexcept OSError: pass", "files"},
	"proc":             {"open('/proc/self/stat').close()", "files"},
	"projects":         {"import os; there = os.path.exists(os.path.join(os.path.dirname(__file__), '../../witness.py'))", "files"},
	"data":             {"text = open(__file__ + '.txt').read()", ""},
	"logs_now":         {"import logging; logging.getLogger('now').info('loaded')", "logs"},
	"quiet":            {"import logging, logs; logs.log.setLevel(logging.ERROR)", "logging"},
	"strftime":         {"import time; now = time.strftime('%H:%M:%S')", "clock"},
	"own_now":          {"import datetime\nclass D(datetime.datetime): pass\nnow = D.now()", "clock"},
	"raises_warning":   {"import warnings; warnings.warn('x', DeprecationWarning)", "warns"},
	"warns_as_error":   {"import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('error')\n    try: import raises_warning\n    except DeprecationWarning: print('raised')", "needs:raises_warning"},
	"holder/__init__":  {"version = '1.0'", ""},
	"holder/version":   {"x = 1", "attribute"},
	"at_exit":          {"import atexit; atexit.register(print, 'at exit of a library')", ""},
	"at_exit_late":     {"import atexit\ndef f(): atexit.register(print, 'late')\nf()", "atexit"},
	"at_exit_kept":     {"from atexit import register\nregister(print, 'kept')", "atexit"},
	"finalizes":        {"import weakref\nclass C: pass\nc = C()\nweakref.finalize(c, print, 'finalized')", ""},
	"signals":          {"import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN)", "signals"},
	"locale_set":       {"import locale; locale.setlocale(locale.LC_ALL, 'C')", "locale"},
	"seeds":            {"import random; random.seed(1)", "random"},
	"own_random":       {"import random; random.Random(1)", ""},
	"prints":           {"print('from a library')", "prints"},
	"prints_bytes":     {"import os; os.write(2, b'x')", "prints"},
	"path_first":       {"import sys; sys.path.insert(0, '/nowhere')", "path"},
	"finder_last":      {"import sys\nclass F:\n    def find_spec(*_): pass\nsys.meta_path.append(F())", ""},
	"finder_first":     {"import sys\nclass F:\n    def find_spec(*_): pass\nsys.meta_path.insert(0, F())", "finders"},
	"hooks":            {"import sys\nsys.excepthook = lambda *e: sys.__excepthook__(*e)", "sys.excepthook"},
	"recursion":        {"import sys; sys.setrecursionlimit(2000)", "interpreter"},
	"collector":        {"import gc; gc.set_threshold(800)", "interpreter"},
	"builtin":          {"import builtins; builtins.added = 1", "builtins"},
	"precision":        {"import decimal; decimal.getcontext().prec = 7", "decimal"},
	"runs":             {"import subprocess; subprocess.call('true')", "subprocess"},
	"reads_stdin":      {"import sys; sys.stdin.isatty()", "streams"},
	"lazy":             {"import sys\nclass M(type(sys)): pass\nsys.modules[__name__] = M(__name__)\nsys.modules[__name__].value = 1", ""},
	"disguised":        {"import sys\nclass P:\n    __class__ = type(sys)\nsys.modules[__name__] = P()", ""},
	"accuracy":         {"import decimal; decimal.getcontext().prec = 8", "decimal"}, // the first that imports it
	"ahead":            {"import logging; logging.getLogger().setLevel(4)", "logging"},
	"aliases":          {"import sys, plain; sys.modules['other_name'] = plain", ""},
	"streams":          {"import sys\nout = sys.stdout\ndef f(to=sys.stderr): pass\nclass C:\n    def __init__(self): self.to = sys.stderr\nc = C()", ""},
	"streams_closed":   {"import sys\ndef f(to):\n    return lambda: to\ng = f(sys.stdout)", "streams"},
	"source":           {"import inspect\ndef f(): pass\ntext = inspect.getsource(f)", ""},
	"logs":             {"import logging; log = logging.getLogger('a.b.c'); log.addHandler(logging.NullHandler())", ""},
	"logs_no_more":     {"import logging; logging.disable(5)", "logging"},
	"logs_root":        {"import logging; logging.getLogger().setLevel(5)", "logging"},
	"registry":         {"import collections, functools, types\nplugins = []\ndef hook(): pass\nnested = {'of': []}\nby_name = collections.defaultdict(list)\ngroup = types.SimpleNamespace(commands={})\nshow = functools.singledispatch(repr)", ""},
	"registers_nested": {"import registry; registry.nested['of'].append(1)", "changes:registry"},
	"registers_by":     {"import registry; registry.by_name['a'].append(1)", "changes:registry"},
	"registers_group":  {"import registry; registry.group.commands['a'] = 1", "changes:registry"},
	"registers_type":   {"import registry; registry.show.register(int, print)", "changes:registry"},
	"registers":        {"import registry; registry.plugins.append(1)", "changes:registry"},
	"registers_far":    {"import user_of_registry; user_of_registry.add(2)", "changes:registry"},
	"user_of_registry": {"import registry\ndef add(x): registry.plugins.append(x)", ""},
	"patches":          {"import registry; registry.hook = print", "changes:registry"},
	"adapters":         {"import sqlite3; sqlite3.register_adapter(complex, str)", "registers"},
	"line_editing":     {"try: import readline\nexcept ImportError: from sys import argv; argv[0]", "needs:readline"},
	"package/__init__": {"from . import one", ""},
	"package/one":      {"value = 1", ""},
	"package/two":      {"value = 2", ""},
	"needs_clock":      {"import clock", "needs:clock"},
	"tries":            {"try: import no_such_module\nexcept ImportError: pass\ntry: import broken\nexcept ValueError: pass", ""},
	"broken":           {"import colorsys; raise ValueError", ""},
	"terminal":         {"import os\ntry: os.get_terminal_size()\nexcept OSError: pass", "terminal"},
}

// lastly says what a run may see of all that.
const lastly = `
import sys, os, warnings, atexit
print([n for n in sys.modules if n not in ('_locale', 'gc', '_decimal')][-20:], sys.path, sys.meta_path and len(sys.meta_path))
print(warnings.filters[:4], warnings.filters[-2:], atexit._ncallbacks(), sorted(os.environ), __import__, atexit.register)
import finalizes, package, lazy, decimal, signal
print(hasattr(package, 'two'), lazy.value, type(lazy), decimal.getcontext().prec, signal.getsignal(signal.SIGUSR1), package.one.__spec__)
import package.two
print(hasattr(package, 'two'), other_name if 'other_name' in globals() else sys.modules['other_name'], 'colorsys' in sys.modules, 'broken' in sys.modules)
`

func TestLearnedModulesAreLikeAnyOther(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		modules := map[string]string{}
		var imports strings.Builder
		for _, name := range slices.Sorted(maps.Keys(traps)) {
			modules[name] = traps[name].text + "\n"
			switch name {
			case "package/__init__":
				imports.WriteString("import package\n")
			case "holder/__init__":
				imports.WriteString("import holder\nprint(holder.version)\nimport holder.version\n")
			case "holder/version":
			case "broken", "package/one", "package/two", "raises_warning", "shows", "user_of_registry": // by others, or at the end
			default:
				fmt.Fprintf(&imports, "import %s\n", name)
			}
		}
		s := newSchool(t, e, modules)
		s.write(t, "lib/site-packages/data.py.txt", "data")
		s.write(t, "script", "#!"+python+"\n"+s.notes("plain")+imports.String()+lastly+"import shows\n")
		command := func() *execproxy.Cmd {
			c := s.command("arg")
			c.Env = append(c.Env, "PYTHONWARNINGS=default", "TOXRUN_CHANGED=x")
			return c
		}
		plain := run(t, command())
		if plain.err != "<nil>" {
			t.Fatalf("%+q", plain)
		}
		c := s.teach(t, command(), command())
		compare(t, "learned", run(t, c), plain)
		s.seen(t, "learned", "plain plain spare ")
		why := c.Spare.Left()
		for name, trap := range traps {
			name = strings.ReplaceAll(strings.TrimSuffix(name, "/__init__"), "/", ".")
			if name != "broken" && why[name] != trap.why {
				t.Errorf("%s: left out for %q, want %q", name, why[name], trap.why)
			}
		}
		// What is known need not be tried again.
		again := interpreter(t, command())
		compare(t, "again", run(t, again), plain)
		if again.Spare.Modules != c.Spare.Modules {
			t.Errorf("first %d modules, then %d", c.Spare.Modules, again.Spare.Modules)
		}
	})
}

// What a run may do with modules that it has not imported yet.
var uses = map[string]string{
	"nothing":     "print('plain' in sys.modules, 'package' in sys.modules, 'json' in sys.modules)",
	"part":        "import package; print(hasattr(package, 'two'), [n for n in sys.modules if 'package' in n])",
	"other order": "import package.two, other, package; print(package.one.value, other.two is package.two)",
	"shadow":      "sys.path.insert(0, sys.argv[0] + '-mine'); import plain; print(plain)",
	"shadow need": "sys.path.insert(0, sys.argv[0] + '-mine'); import user; print(user.plain)",
	"appears":     "sys.path.insert(0, sys.argv[0] + '-mine'); import tries; print(tries.found)",
	"directory":   "sys.path.insert(0, sys.argv[0] + '-empty'); import plain; print(plain)",
	"none":        "sys.modules['plain'] = None\ntry: import user\nexcept ImportError as e: print(e)",
	"patched":     "import time; time.sleep = print; import sleeps; sleeps.nap()",
	"stub":        "import types; sys.modules['found'] = types.ModuleType('found'); import tries; print(tries.found)",
	"configured":  "import config; config.debug = True; import configured; print(configured.debug)",
	"by name":     "import by_name; print(by_name.f())",
	"replaced":    "sys.modules['plain'] = sys; import user; print(user.plain)",
	"twice":       "import plain; del sys.modules['plain']; old = plain; import plain, user; print(plain is old, user.plain is plain)",
	"reload":      "import importlib, plain; old = plain.C; importlib.reload(plain); print(old is plain.C)",
	"by hand":     "import importlib.util as u; s = u.find_spec('plain'); m = u.module_from_spec(s); s.loader.exec_module(m); print(m, 'plain' in sys.modules, s); import plain; print(plain is m)",
	"c by hand":   "import importlib.util as u; s = u.find_spec('_json'); m = u.module_from_spec(s); s.loader.exec_module(m); print(m, '_json' in sys.modules); import json; print(m.make_encoder)",
	"lazily":      "import importlib.util as u\ns = u.find_spec('plain'); s.loader = u.LazyLoader(s.loader); m = u.module_from_spec(s); sys.modules['plain'] = m; s.loader.exec_module(m); print(m.C)",
	"logger_set":  "import logging\nlogging.getLogger('nativelog').setLevel(50)\nimport nativelog\nprint(nativelog.log.level, nativelog.log.handlers, logging.getLogger('nativelog').handlers)",
	"finder":      "class F:\n    def find_spec(self, name, path, target=None): print('asked for', name)\nsys.meta_path.insert(0, F())\nimport user",
	"takes over":  "import importlib.util as u\nclass F:\n    def find_spec(self, name, path, target=None):\n        if name == 'plain': return u.spec_from_file_location(name, sys.argv[0] + '-mine/plain.py')\nsys.meta_path.insert(0, F())\nimport user; print(user.plain)",
	"trace":       "seen = set()\nsys.settrace(lambda f, e, a: seen.add(f.f_code.co_filename))\nimport other\nsys.settrace(None)\nprint(sorted(f for f in seen if f[0] != '<'))",
	"space":       "import space, builtins; print(space, hasattr(space, 'inner')); import space.inner; print(space.inner.value)",
	"space first": "sys.settrace(lambda f, e, a: None)\nimport space\nsys.settrace(None)\nimport space.inner; print(space.inner.value, sys.modules['space'] is space)",
	"trace of c":  "sys.settrace(lambda f, e, a: None)\nimport decimal, numbers\nprint(isinstance(decimal.Decimal(1), numbers.Number), decimal.Decimal(1) / 3)",
	"errors":      "import warnings; warnings.simplefilter('error')\ntry: import warns\nexcept Warning as e: print('raised', e)\nprint('warns' in sys.modules)",
	"caught":      "import warnings\nwith warnings.catch_warnings(record=True) as w:\n    warnings.simplefilter('always')\n    import warns, filters\nprint([str(x) for x in w], len(warnings.filters))",
	"threads":     "import threading\nt = [threading.Thread(target=__import__, args=(n,)) for n in ('user', 'plain', 'package.two', 'other')]\n[x.start() for x in t]; [x.join() for x in t]\nimport user, plain, other; print(user.plain is plain, other.two.value)",
	"fork":        "import os\np = os.fork()\nif p: print(os.waitpid(p, 0)[1])\nelse:\n    import user; print(user.plain); sys.stdout.flush()",
	"logs":        "import plain, logging, time; print(time.time() - logging._startTime < 1 or time.time_ns() - logging._startTime < 10**9)",
	"resources":   "import pkgutil, plain; print(pkgutil.get_data('package', 'one.py'), plain.__loader__.get_source('plain'), plain.__spec__.loader is plain.__loader__, plain.__file__)",
	"variables":   "import os; os.environ['MODE'] = 'fast'; import by_mode; print(by_mode.mode)",
	"no variable": "import by_mode; print(by_mode.mode)",
	"stream":      "import io; old = sys.stdout; sys.stdout = sys.stderr = io.StringIO(); import streams, plain; print(streams.out is sys.stdout, streams.f.__defaults__[0] is sys.stderr, streams.c.to is sys.stderr, file=old)",
	"loggers":     "import logging; print(list(logging.root.manager.loggerDict)); l = logging.getLogger('a'); import logs; print(list(logging.root.manager.loggerDict), logs.log.parent, logs.log.handlers)",
	"own logger":  "import logging; l = logging.getLogger('a.b.c'); import logs; print(logs.log is l, l.handlers)",
	"no import":   "import builtins\nreal = builtins.__import__\ndef fake(name, *a, **k):\n    if name == 'plain': raise ImportError(name)\n    return real(name, *a, **k)\nbuiltins.__import__ = fake\ntry: import user\nexcept ImportError as e: print('no', e)",
	"blocks":      "class F:\n    def find_spec(self, name, path, target=None):\n        if name == 'found': raise ModuleNotFoundError(name)\nsys.meta_path.insert(0, F())\nimport tries; print(tries.found)",
	"specs":       "import importlib.util as u; print(u.find_spec('math'), u.find_spec('plain').loader.__dict__.keys())",
	"odd modules": "class M:\n    def __getattr__(self, name): return {}[name]\nsys.modules['odd'] = M()\nimport os; os.open = None",
	"stdin":       "print(sys.stdin, sys.stdin.seekable(), sys.stdin.read(), sys.stdin.buffer.raw.name)",
	"fails":       "import user; raise ValueError(user)",
	"exits":       "import at_exit, atexit; atexit.register(print, 'mine'); sys.exit(4)",
}

func TestRunOfOtherImports(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		modules := map[string]string{
			"user":       "import plain",
			"other":      "from package import two",
			"sleeps":     "from time import sleep\ndef nap(): sleep(0.01)",
			"config":     "debug = False",
			"configured": "import config\ndebug = config.debug",
			"by_name":    "import importlib, package\nimportlib.import_module('package.two')\ndef f(): return package.two",
			"by_mode":    "import os\nmode = os.environ.get('MODE')",
			"nativelog":  "import logging, _json\nlog = logging.getLogger(__name__)\nlog.addHandler(logging.NullHandler())",
			"tries":      "try:\n    import found\nexcept ImportError: found = None",
		}
		modules["space/inner"] = "value = 3"
		for _, name := range []string{"plain", "streams", "logs", "warns", "filters", "at_exit", "package/__init__", "package/one", "package/two"} {
			modules[name] = traps[name].text
		}
		s := newSchool(t, e, modules)
		s.Exec(t, "mkdir", "-p", s.dir+"/script-mine", s.dir+"/script-empty/plain")
		s.write(t, "script-mine/plain.py", "mine = True")
		s.write(t, "script-mine/found.py", "")
		all := "import nativelog, user, other, plain, warns, filters, at_exit, tries, package.two, space.inner, by_mode, sleeps, configured, by_name, streams, logs, json, _json, decimal, logging"
		s.write(t, "script", "#!"+python+"\nimport sys\nuses = "+fmt.Sprintf("{'all': %q, ", all)+strings.TrimPrefix(pythonDict(uses), "{")+"\nexec(uses[sys.argv[1]])\n")
		s.teach(t, s.command("all"), s.command("all")).Spare.Close()
		for name := range uses {
			plain := run(t, s.command(name))
			c := interpreter(t, s.command(name))
			if c.Spare.Modules < 20 {
				t.Fatalf("%d modules were learned: %s", c.Spare.Modules, c.Spare.Known)
			}
			compare(t, name, run(t, c), plain)
			if !c.Spare.Woken {
				t.Errorf("%s: it was started plainly", name)
			}
		}
	})
}

// What has looked up a variable that runs set before they import it is theirs. One with a
// part of machine code, which can't be imported twice, is given to the first run that does so.
func TestVariablesThatRunsSetAreLearned(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		library := strings.TrimSpace(e.Exec(t, python, "-c", "from importlib.util import find_spec as find\n"+
			"print(next(n for n in ('_json', '_bz2', '_ctypes') if find(n) and find(n).origin.endswith('.so')))"))
		s := newSchool(t, e, map[string]string{"native": "import os, " + library + "\nmode = os.environ.get('MODE')"})
		s.write(t, "script", "#!"+python+"\nimport os, sys\nif sys.argv[1:]: os.environ['MODE'] = sys.argv[1]\nimport native\nprint(native.mode)\n")
		prints := func(c *execproxy.Cmd, want string) {
			t.Helper()
			if got := run(t, c); got != (outcome{want + "\n", "", "<nil>"}) || !c.Spare.Woken {
				t.Errorf("%+q, woken: %v, want %q", got, c.Spare.Woken, want)
			}
		}
		c := s.teach(t, s.command("set"), s.command("set"))
		if why := c.Spare.Left()["native"]; why != "environment" {
			t.Errorf("native is left out for %q", why)
		}
		prints(c, "set")

		s.lesson = execproxy.Lesson{}
		c = s.teach(t, s.command(), s.command("set"))
		prints(c, "None")
		s.lesson.Run = c.Spare.Token
		next := interpreter(t, s.command("set"))
		if next.Spare.Left()["native"] == "" {
			t.Error("native is not left out")
		}
		prints(next, "set")
	})
}

// A module whose package imports it is given along with the package, also where the run
// asks for it first: importlib is about to import it then. What is made of machine code would
// be there twice otherwise.
func TestModuleOfAPackageIsImportedFirst(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newSchool(t, e, map[string]string{"deep/__init__": "from . import inner", "deep/inner": "", "deep/inner_only": ""})
		s.write(t, "script", "#!"+python+"\nimport deep.inner, deep.inner_only\n")
		c := s.teach(t, s.command(), s.command())
		if r := run(t, c); r.err != "<nil>" {
			t.Fatalf("%+q", r)
		}
		s.lesson.Run = c.Spare.Token
		next := interpreter(t, s.command())
		defer next.Spare.Close()
		for name, why := range next.Spare.Left() {
			t.Errorf("%s is left out: %s", name, why)
		}
		if next.Spare.Modules < 3 {
			t.Errorf("%d modules", next.Spare.Modules)
		}
	})
}

// Threads that import the same modules at the same time have the same ones.
func TestThreadsImportTheSameModules(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		modules := map[string]string{}
		for i := range 60 {
			modules[fmt.Sprint("low", i)] = ""
			modules[fmt.Sprint("middle", i)] = fmt.Sprintf("import low%d as other", i)
			modules[fmt.Sprint("high", i)] = fmt.Sprintf("import middle%d as other", i)
		}
		s := newSchool(t, e, modules)
		s.write(t, "script", "#!"+python+`
import sys, threading
interval = sys.getswitchinterval()
sys.setswitchinterval(1e-6)
for i in range(60):
    names = ['high%d' % i, 'middle%d' % i, 'low%d' % i]
    threads = [threading.Thread(target=__import__, args=(n,)) for n in names if 'threads' in sys.argv]
    [t.start() for t in threads]
    [t.join() for t in threads]
    high, middle, low = map(__import__, names)
    if high.other is not middle or middle.other is not low:
        print(names, 'are there twice')
sys.setswitchinterval(interval)
`)
		s.teach(t, s.command(), s.command()).Spare.Close()
		for range 3 {
			c := interpreter(t, s.command("threads"))
			if c.Spare.Modules < 180 {
				t.Fatalf("%d modules were learned: %s", c.Spare.Modules, c.Spare.Known)
			}
			compare(t, "threads", run(t, c), outcome{err: "<nil>"})
		}
	})
}

// pythonDict is m in Python.
func pythonDict(m map[string]string) string {
	var b strings.Builder
	b.WriteString("{")
	for key, value := range m {
		fmt.Fprintf(&b, "%q: %q, ", key, value)
	}
	return b.String() + "}"
}

// What has changed since a module was imported is imported anew, with all that needs it.
func TestChangeAfterLearningIsSeen(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newSchool(t, e, map[string]string{
			"low": "value = 1", "high": "import low\nvalue = low.value", "apart": "import data\nvalue = 1", "data": "text = open('/tmp/' + __file__.replace('/', '-')).read()",
			"by_loader": "import pkgutil; text = pkgutil.get_data(__name__, 'VERSION')",
		})
		s.write(t, "lib/site-packages/VERSION", "1")
		data := "/tmp/" + strings.ReplaceAll(s.dir+"/lib/site-packages/data.py", "/", "-")
		t.Cleanup(func() { s.Exec(t, "rm", "-f", data) })
		s.Exec(t, "sh", "-c", "printf old >"+data)
		s.write(t, "script", "#!"+python+"\nimport high, apart, low, data, by_loader; print(high.value, high.low is low, apart.value, data.text, by_loader.text)")
		for _, change := range []struct{ file, text string }{
			{s.dir + "/lib/site-packages/low.py", "value = 2"},
			{s.dir + "/low.py", "value = 3"},
			{s.dir + "/script", "#!" + python + "\nimport high; print('new', high.value)"},
			{data, "new"},
			{s.dir + "/lib/site-packages/VERSION", "2"},
			{s.dir + "/lib/site-packages/sitecustomize.py", "print('customized')"},
			{s.dir + "/script", "#!" + python + "\nprint('not closed'"},
		} {
			s.lesson = execproxy.Lesson{}
			c := s.teach(t, s.command(), s.command())
			if c.Spare.Modules == 0 {
				t.Fatalf("before %s changes, nothing is learned: %s", change.file, c.Spare.Known)
			}
			s.Exec(t, "sh", "-c", `printf %s "$2" >"$1.new"; chmod 755 "$1.new"; mv "$1.new" "$1"`, "sh", change.file, change.text)
			compare(t, change.file, run(t, c), run(t, s.command()))
			s.Exec(t, "rm", "-f", s.dir+"/lib/site-packages/sitecustomize.py", s.dir+"/low.py")
		}
	})
}

// Another library is another verdict: what an import does may be another thing by now.
func TestWhatIsInstalledDropsTheLesson(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newSchool(t, e, map[string]string{"plain": "value = 1"})
		s.write(t, "script", "#!"+python+"\nimport plain")
		if c := s.teach(t, s.command(), s.command()); c.Spare.Modules == 0 {
			t.Fatalf("nothing is learned: %s", c.Spare.Known)
		}
		if c := interpreter(t, s.command()); c.Spare.Modules == 0 {
			t.Errorf("it is forgotten: %s", c.Spare.Known)
		}
		s.write(t, "lib/site-packages/another.py", "")
		if c := interpreter(t, s.command()); c.Spare.Modules != 0 {
			t.Errorf("with another library there are %d modules", c.Spare.Modules)
		}
	})
}

// A spare waits with no more memory than is said, whatever the run takes.
func TestLargeModulesAreLeftToTheRun(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newSchool(t, e, map[string]string{
			"small": "", "large": "import in_large\ndata = b'x' * (300 << 20)", "in_large": "", "uses_large": "import large",
			"half": "data = b'x' * (150 << 20)", "other_half": "data = b'x' * (150 << 20)", "last": "",
		})
		s.write(t, "script", "#!"+python+"\nimport small, uses_large, half, other_half, last; print(len(uses_large.large.data), len(other_half.data))")
		plain := run(t, s.command())
		c := s.teach(t, s.command(), s.command())
		why := c.Spare.Left()
		for name, want := range map[string]string{
			"small": "", "large": "memory", "in_large": "", "uses_large": "needs:large", "half": "", "other_half": "memory", "last": "",
		} {
			if why[name] != want {
				t.Errorf("%s was left out for %q, want %q", name, why[name], want)
			}
		}
		held := s.Exec(t, "sh", "-c", "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ | grep -q '^TOXRUN_RUN='$1 && grep VmRSS $p/status; done 2>/dev/null || true", "sh", c.Spare.Token)
		var kilobytes int
		if _, err := fmt.Sscanf(held, "VmRSS: %d kB\n", &kilobytes); err != nil || kilobytes < 150<<10 || kilobytes > 256<<10 {
			t.Errorf("the spare holds %q", held)
		}
		compare(t, "large", run(t, c), plain)
	})
}

// Whichever way a Python program is called.
func TestFormsOfPythonPrograms(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newSchool(t, e, map[string]string{"plain": traps["plain"].text, "tool/__init__": "", "tool/__main__": "import plain" + everything + "\nprint(__spec__, __package__, __file__)\ndef f(): 1/0\nf()"})
		s.write(t, "manage.py", "#!"+python+"\nimport plain"+everything+"\nraise ValueError('x')\n")
		s.Exec(t, "mkdir", "-p", s.dir+"/package")
		s.write(t, "package/__init__.py", "")
		s.write(t, "package/__main__.py", "import plain\nprint(__name__, __spec__, sys.path) if 'sys' in globals() else print(__file__)")
		for _, words := range []string{
			python + " manage.py", python + " ./manage.py", python + " " + s.dir + "/manage.py", "./manage.py", s.dir + "/manage.py",
			python + " -m tool", python + " -u -m tool", python + " -O -B manage.py", python + " -m package", python + " -m no_such_module", python + " no_such_file.py",
			python + " -Wd -bb manage.py", python + " -c 1/0", python + " --version", python + " -m",
		} {
			s.lesson = execproxy.Lesson{}
			command := func() *execproxy.Cmd {
				c := s.command()
				c.Args = append(strings.Fields(words), "arg", "-x")
				c.Env = append(c.Env, "PATH=/usr/bin:/bin")
				return c
			}
			plain := run(t, command())
			first := spare(t, command())
			compare(t, words+", first", run(t, first), plain)
			second := command()
			second.Learn = &execproxy.Lesson{Known: first.Spare.Known, Run: first.Spare.Token}
			spare(t, second)
			compare(t, words+", second", run(t, second), plain)
			learns := !strings.Contains(words, "no_such") && !strings.Contains(words, "-c") && !strings.Contains(words, "--version") && words != python+" -m"
			if !second.Spare.Woken || learns != (second.Spare.Modules > 0) {
				t.Errorf("%s: %d modules, %q", words, second.Spare.Modules, second.Spare.Plain)
			}
		}
	})
}

// Who asks how long each import takes is told of all of them, so none was there before.
func TestImportTimesAreOfAllModules(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newSchool(t, e, map[string]string{"plain": traps["plain"].text})
		s.write(t, "script.py", "import plain, json")
		for _, how := range []struct{ flags, env string }{{"-Ximporttime", "A=1"}, {"-X importtime", "A=1"}, {"", "PYTHONPROFILEIMPORTTIME=1"}} {
			s.lesson = execproxy.Lesson{}
			command := func() *execproxy.Cmd {
				c := s.command()
				c.Args = append(append([]string{python}, strings.Fields(how.flags)...), "script.py")
				c.Env = append(c.Env, how.env)
				return c
			}
			times := regexp.MustCompile(` *\d+`) // with what aligns them
			plain := run(t, command())
			if !strings.Contains(plain.stderr, "| plain\n") {
				t.Fatalf("%v: no times: %+v", how, plain)
			}
			first := spare(t, command())
			ran := run(t, first)
			second := command()
			second.Learn = &execproxy.Lesson{Known: first.Spare.Known, Run: first.Spare.Token}
			spare(t, second)
			again := run(t, second)
			for _, now := range []*outcome{&plain, &ran, &again} {
				now.stderr = times.ReplaceAllString(now.stderr, "N")
			}
			compare(t, how.flags+how.env+", first", ran, plain)
			compare(t, how.flags+how.env+", second", again, plain)
		}
	})
}

// A file that a run has left and nobody has asked for goes with a later spare.
func TestWhatNobodyAskedForIsRemoved(t *testing.T) {
	t.Parallel()
	onePython(t, func(t *testing.T, e enginetest.Target) {
		s := newSchool(t, e, nil)
		s.write(t, "script", "#!"+python+"\n")
		file := "/dev/shm/toxrun-" + path.Base(s.dir)
		s.Exec(t, "touch", "-d", "2020-01-01", file)
		t.Cleanup(func() { s.Exec(t, "rm", "-f", file) })
		interpreter(t, s.command()).Spare.Close()
		if there := s.Exec(t, "sh", "-c", "ls "+file+" 2>/dev/null || true"); there != "" {
			t.Error("it is there still")
		}
	})
}

// The client says who may look on, and the interpreter compares.
func TestWatchersAreTheInterpretersOwn(t *testing.T) {
	text, err := os.ReadFile("preload/verdict.py")
	if err != nil {
		t.Fatal(err)
	}
	tuple := regexp.MustCompile(`(?m)^WATCHER = \((.*)\)$`).FindSubmatch(text)
	if tuple == nil {
		t.Fatal("there is no WATCHER")
	}
	for _, word := range strings.Split(string(tuple[1]), ", ") {
		arg := "--" + strings.ToUpper(strings.Trim(word, `"`)) + "=x"
		if got := execproxy.Watchers([]string{"-q", arg, "tests"}); !slices.Equal(got, []string{arg}) {
			t.Errorf("of %s: %q", arg, got)
		}
	}
}

func TestProgramOfACommand(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"pytest -q tests": "pytest", "python3 -m pytest -q": "python3 -m pytest", "/usr/bin/python3.11 -u a.py b": "/usr/bin/python3.11 -u a.py",
		"pypy3 a.py": "pypy3 a.py", "python-config a": "python-config", "pythonic a": "pythonic", "python3 -c 1 x": "python3", "python3 -": "python3", "python3": "python3", "python3 -m": "python3",
		"python3 -u -B -O -s a.py": "python3",
	} {
		if got := strings.Join(execproxy.Program(strings.Fields(command)), " "); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}
