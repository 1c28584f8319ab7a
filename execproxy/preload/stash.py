# A Stash has modules that were imported before the run begins. They are out of
# sys.modules again, and all that their import has done to the interpreter is undone:
# to the run nothing is imported yet. When it imports one, the ready module is put
# where the import would have put it, with all others that this import would have
# brought, and what they have done is done: warnings are raised, filters for warnings
# set, handlers for the exit registered. Where that can't be the same as an import now,
# the module is imported by Python as ever.
#
# The finders of importlib are asked as ever; what they find has a loader that gives the
# ready module. So what is found elsewhere by now, or by somebody else's finder, is not
# from here. Python 3.6 reads it.

import _imp
import _signal
import os
import sys
import time

bootstrap = sys.modules["_frozen_importlib"]
external = sys.modules["_frozen_importlib_external"]
FINDERS = bootstrap.BuiltinImporter, bootstrap.FrozenImporter, external.PathFinder
STREAMS = "stdin", "stdout", "stderr"
FRAME = type(sys._getframe())
LOAD = bootstrap._find_and_load_unlocked.__code__
LOOKED_FOR = "__name__", "__loader__", "__package__", "__path__", "__file__", "__cached__"
LIBRARY = os.path.dirname(os.path.realpath(os.__file__)) + os.sep

# A lazy module's own __dict__ may import all that it stands for.
variables = type(sys).__dict__["__dict__"].__get__


def is_module(value):
    """Whatever its __class__ says."""
    return issubclass(type(value), type(sys))


def settle_logging(module):
    clock = time.time_ns if isinstance(module._startTime, int) else time.time
    module._startTime = clock()


def settle_process(module):
    module.ORIGINAL_DIR = os.getcwd()


# What is known of the standard library: what it remembers of the start is set when a run
# imports it.
SETTLED = {("logging", "clock")}
SETTLES = {"logging": settle_logging, "multiprocessing.process": settle_process}

# Modules in which a run changes this and that before it imports anything.
UNSTEADY = {"__main__", "sys", "threading", "warnings"} | set(SETTLES)


def state(file):
    try:
        s = os.stat(file)
    except (OSError, TypeError, ValueError):
        return None
    return s.st_mtime_ns, s.st_ino, s.st_size, s.st_dev


def is_installed(file):
    return "/site-packages/" in file or "/dist-packages/" in file or file.startswith(LIBRARY)


def is_traced():
    """Whether somebody looks on who would miss that a module's code runs."""
    monitoring = getattr(sys, "monitoring", None)
    return (
        sys.gettrace() is not None
        or sys.getprofile() is not None
        or monitoring is not None and any(monitoring.get_tool(tool) for tool in range(6))
    )


# Marks of a request, for the next spare: the module is to be imported by the run.
TRACED = "!"  # somebody has looked on
DIFFERENT = "?"  # an import now might do otherwise


class Kept:
    """A module that was imported before, or one whose import has failed."""

    def __init__(self, name):
        self.name = name
        self.module = None  # it has failed
        self.file = self.state = None  # it has none
        self.entry = None  # of sys.path, where it is a file's and not a package's
        self.native = False  # it is made of machine code, and can't be made twice
        self.reads = {}  # variables of the environment, and what they were
        self.needs = set()  # names of all that its import imports
        self.asked = []  # what it asked importlib for: its name, in what, whether it was there
        self.loggers = []  # that its import has made, by their names
        self.events = []  # what it has done: when, how, with what
        self.attribute = False  # its package has it by more than the package's own import


class Variables(dict):
    """The environment, while it is noted what imports look up in it."""

    def __init__(self, plain, top):
        dict.__init__(self, plain)
        self.top = top

    def __getitem__(self, key):
        kept = self.top()
        if kept is not None:
            kept.reads.setdefault(key, dict.get(self, key))
        return dict.__getitem__(self, key)


class Stash:
    def __init__(self, refusal, began):
        """refusal(name, file) is why a module is not to be executed, or None; what has
        changed since began is none of it."""
        self.refusal, self.began = refusal, began
        self.kept, self.changed = {}, set()
        self.given = {}  # to the run
        self.shapes = {}  # what shape says of each module, right before the run
        self.searched = set()  # names that importlib has looked for; others their makers have put there
        self.requests = {}  # names that imports have looked for in sys.path, in order: a mark
        self.importing = False
        self.stack = []  # of those being executed
        self.now = 0  # counts events
        self.streams = []  # those that imports have seen
        self.extra = [], []  # filters for warnings that were added, before the usual ones and after
        self.reasons = {}  # why modules are not in it, by name
        self.looks = []  # files that were read at import, and what they were
        for finder in FINDERS:
            self.watch_finder(finder)

    # Before the run.

    def begin(self):
        """From here on what is imported is for the stash."""
        self.importing = True
        self.known = set(sys.modules)
        self.count = len(self.known)
        self.base = dict(sys.modules)
        self.entries = {e: (state(e), listing(e)) for e in sys.path}
        self.finders, self.added = list(sys.meta_path), []
        self.exits_before = len(self.exits())
        self.streams = [getattr(sys, name) for name in STREAMS]
        self.held, self.holders = [sys.getrefcount(s) for s in self.streams], {}
        self.collector = __import__("gc")
        self.logs_before = dict(self.loggers() or {})
        self.logs = dict(self.logs_before)
        finalize = getattr(sys.modules.get("weakref"), "finalize", None)
        self.finalizes = getattr(finalize, "_registered_with_atexit", False)
        self.environ = os.environ._data
        os.environ._data = self.watched_environ()
        builtins = sys.modules["builtins"]
        self.plain_import = builtins.__import__
        builtins.__import__ = self.watched_import
        self.plain_gcd_import = bootstrap._gcd_import
        bootstrap._gcd_import = self.watched_gcd_import
        # These two first: they are asked to tell what the others do.
        self.warnings = None
        warnings = __import__("warnings")
        self.always = ("always", None, Warning, None, 0)
        self.warnings, self.usual = warnings, list(warnings.filters)
        self.plain_show, warnings._showwarnmsg = warnings._showwarnmsg, self.warned
        self.shows = warnings.showwarning, warnings._showwarnmsg_impl
        self.put_first(warnings.filters)
        self.atexit = __import__("atexit")
        self.plain_register, self.atexit.register = self.atexit.register, self.register

    def end(self):
        """Puts away what was imported, and undoes what that has done. It returns the name of a
        module of machine code that is not in here for all that: it can't be imported by a run
        of this interpreter any more."""
        self.boundary()
        sys.modules["builtins"].__import__ = self.plain_import
        bootstrap._gcd_import = self.plain_gcd_import
        os.environ._data = self.environ
        self.atexit.register = self.plain_register
        self.warnings._showwarnmsg = self.plain_show
        self.warnings.filters[:] = self.usual
        del sys.meta_path[len(self.finders):]
        loggers = self.loggers()
        if loggers is not None:
            loggers.clear()
            loggers.update(self.logs_before)
        self.spread()
        for name, kept in self.kept.items():
            kept.module = sys.modules.pop(name, None)
            if is_module(kept.module):
                variables(kept.module).pop("__warningregistry__", None)
        within = {}
        for name, kept in self.kept.items():
            package, _, child = name.rpartition(".")
            parent = self.module(package)
            if kept.module is None or kept.file is None or not is_module(parent):
                continue
            if package not in within:
                within[package] = self.reaches(package)
            attributes = variables(parent)
            if name not in within[package] and attributes.get(child) is kept.module:
                del attributes[child]
                kept.attribute = True
        self.importing = False
        spoiled = next((name for name, kept in self.kept.items() if kept.native and name in self.reasons), None)
        for name in self.reasons:
            self.kept.pop(name, None)
        for name, module in list(self.base.items()) + [(kept.name, kept.module) for kept in self.kept.values()]:
            if name not in UNSTEADY and is_module(module):
                self.shapes[name] = shape(module)
        return spoiled

    def module(self, name):
        kept = self.kept.get(name)
        return kept.module if kept else self.base.get(name)

    def reaches(self, name):
        """What the import of name imports."""
        names, seen = [name], {name}
        for n in names:
            kept = self.kept.get(n)
            for needed in kept.needs if kept else ():
                if needed not in seen:
                    seen.add(needed)
                    names.append(needed)
        return seen

    def watch_finder(self, finder):
        find = finder.find_spec

        def find_spec(cls, fullname, path=None, target=None):
            spec = find(fullname, path, target)
            if target is None:
                if self.importing:
                    self.found(finder, fullname, path, spec)
                else:
                    if finder is external.PathFinder and fullname not in self.requests:
                        self.requests[fullname] = TRACED if is_traced() else ""
                    if spec is not None and fullname in self.kept:
                        if sys._getframe(2).f_code is LOAD:  # others only want to know
                            self.offer(fullname, spec)
            return spec

        find_spec.__qualname__, find_spec.__module__ = finder.__name__ + ".find_spec", finder.__module__
        finder.find_spec = classmethod(find_spec)

    def top(self):
        return self.stack[-1] if self.stack else None

    def found(self, finder, fullname, path, spec):
        top = self.top()
        if spec is not None or finder is external.PathFinder:
            self.searched.add(fullname)
            if top is not None:
                top.asked.append((fullname, path, spec is not None))
        is_file = spec is not None and finder is external.PathFinder and spec.has_location
        why = self.refusal(fullname, spec.origin if is_file else None)
        if spec is None:
            if why and finder is external.PathFinder:
                self.unfit("project")
            return
        if top is not None:
            top.needs.add(fullname)
        loader = spec.loader
        if not is_file:
            return
        if why:
            self.refused(fullname, why)
        execute, create = loader.exec_module, loader.create_module
        entered = []

        def enter():
            if not entered:
                entered.append(self.enter(fullname, spec))
            return entered[0]

        def create_module(spec):
            del loader.create_module
            kept = enter()  # a module of C may do all of it here
            try:
                return create(spec)
            except BaseException:
                self.leave(kept)
                raise

        def exec_module(module):
            del loader.exec_module
            kept = enter()
            try:
                execute(module)
            finally:
                self.leave(kept)

        loader.exec_module = exec_module
        if isinstance(loader, external.ExtensionFileLoader):
            loader.create_module = create_module

    def refused(self, name, why):
        """Ends an import: that of a module which is not to be executed here."""
        for kept in self.stack:
            self.reasons.setdefault(kept.name, "needs:" + name)
        self.reasons.setdefault(name, "refused")
        raise Refusal(why)

    def unfit(self, why):
        """Takes in that what is being imported does what can't be done again."""
        top = self.top()
        if top is not None and (top.name, why) not in SETTLED:
            self.reasons.setdefault(top.name, why)

    def spread(self):
        """What needs a module that is unfit is unfit."""
        by = {}
        for name, kept in self.kept.items():
            for needed in kept.needs:
                by.setdefault(needed, []).append(name)
        names = list(self.reasons)
        for unfit in names:
            for name in by.get(unfit, ()):
                if name not in self.reasons:
                    self.reasons[name] = "needs:" + unfit
                    names.append(name)

    def bring(self, name):
        """Imports a module, or returns why that is not to be had."""
        try:
            __import__(name)
        except BaseException as e:
            self.reasons.setdefault(name, "fails")
            return e
        finally:
            del self.stack[:]
            self.boundary()

    def enter(self, name, spec):
        self.known.add(name)
        self.boundary()
        kept = self.kept[name] = self.kept.get(name) or Kept(name)
        kept.file, kept.state = spec.origin, state(spec.origin)
        if kept.state and os.stat(spec.origin).st_ctime > self.began:
            self.reasons[name] = "changed"
        package, _, child = name.rpartition(".")
        parent = sys.modules.get(package)
        if parent is not None and not (is_module(parent) and is_module(variables(parent).get(child, sys))):
            self.reasons[name] = "attribute"  # what the package has there is gone, or can't be seen
        kept.native = isinstance(spec.loader, external.ExtensionFileLoader)
        if "." not in name:
            kept.entry = os.path.dirname(os.path.dirname(spec.origin) if spec.submodule_search_locations else spec.origin)
        if package:
            kept.needs.add(package)
        self.stack.append(kept)
        return kept

    def leave(self, kept):
        self.boundary()
        self.stack.pop()
        self.note(kept, self.is_there)
        self.boundary()

    def note(self, kept, do, *what):
        self.now += 1
        kept.events.append((self.now, do, kept) + what)

    def boundary(self):
        """Takes in what has been done since the last one, by the top of the stack."""
        top = self.top()
        if len(sys.modules) != self.count:
            self.count = len(sys.modules)
            for name in [n for n in sys.modules if n not in self.known]:
                # One of another finder, or one that its maker has put there.
                self.known.add(name)
                kept = self.kept[name] = Kept(name)
                if top is not None:
                    top.needs.add(name)
                self.note(kept, self.is_there)
        if self.warnings is None:
            return
        finalize = getattr(sys.modules.get("weakref"), "finalize", None)
        if finalize and not self.finalizes:
            finalize._registered_with_atexit = False  # for the next one to tell, too
        filters, (front, back) = self.warnings.filters, self.extra
        if filters != [self.always] + front + self.usual + back:
            rest, n = [f for f in filters if f is not self.always], len(self.usual)
            at = next((i for i in range(len(rest) - n + 1) if rest[i:i + n] == self.usual), None)
            if at is None:
                self.unfit("warnings")
                filters[:] = front + self.usual + back
            else:
                extra = rest[:at], rest[at + n:]
                if extra != self.extra and top is not None:
                    self.note(top, self.filter, self.extra, extra)
                self.extra = extra
            self.put_first(filters)
        for i in range(len(self.streams)):
            count = sys.getrefcount(self.streams[i])
            if count > self.held[i] and top is not None:
                self.note_holders(top, i)
            self.held[i] = count
        loggers = self.loggers()
        if loggers is not None and len(loggers) != len(self.logs):
            for name, logger in list(loggers.items()):
                if name not in self.logs or type(self.logs[name]) is not type(logger):
                    self.logs[name] = logger
                    if top is not None and hasattr(logger, "manager"):  # else it is a placeholder
                        top.loggers.append((name, logger))
                        self.note(top, self.log, name, logger)
        waiting = self.exits()
        if len(waiting) > self.exits_before:
            for f in waiting[self.exits_before:]:
                if top is not None:
                    self.note(top, self.at_exit, f)
            del waiting[self.exits_before:]
        finders = self.finders + self.added
        if sys.meta_path != finders:
            if sys.meta_path[:len(finders)] != finders:
                self.unfit("finders")
                sys.meta_path[:] = finders
            else:
                for f in sys.meta_path[len(finders):]:
                    self.added.append(f)
                    if top is not None:
                        self.note(top, self.find_by, f)

    def loggers(self):
        """Those that the logging module knows by their names, or None."""
        root = getattr(sys.modules.get("logging") or self.module("logging"), "root", None)
        return getattr(getattr(root, "manager", None), "loggerDict", None)

    def note_holders(self, top, i):
        """Notes what has taken a standard stream, which may be another one in the run."""
        for holder in self.collector.get_referrers(self.streams[i]):
            if holder is self.streams or holder is sys.__dict__ or id(holder) in self.holders or type(holder) is FRAME:
                continue
            self.holders[id(holder)] = holder
            put, keys = dict.__setitem__, ()
            if type(holder) is dict:
                keys = keys_of(holder, self.streams[i])
            elif type(holder) is tuple:
                put, holder = take_default, function_of(holder, self.collector)
                keys = (None,) if holder is not None else ()
            elif isinstance(getattr(holder, "__dict__", None), dict):
                put, keys = setattr, keys_of(holder.__dict__, self.streams[i])
                self.holders[id(holder.__dict__)] = holder.__dict__
            if not keys:
                self.unfit("streams")
            for key in keys:
                self.note(top, self.take_stream, put, holder, key, i)

    def exits(self):
        """What the threading module has been told to call at the exit."""
        return getattr(sys.modules.get("threading"), "_threading_atexits", [])

    def put_first(self, filters):
        """Has each warning shown, whatever the filters say."""
        filters[:] = [self.always] + [f for f in filters if f is not self.always]

    def mutated(self):
        for name in "_filters_mutated", "_filters_mutated_lock_held":
            if hasattr(self.warnings, name):
                getattr(self.warnings, name)()
                break

    def watched_environ(self):
        return Variables(self.environ, self.top)

    def watched_import(self, name, globals=None, locals=None, fromlist=(), level=0):
        top = self.top()
        if top is None or not self.importing:
            return self.plain_import(name, globals, locals, fromlist, level)
        try:
            whole = bootstrap._resolve_name(name, bootstrap._calc___package__(globals), level) if level else name
        except (ImportError, ValueError):
            return self.plain_import(name, globals, locals, fromlist, level)
        parts = whole.split(".")
        self.wants(top, [".".join(parts[:n + 1]) for n in range(len(parts))])
        module = self.plain_import(name, globals, locals, fromlist, level)
        self.wants(top, [n for n in ["%s.%s" % (whole, n) for n in fromlist or ()] if n in self.kept])
        return module

    def watched_gcd_import(self, name, package=None, level=0):
        """Is that of importlib.import_module."""
        top = self.top()
        if top is not None and self.importing and isinstance(name, str):
            parts = (bootstrap._resolve_name(name, package, level) if level and package else name).split(".")
            self.wants(top, [".".join(parts[:n + 1]) for n in range(len(parts))])
        return self.plain_gcd_import(name, package, level)

    def wants(self, top, names):
        """Takes in that top imports what is there already."""
        for name in names:
            if name in sys.modules:
                top.needs.add(name)
                top.asked.append((name, None, True))

    def warned(self, told):
        """Notes a warning that an import raises."""
        top, frame = self.top(), sys._getframe(1)
        if top is None or (self.warnings.showwarning, self.warnings._showwarnmsg_impl) != self.shows:
            return self.plain_show(told)  # somebody catches it
        if any(f[0] == "error" for f in self.warnings.filters):
            self.unfit("warns")  # it would be raised
        while frame is not None and (frame.f_code.co_filename != told.filename or frame.f_lineno != told.lineno):
            frame = frame.f_back
        by = frame and self.kept.get(frame.f_globals.get("__name__"))
        if not by:
            self.unfit("warns")  # of a place that is not in here
        else:
            self.note(top, self.warn, told, frame.f_globals, by.name)

    def register(self, func, *args, **kwargs):
        """Is atexit.register in the meantime."""
        frame, top = sys._getframe(1), self.top()
        if top is None:
            return self.plain_register(func, *args, **kwargs)
        if frame.f_globals.get("__name__") == "weakref":
            self.note(top, self.finalize)
            return func
        if frame.f_code.co_name != "<module>" or frame.f_globals.get("__name__") != top.name:
            self.unfit("atexit")  # it may be for others, too
        self.note(top, self.call_at_exit, func, args, kwargs)
        return func

    # What a module has done, done again.

    def is_there(self, kept):
        if kept.name in SETTLES:
            SETTLES[kept.name](kept.module)
        if kept.attribute:
            package, _, child = kept.name.rpartition(".")
            setattr(sys.modules[package], child, kept.module)

    def filter(self, kept, before, after):
        filters = self.warnings.filters
        for side in 0, 1:
            for f in [f for f in before[side] if f not in after[side]] + [f for f in after[side] if f not in before[side]]:
                if f in filters and (f in before[side] or side == 0):
                    filters.remove(f)
        filters[:0] = [f for f in after[0] if f not in before[0]]
        filters.extend(f for f in after[1] if f not in before[1] and f not in filters)
        self.mutated()

    def warn(self, kept, told, space, by):
        source = object() if told.source is not None else None  # that one is gone
        told.source = None
        registry = space.setdefault("__warningregistry__", {})
        self.warnings.warn_explicit(told.message, told.category, told.filename, told.lineno, space["__name__"], registry, source=source)

    def call_at_exit(self, kept, func, args, kwargs):
        self.atexit.register(func, *args, **kwargs)

    def finalize(self, kept):
        finalize = sys.modules["weakref"].finalize
        if not finalize._registered_with_atexit:
            self.atexit.register(finalize._exitfunc)
            finalize._registered_with_atexit = True

    def take_stream(self, kept, put, holder, key, i):
        now = getattr(sys, STREAMS[i])
        if now is not self.streams[i]:
            put(holder, key or self.streams[i], now)
            self.shapes.pop(kept.name, None)

    def log(self, kept, name, logger):
        """Registers a logger as its manager does one that is new."""
        manager = logger.manager
        place = manager.loggerDict.get(name)
        if place is not logger and hasattr(place, "handlers"):  # the run has made it before
            for handler in logger.handlers:
                place.addHandler(handler)
            if logger.level:
                place.setLevel(logger.level)
            logger.__dict__ = place.__dict__
            return
        manager.loggerDict[name] = logger
        getattr(logger, "_cache", {}).clear()  # 3.7 has it
        if place is not None and place is not logger:
            manager._fixupChildren(place, logger)
        manager._fixupParents(logger)

    def at_exit(self, kept, func):
        self.exits().append(func)

    def find_by(self, kept, finder):
        sys.meta_path.append(finder)

    # In the run.

    def is_current(self):
        """Whether all files that were read are what they were."""
        return all(state(file) == then for file, then in self.looks) and all(
            kept.file is None or state(kept.file) == kept.state for kept in self.kept.values()
        )

    def wake(self):
        """Is called right before the run begins."""
        if self.kept:
            self.changed = {e for e, (then, there) in self.entries.items() if state(e) != then and listing(e) != there}

    def offer(self, name, spec):
        """Has a spec that importlib loads give the ready module, if it is the same."""
        kept, loader = self.kept[name], spec.loader
        module = kept.module
        if module is None or spec.has_location and spec.origin != kept.file:
            return
        if not isinstance(loader, external.FileLoader):
            loader = spec.loader = Loader(loader)

        def create_module(spec):
            del loader.create_module
            if self.give(name):
                loader.exec_module = exec_module
                return module if plain else None
            if isinstance(loader, Loader):
                spec.loader = loader.real
            return getattr(loader, "create_module", no_module)(spec)

        def exec_module(made):
            del loader.exec_module
            if plain:
                space["__spec__"] = own
            sys.modules[name] = module

        space = variables(module) if is_module(module) else {}
        own = space.get("__spec__")
        # importlib sets the spec, and looks for these.
        plain = type(module) is type(sys) and own is not None and ("__getattr__" not in space or all(space.get(a) is not None for a in LOOKED_FOR))
        loader.create_module = create_module

    def give(self, name):
        """Does what the import of name would do, and tells whether it has."""
        todo = self.take(name)
        if todo is None:
            self.kept.pop(name, None)
            self.requests[name] = self.requests.get(name) or DIFFERENT
            return False
        for event in todo:
            event[1](*event[2:])
        return True

    def take(self, root):
        """Puts what is given along with root where an import puts it, and returns what
        that has done, in its order; None if root is not given. Another thread's import
        of any of it comes first: in its middle, it does not expect to find it there."""
        while True:
            _imp.acquire_lock()  # no import begins
            try:
                todo = self.ready(root)
                if todo is None:
                    return None
                busy = [kept.name for kept in todo if kept.name != root and is_under_way(kept.name)]
                if not busy:
                    events = sorted((e for kept in todo for e in kept.events), key=lambda e: e[0])
                    for _, do, kept in (e[:3] for e in events):
                        if do == self.is_there and kept.module is not None:
                            self.given[kept.name] = sys.modules[kept.name] = kept.module
                    for kept in todo:
                        del self.kept[kept.name]
                    return events
            finally:
                _imp.release_lock()
            try:
                with bootstrap._ModuleLockManager(busy[0]):
                    pass
            except RuntimeError:
                return None  # it waits for this one

    def ready(self, root):
        """What is given along with root; None if an import now might do otherwise. What is
        made of machine code can't be imported a second time: where it would be the same
        modules, it is given all the same, and left to the next run."""
        if sys.modules["builtins"].__import__ is not self.plain_import:
            return None
        names, seen, todo, there = [root], {root}, [], []
        for name in names:
            kept = self.kept.get(name)
            if kept is not None:
                todo.append(kept)
                for needed in kept.needs:
                    if needed not in seen:
                        seen.add(needed)
                        names.append(needed)
            elif name in self.given:
                given = self.given[name]
                if given is not None and sys.modules.get(name) is not given:
                    return None
                there.append(name)
            elif name not in self.base:
                return None
            else:
                there.append(name)
        native = any(kept.native for kept in todo)
        if not native and (is_traced() or any(self.is_changed(name) for name in there)):
            return None
        different = []
        environ, loggers = os.environ._data, self.loggers() or {}
        path = set(sys.path)
        new = [e for e in sys.path if e not in self.entries or e in self.changed]
        strict = any(f[0] == "error" for f in self.warnings.filters)
        for kept in todo:
            name = kept.name
            if kept.file is not None and state(kept.file) != kept.state or kept.entry is not None and kept.entry not in path:
                return None
            if name != root and sys.modules.get(name, kept.module) is not kept.module:
                return None
            if new and "." not in name and found_in(new, name, kept):
                return None
            if (
                any(not found and self.is_foreign(asked) for asked, _, found in kept.asked)
                or any(environ.get(key) != was for key, was in kept.reads.items())
                or any(loggers.get(n, l) is not l and type(loggers[n]).__name__ != "PlaceHolder" for n, l in kept.loggers)
                or any(e[1] == self.warn and (strict or e[-1] != name and e[-1] not in seen) for e in kept.events)
            ):
                different.append(name)
        if different and not native or not self.is_passed_by(seen, root, new):
            return None
        for name in different:
            self.requests[name] = self.requests.get(name) or DIFFERENT
        return todo

    def is_foreign(self, name):
        """Whether the run itself has put a module there."""
        return name in sys.modules and name not in self.given and name not in self.kept and name not in self.base

    def is_changed(self, name):
        """Whether the run has set or deleted anything in a module."""
        module, then = sys.modules.get(name), self.shapes.get(name)
        if then is None or not is_module(module):
            return False
        names, values = then
        now = variables(module)
        if tuple(map(id, now.values()))[:len(values)] == values:
            return False
        for key, value in zip(names, values):
            if key[:2] != "__" and (key not in now or id(now[key]) != value):
                return True
        self.shapes[name] = shape(module)
        return False

    def asks(self, root):
        """What the import of root asks importlib for, in its order."""
        begun, under_way = {root}, [iter(self.kept[root].asked)]
        while under_way:
            for name, path, there in under_way[-1]:
                yield name, path, there
                if there and name in self.kept and name not in begun:
                    begun.add(name)
                    under_way.append(iter(self.kept[name].asked))
                    break
            else:
                under_way.pop()

    def is_passed_by(self, seen, root, new):
        """Whether finders and entries of sys.path that are new have nothing of what was
        looked for. They are asked for it in the order in which an import now would ask."""
        try:
            at = sys.meta_path.index(bootstrap.BuiltinImporter)
        except ValueError:
            return False
        first = [f for f in sys.meta_path[:at] if f not in self.finders]
        last = [f for f in sys.meta_path[at:] if f not in self.finders]
        if not (first or last or new):
            return True
        done = set()
        for name, path, there in self.asks(root):
            if name == root or name in sys.modules or name in done or there and not (name in seen and name in self.searched):
                continue
            if there:
                done.add(name)
            package = name.rpartition(".")[0]
            if path is None and package:
                path = getattr(self.module(package), "__path__", None)
            if any(found_by(f, name, path) for f in first):
                return False
            if not there and (new and "." not in name and found_in(new, name, None) or any(found_by(f, name, path) for f in last)):
                return False
        return True


def is_under_way(name):
    """Whether another thread imports a module. This one may be about to: before it looks for
    a module it imports the package, which may import that module."""
    lock = bootstrap._module_locks.get(name)
    return getattr(lock and lock(), "owner", None) not in (None, bootstrap._thread.get_ident())


def shape(module):
    """The names in a module, and what they stand for."""
    space = variables(module)
    return tuple(space), tuple(map(id, space.values()))


def found_in(entries, name, kept):
    """Whether name is in these entries of sys.path; a mere directory hides no module."""
    spec = plain_find(name, entries)
    return spec is not None and (kept is None or kept.file is None or spec.has_location)


plain_find = external.PathFinder.find_spec


def found_by(finder, name, path):
    try:
        find = getattr(finder, "find_spec", None)
        return find is not None and find(name, path) is not None
    except BaseException:
        return True  # the import will ask it again


class Loader:
    """One with attributes of its own, where the real one is a class or None."""

    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def exec_module(self, module):
        if self.real is not None:
            self.real.exec_module(module)


def no_module(spec):
    return None


def keys_of(space, value):
    return [k for k, v in space.items() if v is value]


def function_of(defaults, collector):
    """The function that has these defaults."""
    for function in collector.get_referrers(defaults):
        if type(function) is FUNCTION and function.__defaults__ is defaults:
            return function


def take_default(function, was, now):
    function.__defaults__ = tuple(now if d is was else d for d in function.__defaults__)


FUNCTION = type(keys_of)


def listing(directory):
    """The names in a directory that can matter to an import, or None."""
    try:
        return {n for n in os.listdir(directory) if n[:1] != "." and n != "__pycache__"}
    except OSError:
        return None


class Refusal(BaseException):
    """Is why there can be no stash."""
