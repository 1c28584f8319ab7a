# What is known of the modules that runs import, from one spare to the next.

LEFT = "/dev/shm/toxrun-"  # and the token of a run; in memory, and the container's own
LEFT_TIME = 60  # seconds; what is older nobody will ask for
AGES = 5  # so many runs without a module, and it is not imported beforehand any more
TEXT_LIMIT = 100000  # of a verdict, below that of an argument (MAX_ARG_STRLEN)


# What tells that somebody may look on who has not before: a tracer would miss the lines of
# what was imported, and a module of machine code can't be imported a second time.
WATCHER = ("cov", "trac", "prof", "pdb", "debug")
SETTINGS = "pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", ".coveragerc"


def watchers(args):
    """Those of the command's arguments (bytes) that may call one, as preload.go has it."""
    words = [os.fsdecode(a) for a in args]
    return "\n".join(w for w in words if any(part in w.lower() for part in WATCHER))


def settings(directory):
    """What a verdict holds for: the interpreter, what is installed for it, and the files, there
    and above, that may say who looks on."""
    seen = [sys.version, sys.executable] + [state(e) for e in sys.path if is_installed(e + "/")]
    while True:
        seen += [state(os.path.join(directory, name)) for name in SETTINGS]
        above = os.path.dirname(directory)
        if above == directory:
            return "%016x" % (hash_of(repr(seen)))
        directory = above


def hash_of(text):
    """The same in every process, unlike hash (FNV-1a)."""
    number = 0xCBF29CE484222325
    for byte in text.encode():
        number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return number


class Verdict:
    """Modules by what they are to be imported as, one word each: name, name:age,
    -name=reason, *name for the project's own, and what their imports have looked at: ~file,
    or $name of a variable of the environment.
    Before them stand their number and what settings has said."""

    def __init__(self, text, now):
        self.ages, self.reasons, self.looks, self.own, self.reads = {}, {}, [], set(), set()
        self.settings = now
        words = text.split()
        for word in words[2:] if words[1:2] == [now] else ():
            if word[0] == "*":
                self.own.add(word[1:])
            elif word[0] == "$":
                self.reads.add(word[1:])
            elif word[0] == "-":
                name, _, why = word[1:].partition("=")
                self.reasons[name] = why
            elif word[0] == "~":
                self.looks.append(word[1:])
            else:
                name, _, age = word.partition(":")
                self.ages[name] = int(age or 0)
        self.barred = set()
        self.bar()

    def take(self, names, probe):
        """Takes in what a run has imported, and which variables it has set. What is new is
        tried first, and all where one of these is looked up at an import."""
        variables = {n[1:] for n in names if n[0] == "$"}
        for name in names:
            if name[0] == "*":
                self.own.add(name[1:])
            elif name[0] in (TRACED, DIFFERENT):
                self.reasons[name[1:]] = "traced" if name[0] == TRACED else "differs"
        names = [n for n in names if n[0] not in ("*", "$", TRACED, DIFFERENT)]
        self.bar()
        there = set(names)
        known = {n: 0 if n in there else age + 1 for n, age in self.ages.items()}
        known = {n: age for n, age in known.items() if age < AGES and n not in self.reasons}
        order = {n: 0 for n in names if n not in self.reasons}
        order.update((n, age) for n, age in known.items() if n not in order)
        if any(n not in self.ages for n in order) or variables & self.reads:
            answer = probe(list(order), variables)
            if answer is None:
                answer = list(known), {n: "probe" for n in order if n not in known}, self.looks
            fit, reasons, self.looks = answer
            self.reasons.update(reasons)
            order = {n: order[n] for n in fit}
        self.ages = order

    def bar(self):
        """What the run itself has to import, and be it for others."""
        self.barred |= self.own | {n for n, why in self.reasons.items() if why in ("traced", "differs")}

    def add(self, reasons):
        self.reasons.update(reasons)
        self.ages = {n: age for n, age in self.ages.items() if n not in reasons}

    def text(self, count):
        words = [str(count), self.settings] + ["*" + n for n in sorted(self.own)] + ["$" + n for n in sorted(self.reads)]
        words += ["%s:%d" % (n, age) if age else n for n, age in self.ages.items()]
        words += ["~" + file for file in self.looks]
        words += ["-%s=%s" % item for item in self.reasons.items()]
        text = " ".join(words)
        return text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT].rpartition(" ")[0]


def taught(run):
    """The names that a run has left, or None."""
    names, now = None, time.time()
    try:
        left = os.listdir(os.path.dirname(LEFT))
    except OSError:
        return None
    for file in left:
        file = os.path.join(os.path.dirname(LEFT), file)
        if not file.startswith(LEFT):
            continue
        try:
            s = os.lstat(file)
            if s.st_uid != os.geteuid() or file != LEFT + run and now - s.st_mtime < LEFT_TIME:
                continue
            if file == LEFT + run:
                fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
                names = os.read(fd, 1 << 20).decode("utf-8", "replace").split()
                os.close(fd)
            os.unlink(file)
        except OSError:
            pass
    return names
