# What is known of the modules that runs import, from one spare to the next.

LEFT = "/dev/shm/toxrun-"  # and the token of a run; in memory, and the container's own
LEFT_TIME = 60  # seconds; what is older nobody will ask for
AGES = 5  # so many runs without a module, and it is not imported beforehand any more
TEXT_LIMIT = 100000  # of a verdict, below that of an argument (MAX_ARG_STRLEN)


class Verdict:
    """Modules by what they are to be imported as, one word each: name, name:age,
    -name=reason, or ~file for what their imports have looked at."""

    def __init__(self, text):
        self.ages, self.reasons, self.looks = {}, {}, []
        for word in text.split()[1:]:
            if word[0] == "-":
                name, _, why = word[1:].partition("=")
                self.reasons[name] = why
            elif word[0] == "~":
                self.looks.append(word[1:])
            else:
                name, _, age = word.partition(":")
                self.ages[name] = int(age or 0)

    def take(self, names, probe):
        """Takes in what a run has imported. What is new is tried first."""
        there = set(names)
        known = {n: 0 if n in there else age + 1 for n, age in self.ages.items()}
        known = {n: age for n, age in known.items() if age < AGES}
        order = {n: 0 for n in names if n not in self.reasons}
        order.update((n, age) for n, age in known.items() if n not in order)
        if any(n not in self.ages for n in order):
            answer = probe(list(order))
            if answer is None:
                answer = list(known), {n: "probe" for n in order if n not in known}, self.looks
            fit, reasons, self.looks = answer
            self.reasons.update(reasons)
            order = {n: order[n] for n in fit}
        self.ages = order

    def add(self, reasons):
        self.reasons.update(reasons)
        self.ages = {n: age for n, age in self.ages.items() if n not in reasons}

    def text(self, count):
        words = [str(count)]
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
