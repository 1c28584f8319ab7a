# probe imports what a run has imported, in a process of its own, and tells which of it
# can be imported beforehand: what a later run can't tell from an import of its own. It
# looks on with all that Python has for that, and its process ends.

CALLS = {
    "time": {"clock": "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns"
             " thread_time thread_time_ns clock_gettime clock_gettime_ns localtime gmtime ctime asctime strftime"},
    "_signal": {"signals": "signal set_wakeup_fd setitimer alarm siginterrupt pthread_sigmask"},
    "faulthandler": {"signals": "enable register dump_traceback_later"},
    "sys": {"interpreter": "settrace setprofile setrecursionlimit setswitchinterval setdlopenflags setcheckinterval addaudithook"
            " set_int_max_str_digits set_asyncgen_hooks set_coroutine_origin_tracking_depth"},
    "gc": {"interpreter": "disable enable freeze set_threshold set_debug"},
    "_locale": {"locale": "setlocale textdomain bindtextdomain"},
    "_codecs": {"codecs": "register register_error"},
    "_thread": {"threads": "start_new_thread start_new start_joinable_thread"},
    "_socket": {"network": "gethostname getaddrinfo gethostbyname gethostbyaddr setdefaulttimeout"},
    "_sqlite3": {"registers": "register_adapter register_converter enable_callback_tracebacks"},
    "_posixsubprocess": {"processes": "fork_exec"},
    "posix": {
        "processes": "fork forkpty posix_spawn posix_spawnp execv execve system kill nice setsid setpgid sched_setaffinity",
        "environment": "putenv unsetenv", "directory": "umask chdir fchdir getcwd getcwdb", "forks": "register_at_fork",
        "terminal": "get_terminal_size",
        "files": "mkdir unlink remove rename replace rmdir symlink link chmod chown utime truncate mkfifo dup2 stat lstat access",
    },
}
CALLS = {(module, name): why for module, kinds in CALLS.items() for why, names in kinds.items() for name in names.split()}
CLOCKS = {"now", "today", "utcnow"}

LOADED = ".py", ".pyc", ".pyo", ".so", ".zip", ".egg", ".whl"  # what importlib opens for itself

HOOKS = (
    "sys.excepthook sys.displayhook sys.unraisablehook sys.breakpointhook sys.stdin sys.stdout sys.stderr"
    " sys.dont_write_bytecode sys.tracebacklimit sys.pycache_prefix"
).split()

# What is so when logging, or decimal, has been imported and no more.
LEVELS = {"root": (30, 0, True, False), "": (0, True, True)}
DECIMAL = (
    "Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, capitals=1, clamp=0, flags=[],"
    " traps=[InvalidOperation, DivisionByZero, Overflow])"
)

# Paths that Python's own functions are asked for; what these call is not looked at.
ASKED = {"exists": "path", "lexists": "path", "isfile": "path", "isdir": "s", "getmtime": "filename", "getsize": "filename"}

MEMORY = 256 << 20  # bytes, of the whole interpreter; more is not imported beforehand
PROBE_MEMORY = 1 << 30  # bytes; then no more is tried
PROBE_TIME = 20  # seconds


class Probe(Stash):
    def __init__(self, refusal, began, sources, variables):
        Stash.__init__(self, refusal, began)
        self.variables = {os.fsencode(v) for v in variables}  # of the environment, which runs set themselves
        self.sources = sources
        self.reads, self.contents = {}, set()  # names that have looked at a file, by the file; those whose contents were read
        self.own = globals()

    def watched_environ(self):
        variables = NoticedVariables(self.environ, self.top)
        variables.told = self.unfit
        return variables

    def enter(self, name, spec):
        kept = Stash.enter(self, name, spec)
        if name == "readline":
            self.unfit("terminal")  # input() is another from then on
        kept.before, kept.others = self.look(), {}
        kept.resident, kept.below = resident(), 0
        return kept

    def leave(self, kept):
        sys.setprofile(None)
        now = self.look()
        for what, then in kept.before.items():
            if what == "logging":  # loggers that are new are the module's own
                now[what] = {n: now[what].get(n) for n in then}
            if now[what] != then:
                self.unfit(what)
        self.look_at_others(kept)
        grown = max(0, resident() - kept.resident)
        own = max(0, grown - kept.below)
        if self.memory + own > MEMORY:
            self.unfit("memory")
        else:
            self.memory += own
        Stash.leave(self, kept)
        if self.top() is not None:
            self.top().below += grown
            self.look_before(self.top(), [kept.name])
        sys.setprofile(self.call)

    def wants(self, top, names):
        """Notes, too, what a module that was there is like before it is used."""
        sys.setprofile(None)
        Stash.wants(self, top, names)
        self.look_before(top, names)
        sys.setprofile(self.call)

    def look_before(self, top, names):
        for name in names:
            near = self.kept.get(name)
            if near is None or near in self.stack or name in top.others:
                continue
            for n in [name] + list(near.needs):
                other = self.kept.get(n)
                if other is not None and other not in self.stack and n not in top.others and not is_library(other.file):
                    module = sys.modules.get(n)
                    if is_module(module):
                        top.others[n] = contents(variables(module), n)

    def look_at_others(self, kept):
        """Takes in what an import has changed in modules that were there before it."""
        for name, then in kept.others.items():
            module = sys.modules.get(name)
            if not is_module(module) or kept.name in self.reaches(name):
                continue
            now = contents(variables(module), name)
            if any(now.get(key, value) != value for key, value in then.items()):
                self.unfit("changes:" + name)

    def look(self):
        """What an import should leave as it is."""
        for stream in sys.stdout, sys.stderr:
            stream.flush()
        free = os.dup(0)
        os.close(free)
        context = of("decimal", "getcontext")
        seen = {
            "prints": os.fstat(1).st_size,
            "opens": free,
            "threads": os.stat("/proc/self/task").st_nlink,
            "interpreter": (sys.getrecursionlimit(), self.collector.isenabled(), self.collector.get_threshold()),
            "logging": self.levels(),
            "decimal": repr(context()) if context else DECIMAL,
            "environment": os.environ._data.plain(),
            "builtins": dict(vars(sys.modules["builtins"])),
            "path": (list(sys.path), list(sys.path_hooks)),
            "signals": [_signal.getsignal(n) for n in range(1, _signal.NSIG)],
            "locale": self.locale.setlocale(self.locale.LC_ALL),
            "warnings": self.warnings is None or (self.warnings._showwarnmsg, self.warnings.showwarning) == (self.warned, self.shows[0]),
            "modules": len(self.base) == sum(n in sys.modules for n in self.base),
            "numbers": 5e-324 * len("x") > 0,
        }
        for name in HOOKS:
            seen[name] = id(of(*name.split(".")))
        return seen

    def levels(self):
        root = of("logging", "root")
        if root is None:
            return LEVELS
        loggers = dict(self.loggers(), root=root)
        seen = {n: (l.level, len(l.handlers), l.propagate, l.disabled) for n, l in loggers.items() if hasattr(l, "handlers")}
        usual = of("logging", "_loggerClass") is of("logging", "Logger") and of("logging", "_logRecordFactory") is of("logging", "LogRecord")
        seen[""] = root.manager.disable, of("logging", "raiseExceptions"), usual
        return seen

    def call(self, frame, event, arg):
        """Is told of each call (sys.setprofile)."""
        if event == "c_call":
            why = CALLS.get((arg.__module__, arg.__name__))
            if why is None:
                if arg.__name__ in CLOCKS and isinstance(arg.__self__, type) and "datetime" in [c.__module__ for c in arg.__self__.__mro__]:
                    why = "clock"
                elif arg.__name__ == "seed" and self.is_shared(arg.__self__):
                    why = "random"
                elif arg.__self__ is sys.stdin or arg.__self__ is sys.stdout or arg.__self__ is sys.stderr:
                    why = None if arg.__name__ in ("write", "flush") else "streams"
            if why is not None and not self.is_overseen(frame, arg.__name__):
                self.unfit(why)
        elif event == "call" and frame.f_code.co_name == "isEnabledFor" and frame.f_globals.get("__name__") == "logging":
            self.unfit("logs")
        elif event == "call" and frame.f_code.co_name in ASKED and frame.f_globals.get("__name__") in ("genericpath", "posixpath"):
            self.read(frame.f_locals.get(ASKED[frame.f_code.co_name]))

    def is_shared(self, generator):
        random = sys.modules.get("random")
        return generator is getattr(random, "_inst", None) or type(generator).__module__.startswith("numpy.random") and (
            generator is getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None)
        )

    def is_overseen(self, frame, name):
        """Whether the call is importlib's, ours, or that of a function whose arguments are known."""
        space = frame.f_globals
        if space is self.own or frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        if name in ("putenv", "unsetenv"):
            return space.get("__name__") == "os"
        if name == "register_at_fork":
            return frame.f_code.co_filename.startswith(LIBRARY)
        if name == "stat" and space.get("__name__") == "linecache":
            self.read(frame.f_locals.get("fullname"))  # the source of a function
            return True
        return name in ("stat", "lstat") and space.get("__name__") in ("genericpath", "posixpath")

    def audit(self, event, args):
        """Is told what Python itself is told (sys.addaudithook)."""
        if not self.importing or self.top() is None or not event.startswith(("open", "os.", "socket.", "subprocess.")):
            return
        profile = sys.getprofile()
        sys.setprofile(None)
        self.told(event, args, sys._getframe(1))
        sys.setprofile(profile)

    def told(self, event, args, frame):
        if event == "open":
            path, mode, flags = args
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            data = not writes and frame.f_globals is not self.own and not str(path).endswith(LOADED)
            if self.is_overseen(frame, event) and not data:
                return
            if writes:
                self.unfit("files")
            else:
                self.read(path, True)
        elif event in ("os.listdir", "os.scandir"):
            if not self.is_overseen(frame, event):
                self.read(args[0])
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg", "subprocess.Popen", "os.system"):
            self.unfit(event.partition(".")[0])

    def read(self, path, content=False):
        """Takes in that the import looks at a file, which then should stay the same."""
        try:
            path = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError):
            return self.unfit("files")
        if path in ("/dev/null", "/dev/urandom", "/dev/random"):
            return
        top = self.top()
        own = path.startswith(self.sources) and not is_installed(path)
        if own or path.startswith(("/proc/", "/sys/", "/dev/")) or any(c.isspace() for c in path):
            self.unfit("files")
        elif top is not None and path != top.file:
            self.reads.setdefault(path, set()).add(top.name)
            if content:
                self.contents.add(path)

    def run(self, names):
        """Imports names and returns the verdict: those that are fit, why others are not, and the files that were read."""
        began, self.memory = time.time(), resident()
        self.locale = __import__("_locale")
        arguments = sys.argv
        sys.argv = Noticed(arguments)
        sys.argv.told = self.unfit
        self.begin()
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(self.audit)
        sys.setprofile(self.call)
        for name in names:
            if name in self.known:
                continue
            if time.time() - began > PROBE_TIME:
                self.reasons[name] = "time"
            elif resident() > PROBE_MEMORY:
                self.reasons[name] = "memory"
            else:
                self.bring(name)
        sys.setprofile(None)
        for holder in self.collector.get_referrers(self.atexit.register):
            if isinstance(holder, dict) and holder.get("__name__", "atexit") != "atexit" and holder["__name__"] in self.kept:
                self.reasons[holder["__name__"]] = "atexit"
        sys.argv = arguments
        for name, kept in self.kept.items():
            if not self.variables.isdisjoint(kept.reads):
                self.reasons.setdefault(name, "environment")
        for name in names:
            if name not in sys.modules:
                self.reasons.setdefault(name, "absent")  # else it would be tried again after each run
        self.spread()
        fit = [n for n in names if n not in self.reasons]
        return fit, self.reasons, self.read_by_fit()

    def read_by_fit(self):
        """The files that imports look at which are fit; a directory where many were asked for."""
        asked, read = {}, []
        for file, by in self.reads.items():
            if any(name not in self.reasons for name in by):
                if file in self.contents:
                    read.append(file)
                else:
                    asked.setdefault(os.path.dirname(file), []).append(file)
        return read + [f for d, names in asked.items() for f in (names if len(names) < 8 else [d])]


class Noticed(list):
    """Tells when somebody looks at it."""


class NoticedVariables(Variables):
    """Tells when somebody looks at what differs from run to run."""

    def __getitem__(self, key):
        if key.startswith(b"TOXRUN_C"):
            self.told("environment")
        return Variables.__getitem__(self, key)

    def plain(self):
        return {key: dict.__getitem__(self, key) for key in dict.__iter__(self)}


def notice(cls, names, why):
    def noticed(name):
        does = getattr(cls.__mro__[1], name)

        def method(self, *args):
            self.told(why)
            return does(self, *args)

        return method

    for name in names.split():
        setattr(cls, name, noticed(name))


notice(Noticed, "__getitem__ __iter__ __len__ __contains__ __eq__ __add__ __repr__ __setitem__ __delitem__ append extend insert pop remove index copy", "argv")
notice(NoticedVariables, "__iter__ __len__ keys items values copy", "environment")


def is_library(file):
    return file is None or file.startswith(LIBRARY) and "-packages" + os.sep not in file


def contents(space, name):
    """What a module's variables are, and how much is in them, as far as an import elsewhere
    would change it. No object is asked, since some are lazy."""
    seen = {}
    for key, value in list(space.items()):
        kind = type(value)
        if key[:2] == "__" or issubclass(kind, type(sys)):
            continue
        seen[key] = id(value)
        if kind in FLAT:
            continue
        for k, v in [(None, value)] + attributes(value, name):
            kind = type(v)
            there = None if kind in FLAT else id(v) if kind is FUNCTION else amount(v)
            if there is not None:
                seen[key, k] = there
    return seen


FLAT = {type(v) for v in (None, 0, 0.0, "", b"", (), frozenset(), True, len, property(), classmethod(len), staticmethod(len))}


def attributes(value, name):
    """The attributes that an object has itself; those of a class are its own module's."""
    kind = type(value)
    if kind is FUNCTION:
        return list(value.__dict__.items())
    if issubclass(kind, type):
        return list(mapping_of(value).items()) if type.__getattribute__(value, "__module__") == name else []
    if kind not in SPACES:
        spaces = [mapping_of(c) for c in linear(kind)]
        module, space = (next((s[n] for s in spaces if n in s), None) for n in ("__module__", "__dict__"))
        SPACES[kind] = space if type(space) in OWN_SPACE and module != "logging" else None  # levels tells of loggers
    space = SPACES[kind] and SPACES[kind].__get__(value)
    return list(space.items()) if type(space) is dict else []


SPACES = {}  # what gives the attributes of an object, by its class
linear = type.__dict__["__mro__"].__get__
mapping_of = type.__dict__["__dict__"].__get__
READ_ONLY = type(type.__dict__)
OWN_SPACE = type(type.__dict__["__dict__"]), type(type(sys).__dict__["__dict__"])  # in C, and of the object


def amount(value, nested=True):
    """A number for how much is in a container, and in those in it; None of anything else."""
    kind = type(value)
    if kind is READ_ONLY:
        return len(value)
    if issubclass(kind, set):
        return set.__len__(value)
    if issubclass(kind, dict):
        inside = list(dict.values(value))
    elif issubclass(kind, list):
        inside = list(list.__iter__(value))
    else:
        return None
    if not nested:
        return len(inside)
    return hash((len(inside),) + tuple(amount(v, False) for v in inside[:NESTED] if type(v) not in FLAT))


NESTED = 1000  # containers, the first of which are looked into


def of(module, name):
    return getattr(sys.modules.get(module), name, None)


def resident():
    """The memory of this process, in bytes."""
    try:
        with open("/proc/self/statm", "rb") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0


def probe(refusal, began, sources, variables, names):
    """Has a child try names; returns its verdict, None if it has not come to one."""
    ours, childs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(childs)
        with open(ours, "rb") as f:
            answer = f.read()
        os.waitpid(pid, 0)
        return sys.modules["marshal"].loads(answer) if answer else None
    try:
        _signal.alarm(PROBE_TIME + 5)
        os.close(ours)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        out = os.memfd_create("out") if hasattr(os, "memfd_create") else os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR)
        os.dup2(out, 1)
        os.dup2(out, 2)
        answer = sys.modules["marshal"].dumps(Probe(refusal, began, sources, variables).run(names))
        while answer:
            answer = answer[os.write(childs, answer):]
    finally:
        os._exit(0)
