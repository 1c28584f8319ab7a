# main runs in the interpreter of a program: it imports what the next run will, or puts
# away what the last one has, says that it is there, waits on stdin for a command and
# becomes it. Where that is the program in the environment that it was started with, it
# runs right here, else what execve(2) makes of it. Its arguments are
#
#     COUNT WORD... auto VERDICT RUN WATCHERS SOURCE...
#     COUNT WORD... names NAME,NAME... "" "" SOURCE...
#
# WORDs are the command's own up to what it runs: a script, or a Python with its flags and
# a file, or -m and a module. VERDICT is what the last one has told of the modules, and RUN
# the token of a run that may have left a list of those that it has imported. WATCHERS are
# those of the command's other words that may have a tracer look on, a line feed between two.
#
# This is a namespace of its own: __main__ is the program's. Little is imported for it,
# and nothing from the working directory. Python 3.6 reads it.

IMPORT_TIME = 30  # seconds; then SIGALRM ends the interpreter
WAIT_TIME = 250  # tenths of a second; at a terminal, a line feed has it wait for as long again
TICK = 0.01  # by so much files look older than they are, on Linux
TITLE_LIMIT = 4096  # bytes, of a page: more the kernel does not tell
TOKEN = os.environb[b"TOXRUN_RUN"]
CLIENT = b"TOXRUN_CLIENT"
PLAIN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz%+,-./:=@_"
INHERITED = [fd for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)]


def call(name):
    """Has ps call this process so; returns what it was."""
    try:
        with open("/proc/self/comm", "r+b", 0) as f:
            was = f.read().rstrip(b"\n")
            f.write(name)
        return was
    except OSError:
        return name


NAME = call(b"toxrun-spare")


def tell(words, client):
    """Has ps tell what runs in this process, and whoever looks for runs whose it is: written
    where the kernel has put the arguments and the environment (proc_pid_cmdline(5), which
    takes what does not end with a NUL for one text)."""
    try:
        with open("/proc/self/stat", "rb") as f:
            start, end, env_start, env_end = map(int, f.read().rpartition(b")")[2].split()[45:49])
        memory = os.open("/proc/self/mem", os.O_RDWR)
    except (OSError, ValueError):
        return  # not everywhere
    try:
        python = os.pread(memory, TITLE_LIMIT, start).partition(b"\0-c\0")[0].split(b"\0")
        os.pwrite(memory, b" ".join(map(quoted, python + words))[:TITLE_LIMIT - 1] + b"\0", start)
        os.pwrite(memory, b" ", end - 1)
        variables = os.pread(memory, env_end - env_start, env_start)
        at = variables.index(CLIENT + b"=") + len(CLIENT) + 1
        room = variables.index(b"\0", at) - at
        os.pwrite(memory, client[:room - 1].ljust(room), env_start + at)  # a space behind it is the mark
    except (OSError, ValueError):
        pass
    os.close(memory)


def quoted(word):
    """As a shell reads it."""
    if word and not word.translate(None, PLAIN):
        return word
    return b"'" + word.replace(b"'", b"'\\''") + b"'"


def refuse(reason):
    text = " ".join(reason.split())[:500]
    os.write(2, TOKEN + text.encode("utf-8", "replace") + b"\n")
    os._exit(0)


def find(program, env):
    """What the container's runtime would execute, or None."""
    files = [program]
    if b"/" not in program:
        path = env.get(b"PATH", b"").split(b":")
        files = [os.path.normpath(os.path.join(d, program)) for d in path if d[:1] == b"/"]
    for file in files:
        if os.path.isfile(file) and os.access(file, os.X_OK):
            return file


def starts(file):
    """Whether execve will not fail: it comes too late to be told of."""
    with open(file, "rb") as f:
        head = f.read(256)
    if head[:2] == b"#!":
        return os.access(head[2:].split()[0], os.X_OK)
    return head[:4] == b"\x7fELF"


def raw():
    """Has the terminal do nothing to what it gets; returns what undoes that."""
    there = "termios" in sys.modules
    import termios
    if not there:
        del sys.modules["termios"]
    usual = termios.tcgetattr(0)
    mode = termios.tcgetattr(0)
    mode[0] &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
                 | termios.ICRNL | termios.IXON)
    mode[1] &= ~termios.OPOST
    mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 0, WAIT_TIME
    termios.tcsetattr(0, termios.TCSADRAIN, mode)
    return lambda: termios.tcsetattr(0, termios.TCSADRAIN, usual)


def module_files():
    """The files of the modules that Python itself has imported at its start."""
    main = sys.modules["__main__"]  # multiprocessing has another name for it
    for name, module in list(sys.modules.items()):
        if is_module(module) and module is not main:
            file = variables(module).get("__file__")
            if isinstance(file, str):
                yield file


def one_word(text):
    """Whether it can stand in a list of words."""
    return len(text.split()) == 1 and not text[0].isspace() and not text[-1].isspace()


def receive(size):
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            os._exit(0)
        data += more
    return data


def execute(file, argv, env):
    for name in "SIGPIPE", "SIGXFZ", "SIGXFSZ":  # Python ignores them
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
    for fd in set(os.listdir("/proc/self/fd")).difference(INHERITED):
        try:
            os.set_inheritable(int(fd), False)
        except OSError:
            pass  # that of the listing
    os.write(2, TOKEN)
    try:
        os.execve(file, argv, env)
    except OSError as e:
        os.write(2, b"%s: %s\n" % (argv[0], os.strerror(e.errno).encode()))
        os._exit(126)


class Program:
    """A program that is ready to run as __main__."""

    def __init__(self, count, *rest):
        self.began, self.pid = time.time(), os.getpid()
        self.words, (mode, told, run, watchers, *sources) = list(rest[:int(count)]), rest[int(count):]
        self.cwd = os.getcwdb()
        self.take_environment()
        self.file = find(os.fsencode(self.words[0]), os.environb) or refuse(self.words[0] + ": not found")
        # Older ones tell nobody which files are opened (sys.addaudithook).
        self.auto, self.teaches = mode == "auto", mode == "auto" and sys.version_info >= (3, 8)
        self.watchers, self.barred, self.stash, self.user = watchers, set(), None, os.geteuid()
        self.sources = tuple(os.path.join(os.path.realpath(s), "") for s in sources)
        self.make_main()
        if sys.version_info >= (3, 13):
            sys.modules.pop("linecache", None)  # which is imported for -c alone
        self.files = {file: state(file) for file in list(module_files()) + ["/etc/localtime"]}
        self.path = {entry: (state(entry), listing(entry)) for entry in sys.path}
        self.stash = Stash(self.refusal, self.began - TICK)
        self.settings = settings(os.getcwd())
        _signal.alarm(IMPORT_TIME)
        if self.auto:
            verdict = self.learn(told, run) if self.teaches else "0"
        else:
            verdict = self.bring(told.split(","))
        _signal.alarm(0)
        self.report = b"=" + verdict.encode("utf-8", "replace")
        for stream in sys.stdout, sys.stderr:
            stream.flush()
        # What ends the run before the program is there ends it without a traceback.
        self.on_interrupt = _signal.getsignal(_signal.SIGINT)
        if self.on_interrupt is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

    def refusal(self, name, file):
        """Why a module may be another one at the next run, or None; file is None where there is none."""
        if name in self.barred or name.partition(".")[0] in self.barred:
            return "module %s is another one for the run" % name
        if file is None:
            return None
        real = os.path.realpath(file)
        if is_installed(real) or is_installed(file):
            return None
        if self.auto or real.startswith(self.sources):
            return "module %s is the project's own: %s" % (name, file)

    def bring(self, names):
        """Imports what the user has named."""
        self.stash.begin()
        for name in names:
            error = self.stash.bring(name)
            if isinstance(error, Refusal):
                refuse(str(error))
            if error is not None:
                refuse("import %s: %s: %s" % (name, type(error).__name__, error))
        self.put_away()
        for name, why in self.stash.reasons.items():
            if why == "refused":
                refuse("module %s is the project's own" % name)
        return str(len(self.stash.kept))

    def put_away(self):
        """Ends the stash. An interpreter that has a part of machine code which is not in it is none for a run."""
        spoiled = self.stash.end()
        if spoiled is not None:
            refuse("module %s can't be imported beforehand: %s" % (spoiled, self.stash.reasons[spoiled]))

    def learn(self, told, run):
        """Imports what runs have imported; returns what to tell the next of it."""
        verdict = Verdict(told, self.settings)
        self.barred = verdict.barred
        names = taught(run)
        if names is not None:
            verdict.take(names, lambda names, variables: probe(self.refusal, self.began - TICK, self.sources, variables, names))
        if verdict.ages:
            self.stash.begin()
            for name in verdict.ages:
                if name not in sys.modules:
                    self.stash.bring(name)
            self.put_away()
            self.stash.looks = [(file, state(file)) for file in verdict.looks]
            verdict.add(self.stash.reasons)
            verdict.reads = {n for kept in self.stash.kept.values() for n in map(os.fsdecode, kept.reads) if one_word(n)}
        return verdict.text(len(self.stash.kept))

    def take_environment(self):
        """Takes find.sh's variables, and the container's own for another environment."""
        os.environb.pop(CLIENT, None)
        self.by_shell = os.environb.pop(b"_toxrun_shell", None)
        if not self.by_shell:
            os.environb.pop(b"_", None)  # bash's
        self.container = dict(os.environb)
        self.container.pop(b"_", None)
        was = b"_toxrun_was_"
        for key, value in list(os.environb.items()):
            if key.startswith(was):
                del os.environb[key], self.container[key]
                key = key[len(was):]
                self.container.pop(key, None)
                if value:  # which has a "=" in front
                    self.container[key] = value[1:]

    def make_main(self):
        """Makes __main__, sys.argv and sys.path what they are for the program."""
        self.main = sys.modules["__main__"].__dict__
        self.fresh = {k: v for k, v in self.main.items() if k[:2] == "__"}
        self.module = self.words[-1] if self.words[-2:-1] == ["-m"] else None
        self.interpreter = getattr(sys, "orig_argv", [])[:-len(sys.argv) - 1]
        if len(self.words) > 1:
            self.interpreter[:] = self.words[:-2 if self.module else -1]
        if self.module:
            self.name, beside = "-m", "" if sys.version_info < (3, 7) else os.getcwd()
            import runpy  # as the interpreter does
        else:
            self.name = self.script = self.words[-1] if len(self.words) > 1 else os.fsdecode(self.file)
            beside = os.path.dirname(os.path.realpath(self.name))
            self.code()  # which tells whether it can be
            if sys.version_info >= (3, 9):
                self.script = self.name if os.path.isabs(self.name) else "%s/%s" % (os.getcwd(), self.name)
            loader = external.SourceFileLoader
            self.fresh.update(__loader__=loader("__main__", self.script), __file__=self.script)
            if sys.version_info < (3, 15):
                self.fresh["__cached__"] = None
        if beside_script:
            sys.path.insert(0, beside)
        self.main.update(self.fresh)
        self.set_arguments([])

    def code(self):
        """The program, as its file is now."""
        if self.module:
            return compile("__import__('runpy')._run_module_as_main(%r)" % self.module, "<string>", "exec")
        try:
            with open(self.name, "rb") as f:
                source = f.read()
            first = source.partition(b"\n")[0] if len(self.words) == 1 else None
            if first != self.__dict__.setdefault("first", first):
                return None
            return compile(source, self.script, "exec", dont_inherit=True)
        except Exception as e:
            if self.stash is not None:
                return None  # the run tells
            refuse("%s: %s: %s" % (self.name, type(e).__name__, e))

    def set_arguments(self, args):
        sys.argv[:] = [self.name] + args
        if hasattr(sys, "orig_argv"):
            sys.orig_argv[:] = self.interpreter + (["-m", self.module] if self.module else [self.name]) + args

    def is_current(self, env, args):
        """Whether Python itself would start as it did, and nobody looks on who did not before."""
        if self.teaches and (watchers(args) != self.watchers or settings(os.getcwd()) != self.settings):
            return False
        if not self.stash.is_current():
            return False
        path = env.get(b"PYTHONPATH")
        if os.getcwdb() != self.cwd and (self.auto or self.module or path and not all(p[:1] == b"/" for p in path.split(b":"))):
            return False
        base = {os.path.basename(file).partition(".")[0] for file in self.files} | {"sitecustomize", "usercustomize"}
        for entry, (then, there) in self.path.items():
            if state(entry) != then:
                now = listing(entry)
                if (now is None) != (there is None):
                    return False
                for name in there.symmetric_difference(now) if now is not None else ():
                    if name.partition(".")[0] in base or name.endswith(".pth"):
                        return False
        return all(state(file) == then for file, then in self.files.items())

    def wake(self):
        """Waits for the command. Returns the program's code, or not at all."""
        usual = raw() if os.isatty(0) else None
        os.write(1, TOKEN)
        report = TOKEN + self.report + b"\n"
        while report:
            report = report[os.write(2, report):]
        first = receive(1)
        while first == b"\n":
            first = receive(1)
        if not first.isdigit():
            os._exit(0)
        same, cwd, stdin, count, *rest = receive(int(first + receive(9))).split(b"\0")
        if usual:
            usual()
        argv, variables = rest[:int(count)], rest[int(count):]
        env = dict(self.container)
        for variable in variables:
            key, assigned, value = variable.partition(b"=")
            if assigned:
                env[key] = value
            else:
                env.pop(key, None)
        try:
            if stdin == b"null":  # as the container's runtime has it
                null = os.open(os.devnull, os.O_RDONLY)
                os.dup2(null, 0)
                os.close(null)
                self.renew_stdin()
            os.chdir(cwd or self.cwd)
            file = find(argv[0], env)
            words = [os.fsencode(w) for w in self.words]
            here = same == b"same" and file == self.file and argv[:len(words)] == words and self.is_current(env, argv[len(words):])
            code = self.code() if here else None
            here = code is not None
            if not here and not (file and starts(file)):
                os._exit(0)
        except (OSError, IndexError):
            os._exit(0)
        if not here:
            execute(file, argv, env)
        call(NAME)
        program = [b"-m", words[-1]] if self.module else [os.fsencode(self.name)]
        tell(program + argv[len(words):], env.get(CLIENT, b""))
        self.stash.wake()
        self.settle(env)
        self.variables = dict(os.environ._data)
        self.set_arguments([os.fsdecode(a) for a in argv[len(words):]])
        self.main.clear()
        self.main.update(self.fresh)
        os.write(2, TOKEN)
        if self.on_interrupt is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, self.on_interrupt)
        return code

    def renew_stdin(self):
        """Makes sys.stdin anew, for another file; as Python does it (create_stdio)."""
        old = sys.stdin
        if old is None or old is not sys.__stdin__:
            return
        io = sys.modules["_io"]  # which is there before io is, from Python 3.14 on
        buffer = io.open(0, "rb", closefd=False)
        buffer.raw.name = old.name
        sys.stdin = sys.__stdin__ = io.TextIOWrapper(buffer, old.encoding, old.errors, "\n")
        sys.stdin.mode = "r"
        if self.stash.streams:
            self.stash.streams[0] = old  # what holds it gets the new one

    def settle(self, env):
        """Sets anew what modules remember of the start of the process."""
        for name in b"TOXRUN_CHANGED", CLIENT:
            if name in env:
                os.environb[name] = env[name]
        if self.by_shell:
            os.environb[b"PWD"] = os.getcwdb()
        for entry, finder in list(sys.path_importer_cache.items()):
            if hasattr(finder, "invalidate_caches"):
                finder.invalidate_caches()
            elif finder is None:  # there was no such directory
                del sys.path_importer_cache[entry]
        for name in SETTLES:
            if name in sys.modules:
                SETTLES[name](sys.modules[name])

    def __enter__(self):
        pass

    def __exit__(self, kind, value, traceback):
        """Takes our frames off the traceback that is about to be printed."""
        if self.teaches and getpid() == self.pid:
            self.teach()
        if kind is None or issubclass(kind, SystemExit):
            return
        for _ in range(2 if self.module else 1):
            traceback = traceback.tb_next
        value.__traceback__ = traceback
        if sys.version_info >= (3, 11):
            return
        hook = sys.excepthook

        def unseen(kind, value, traceback):
            sys.excepthook = hook
            for _ in range(2 if self.module else 1):
                traceback = traceback.tb_next
            sys.last_traceback = value.__traceback__ = traceback
            hook(kind, value, traceback)

        sys.excepthook = unseen

    def teach(self):
        """Leaves the names of what was imported for the next spare. The run may have left
        anything behind in the modules that this uses, or be another user by now."""
        names, own = [], {}
        try:
            if geteuid() != self.user:
                return
            now = getattr(os.environ, "_data", self.variables)
            for name in set(now) | set(self.variables):
                if now.get(name) != self.variables.get(name) and one_word(os.fsdecode(name)):
                    own["$" + os.fsdecode(name)] = None
            for name, mark in self.stash.requests.items():
                module = sys.modules.get(name)
                spec = variables(module).get("__spec__") if is_module(module) else None
                if type(spec) is not bootstrap.ModuleSpec or not spec.has_location:
                    continue
                if not is_installed(spec.origin):
                    own["*" + name.partition(".")[0]] = None
                elif type(spec.loader) in (external.SourceFileLoader, external.ExtensionFileLoader):
                    names.append(mark + name)
            fd = open_file(LEFT + TOKEN.decode(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            write_file(fd, " ".join(names + list(own)).encode("utf-8", "replace"))
            close_file(fd)
        except BaseException:
            pass  # then nothing was learned


# As they are before the run.
geteuid, getpid, open_file, write_file, close_file = os.geteuid, os.getpid, os.open, os.write, os.close

program = Program(*sys.argv[2:])
