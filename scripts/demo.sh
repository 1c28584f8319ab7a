#!/usr/bin/env bash
# demo.sh shows docker toxrun at work on examples/tox. It fails when a step does
# not do what it says. `make demo` calls it, with all it needs in place.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

die() { echo "toxrun: demo: $*" >&2; exit 1; }
title() { printf '\n# %s\n' "$*"; }

# show COMMAND: prints a command line, runs it, and leaves its status in $status.
show() {
	printf '$ %s\n' "$1"
	status=0
	eval "$1" || status=$?
}

# is STATUS: the last command ended with it.
is() { [ "$status" = "$1" ] || die "exit status $status, want $1"; }

# Where only the older Compose is, it is one program.
compose='docker compose'
$compose version >/dev/null 2>&1 || compose=docker-compose

program=$(command -v docker-toxrun) || die "docker-toxrun is not on the PATH"
for built in docker-toxrun toxrun-compose; do
	installed=$(dirname "$program")/$built
	cmp -s "$installed" "$root/bin/$built" || die "$installed is not the one just built"
done
(cd "$root" && go build -o "$tmp/bench" ./internal/bench)
cd "$root/examples/tox"
echo '$ cd examples/tox'

title "a service to test in"
show "$compose up -d"
is 0
id=$($compose ps -q tests)
show "docker toxrun target | tee $tmp/out"
is 0
grep -q "${id:0:12}" "$tmp/out" || die "the service's container is ${id:0:12}"

title "tox in its container"
show "docker toxrun -- -e py3"
is 0

title "a failing run has the command's own exit status"
show "docker toxrun -- -e fail"
is 1
echo "exit status $status"
show "docker toxrun exec sh -c 'exit 7'"
is 7
echo "exit status $status"

title "stdout and stderr stay two streams"
show "docker toxrun exec sh -c 'echo result; echo warning >&2' >$tmp/out 2>$tmp/err"
is 0
(cd "$tmp" && wc -c out err && head out err)
[ "$(cat "$tmp/out")" = result ] || die "stdout is not what was written there"
[ "$(cat "$tmp/err")" = warning ] || die "stderr is not what was written there"
show "docker toxrun -- -e py3 >$tmp/out 2>$tmp/err"
is 0
(cd "$tmp" && wc -c out err && tail -n 2 out)
grep -q '3 passed' "$tmp/out" || die "tox's report is not on stdout"

title "stdin reaches the command"
show "printf 'a\nb\nc\n' | docker toxrun exec wc -l | tee $tmp/out"
is 0
[ "$(tr -d ' ' <"$tmp/out")" = 3 ] || die "not every line came in"

title "the time of a warm run, 15 rounds"
PATH=$tmp:$PATH
show "bench \\
    'docker exec ${id:0:12} true' \\
    'docker-toxrun exec -n true' \\
    'docker toxrun exec -n true' \\
    '$compose exec -T tests true'"
is 0

printf '\nThe service is still up. To remove it: (cd examples/tox && %s down)\n' "$compose"
