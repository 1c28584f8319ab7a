# preload.py PROGRAM MODULES SOURCE... runs in the interpreter of PROGRAM, a console
# script: it imports MODULES, a comma between two, says that it is there, waits on
# stdin for a command and becomes it. Where that is PROGRAM in the environment that
# it was started with, the script runs right here, else what execve(2) makes of it.
#
# This is a namespace of its own: __main__ is the script's. Little is imported for it,
# and nothing from the working directory. Python 3.6 reads it.

import sys

beside_script = sys.path[:1] == [""]  # for -c; a script has its directory there, but with -I or -P
if beside_script:
    del sys.path[0]

import _signal
import os
import time

IMPORT_TIME = 30  # seconds; then SIGALRM ends the interpreter
WAIT_TIME = 250  # tenths of a second; at a terminal, a line feed has it wait for as long again
TICK = 0.01  # by so much files look older than they are, on Linux
TOKEN = os.environb[b"TOXRUN_RUN"]
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


def state(file):
    try:
        s = os.stat(file)
    except (OSError, TypeError, ValueError):
        return None
    return s.st_mtime_ns, s.st_ino, s.st_size, s.st_dev


def names(directory):
    """The names in a directory that can matter to an import, or None."""
    try:
        return {n for n in os.listdir(directory) if n[:1] != "." and n != "__pycache__"}
    except OSError:
        return None


def module_files():
    # A lazy module's own __dict__ may import all that it stands for.
    variables = type(sys).__dict__["__dict__"].__get__
    main = sys.modules["__main__"]  # multiprocessing has another name for it
    for name, module in list(sys.modules.items()):
        if isinstance(module, type(sys)) and (module is not main or name == "__main__"):
            file = variables(module).get("__file__")
            if isinstance(file, str):
                yield name, file


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


class Script:
    """A console script that is ready to run as __main__."""

    def __init__(self, program, modules, *sources):
        began = time.time()
        self.cwd = os.getcwdb()
        self.take_environment()
        self.file = find(os.fsencode(program), os.environb) or refuse(program + ": not found")
        self.name = os.fsdecode(self.file)
        if not os.path.isabs(self.name):
            refuse(self.name + ": not an absolute path")
        try:
            with open(self.file, "rb") as f:
                self.code = compile(f.read(), self.name, "exec", dont_inherit=True)
        except Exception as e:
            refuse("%s: %s: %s" % (self.name, type(e).__name__, e))
        if beside_script:
            sys.path.insert(0, os.path.dirname(os.path.realpath(self.name)))
        self.make_main()
        _signal.alarm(IMPORT_TIME)
        for module in modules.split(","):
            try:
                __import__(module)
            except BaseException as e:
                refuse("import %s: %s: %s" % (module, type(e).__name__, e))
        _signal.alarm(0)
        self.check_modules(began, sources)
        self.files = {file: state(file) for file in [self.name] + [file for _, file in module_files()]}
        self.path = {entry: (state(entry), names(entry)) for entry in sys.path}
        for stream in sys.stdout, sys.stderr:
            stream.flush()
        # What ends the run before the script is there ends it without a traceback.
        self.on_interrupt = _signal.getsignal(_signal.SIGINT)
        if self.on_interrupt is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

    def take_environment(self):
        """Takes preload.sh's variables, and the container's own for another environment."""
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
        """Makes __main__ and sys.argv what they are for a script."""
        self.main = sys.modules["__main__"].__dict__
        self.fresh = {k: v for k, v in self.main.items() if k[:2] == "__"}
        loader = sys.modules["_frozen_importlib_external"].SourceFileLoader
        self.fresh.update(__loader__=loader("__main__", self.name), __file__=self.name)
        if sys.version_info < (3, 15):
            self.fresh["__cached__"] = None
        self.main.update(self.fresh)
        self.interpreter = getattr(sys, "orig_argv", [])[:-len(sys.argv) - 1]
        self.set_arguments([])

    def set_arguments(self, args):
        sys.argv[:] = [self.name] + args
        if self.interpreter:
            sys.orig_argv[:] = self.interpreter + sys.argv

    def check_modules(self, began, sources):
        """Refuses modules that may be others at the next run."""
        library = os.path.dirname(os.path.realpath(os.__file__)) + os.sep
        sources = tuple(os.path.join(os.path.realpath(s), "") for s in sources)
        for name, file in module_files():
            real = os.path.realpath(file)
            installed = {"site-packages", "dist-packages"}.intersection(real.split(os.sep))
            if real.startswith(sources) and not installed and not real.startswith(library) and name != "__main__":
                refuse("module %s is the project's own: %s" % (name, file))
            try:
                changed = os.stat(file).st_ctime
            except OSError:
                continue
            if changed > began - TICK:
                refuse("module %s has just been changed: %s" % (name, file))

    def is_current(self, env):
        """Whether what is imported is what would be imported now."""
        path = env.get(b"PYTHONPATH")
        if path and os.getcwdb() != self.cwd and not all(p[:1] == b"/" for p in path.split(b":")):
            return False
        # A save may change a directory, but not what is in it.
        return all(state(file) == then for file, then in self.files.items()) and all(
            state(entry) == then or there is not None and names(entry) == there
            for entry, (then, there) in self.path.items()
        )

    def wake(self):
        """Waits for the command. Returns the script's code, or not at all."""
        usual = raw() if os.isatty(0) else None
        os.write(1, TOKEN)
        os.write(2, TOKEN + b"\n")
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
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(cwd or self.cwd)
            file = find(argv[0], env)
            here = same == b"same" and file == self.file and self.is_current(env)
            if not here and not (file and starts(file)):
                os._exit(0)
        except (OSError, IndexError):
            os._exit(0)
        if not here:
            execute(file, argv, env)
        call(NAME)
        self.settle(env)
        self.set_arguments([os.fsdecode(a) for a in argv[1:]])
        self.main.clear()
        self.main.update(self.fresh)
        os.write(2, TOKEN)
        if self.on_interrupt is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, self.on_interrupt)
        return self.code

    def settle(self, env):
        """Sets anew what modules remember of the start of the process."""
        for name in b"TOXRUN_CHANGED", b"TOXRUN_CLIENT":
            if name in env:
                os.environb[name] = env[name]
        if self.by_shell:
            os.environb[b"PWD"] = os.getcwdb()
        for finder in sys.meta_path:
            if hasattr(finder, "invalidate_caches"):
                finder.invalidate_caches()
        linecache = sys.modules.get("linecache")  # 3.13 knows the source of -c there
        for name in "cache", "_interactive_cache":
            getattr(linecache, name, {}).clear()
        logging = sys.modules.get("logging")
        if hasattr(logging, "_startTime"):
            clock = time.time_ns if isinstance(logging._startTime, int) else time.time
            logging._startTime = clock()
        process = sys.modules.get("multiprocessing.process")
        if hasattr(process, "ORIGINAL_DIR"):
            process.ORIGINAL_DIR = os.getcwd()

    def __enter__(self):
        pass

    def __exit__(self, kind, value, traceback):
        """Takes the frame of main.py off the traceback that is about to be printed."""
        if kind is None or issubclass(kind, SystemExit):
            return
        value.__traceback__ = traceback.tb_next
        if sys.version_info >= (3, 11):
            return
        hook = sys.excepthook

        def unseen(kind, value, traceback):
            sys.excepthook = hook
            sys.last_traceback = value.__traceback__ = traceback.tb_next
            hook(kind, value, traceback.tb_next)

        sys.excepthook = unseen


script = Script(*sys.argv[2:])
