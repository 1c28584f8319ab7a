# Two commands on a fresh machine: `make install`, and `make demo` to see it work.

GO ?= go
# Without git, or in a checkout that git does not trust, there is nothing to stamp.
BUILDVCS := $(shell git status >/dev/null 2>&1 || echo -buildvcs=false)

.PHONY: build install uninstall setup demo test test-plain test-standby test-engines bench lint

build:
	CGO_ENABLED=0 $(GO) build -trimpath $(BUILDVCS) -o bin/ ./cmd/...

# PREFIX=DIR chooses where bin/docker-toxrun goes; see scripts/install.sh.
install: build
	@scripts/install.sh install bin

uninstall:
	@scripts/install.sh uninstall

# An Engine, Compose and the images that the tests and the demo use.
setup:
	@scripts/engine.sh
	@scripts/compose.sh
	@scripts/images.sh

demo: setup install
	@PATH="$${PREFIX:-/usr/local}/bin:$$HOME/.local/bin:$$PATH" scripts/demo.sh

# Everything. With TOXRUN_TEST_ENGINE=required a test that needs the Engine fails
# where it can't have it; without, it skips.
test: setup
	@scripts/tools.sh
	@scripts/cc.sh
	$(GO) vet ./...
	@$(MAKE) --no-print-directory -j2 test-plain test-standby

# Most tests wait for processes: more of them than there are processors run at a time.
GOTEST = TOXRUN_TEST_ENGINE=required CGO_ENABLED=1 $(GO) test -race -count=1 -parallel 4 -timeout 30m

# The one that takes longest is first, the one that waits most second.
test-plain:
	$(GOTEST) ./cmd/docker-toxrun ./watch ./...

# What a run does, once more with every command in an exec that was waiting: all of it
# on the Engine made for tests, and on the real one what is another exec's there; what
# is about spares anyway need not run twice. And what happens at a terminal, with one
# that has waited.
test-standby:
	TOXRUN_TEST_STANDBY=1 $(GOTEST) -run '/^fake' -skip 'Preload|Interpreter|Import|Learn|Python|Nobody|Spare|ManyRuns|Fuzz' ./execproxy
	TOXRUN_TEST_STANDBY=1 $(GOTEST) -run '^Test(ExitStatusComesBack|StreamsStayApart|OutputIsLive|StdinReachesItsEnd|BigStreams|SignalEndsTheWholeFamily|ContainerThatGoesAway)/' -skip '/^fake' ./execproxy
	TOXRUN_TEST_STANDBY=1 $(GOTEST) -run '^Test(Terminal|EveryKey|ShellOn|Interrupt|Closed|EnvironmentOn)' -skip 'FromStandby|fake' ./cmd/docker-toxrun

# The core of it, and the demo, on the Engines of Debian's later releases, with tox 4.
# They are unpacked, and nothing is installed. It needs root, and is not part of CI.
test-engines: setup build
	@scripts/cc.sh
	@scripts/engines.sh

# docs/benchmarks.md, more than 20 minutes on a machine that does nothing else; with
# BENCH="-quick -o bin/benchmarks.md" to try it out. All flags: internal/bench.
BENCH ?= -o docs/benchmarks.md

bench: setup build
	@scripts/peers.sh
	@scripts/suites.sh -i
	$(GO) run $(BUILDVCS) ./internal/bench $(BENCH)

lint:
	@scripts/lint.sh
