#!/usr/bin/env bash
# suites.sh runs the test suites of some Debian packages in a container: twice plainly,
# then three times with standby, and compares. The output of a run, apart for stdout and
# stderr, and its exit status must not tell that it woke what waited. What may differ is
# the time that a suite says it took.
#
#   suites.sh                  all of scripts/suites/list.sh: about a quarter of an hour
#   suites.sh NAME...          some of them; -l lists them
#   suites.sh -p PRELOAD ...   with preload: PRELOAD in x-toxrun, as '[pytest]'
#   suites.sh -r RELEASE ...   of another release of Debian than trixie: forky; those whose
#                              sources can't be had are left out
#   suites.sh -k ...           keeps the containers
#   suites.sh -i               makes the image, and no more
#
# A line for each says how many tests passed and did not, the milliseconds of the second
# plain run, and of the second and third with standby, what the third woke (python: an
# interpreter; shell; or -: nothing), and whether all was the same. The outputs and the
# differences are below bin/suites. The exit status is 1 if anything is different.
#
# The image has the packages as the release has them, and their tests from Debian's
# source packages below /suites; those are kept in ~/.cache/docker-toxrun-suites.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/docker-toxrun-suites
results=$root/bin/suites
program=$root/bin/docker-toxrun
release=trixie

say() { echo "toxrun: $*" >&2; }
die() { say "$@"; exit 1; }

keep= preload= list= only=
while getopts iklp:r: option; do
	case $option in
	i) only=image ;;
	k) keep=1 ;;
	l) list=1 ;;
	p) preload=$OPTARG ;;
	r) release=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
declare -A pythons=([trixie]=3.13 [forky]=3.14)
python=${pythons[$release]:-}
[ -n "$python" ] || die "release $release is none of ${!pythons[*]}"
image=toxrun-suites:debian base=toxrun-suites:base
[ "$release" = trixie ] || image=toxrun-suites:$release base=toxrun-suites:base-$release

# What list.sh calls.
packages=()           # to install
sources=()            # "DIR SOURCE FILE...": files of a source package that are in /suites/DIR
names=()              # of the suites
declare -A dirs words # of each: its directory below /suites, its command as bash reads it
install() { packages+=("$@"); }
files() { sources+=("$*"); }
suite() {
	names+=("$1")
	dirs[$1]=$2
	shift 2
	words[${names[-1]}]=${*@Q}
}
# shellcheck source=scripts/suites/list.sh
. "$root/scripts/suites/list.sh"

if [ -n "$list" ]; then
	printf '%s\n' "${names[@]}"
	exit 0
fi
for name in "$@"; do
	[ -n "${words[$name]:-}" ] || die "there is no suite $name (suites.sh -l lists them)"
done
[ -n "$only" ] || [ -x "$program" ] || die "$program is not there: make build"

tmp=$(mktemp -d /var/tmp/toxrun.XXXXXX) # not /tmp: debootstrap refuses nodev and noexec
up=
end() {
	trap '' INT TERM
	[ ! -e "$tmp/run" ] || toxrun standby stop >/dev/null 2>&1 || true
	[ -z "$up" ] || [ -n "$keep" ] || compose down -t 0 >/dev/null 2>&1 || true
	rm -rf "$tmp"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# apt COMMAND... has lists of its own, those of $release, and takes no package for
# installed. How to reach the mirror is what this machine's configuration says.
apt() {
	local key=/usr/share/keyrings/debian-archive-keyring.gpg
	if [ ! -e "$tmp/apt" ]; then
		mkdir -p "$tmp"/apt/state/lists/partial "$tmp"/apt/cache/archives/partial
		: >"$tmp/apt/status"
		printf "%s [signed-by=$key] $(mirror) $release main\n" deb deb-src >"$tmp/apt/list"
		apt update >/dev/null
	fi
	apt-get -q -y -o "Dir::Etc::sourcelist=$tmp/apt/list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root \
		-o "Dir::State=$tmp/apt/state" -o "Dir::State::status=$tmp/apt/status" -o "Dir::Cache=$tmp/apt/cache" "$@" </dev/null
}

mirror() {
	local mirror
	mirror=$("$root/scripts/mirror.sh")
	[ -n "$mirror" ] || die "the packages come from Debian's mirror, and only Debian says which"
	echo "$mirror"
}

# made IMAGE SUM: is it there, made of what has this checksum?
made() { [ "$(docker image inspect -f '{{index .Config.Labels "toxrun.made-of"}}' "$1" 2>/dev/null)" = "$2" ]; }

# base makes the image that has the packages.
base() {
	local sum all
	sum=$(printf '%s\n' "$release" "${packages[@]}" | sha256sum | cut -c 1-16)
	if made "$base" "$sum"; then return 0; fi
	[ "$(id -u)" = 0 ] || die "$image is made with debootstrap, which needs root"
	command -v debootstrap >/dev/null || "$root/scripts/apt.sh" debootstrap debian-archive-keyring
	say "making $base with debootstrap: some minutes"
	# debootstrap takes the first of alternatives, apt one that can be had.
	apt -s --no-install-recommends install "${packages[@]}" >"$tmp/plan" || die "not all packages can be had"
	all=$(awk '/^Inst/ { print $2 }' "$tmp/plan" | paste -sd,)
	# What it mounts goes with its mount namespace, whatever happens.
	nice unshare --mount debootstrap --variant=minbase "--include=$all" "$release" "$tmp/root" "$(mirror)" \
		/usr/share/debootstrap/scripts/sid </dev/null >"$tmp/log" 2>&1 || {
		tail -n 20 "$tmp/log" >&2
		die "debootstrap failed"
	}
	rm -f "$tmp"/root/var/cache/apt/archives/*.deb "$tmp"/root/var/lib/apt/lists/*_*
	tar -C "$tmp/root" --numeric-owner -c . | docker import -c 'CMD ["bash"]' -c "LABEL toxrun.made-of=$sum" \
		-c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$base" >/dev/null
	rm -rf "$tmp/root"
}

# fetch SOURCE: its upstream archive is in the cache. It is unpacked as it is: no patch
# of Debian's is needed for the tests, and a mirror need not have all there is to patch.
fetch() {
	[ ! -d "$cache/$release/$1" ] || return 0
	mkdir -p "$tmp/fetch" "$cache/$release"
	(
		cd "$tmp/fetch"
		apt source --only-source --tar-only "$1" >log 2>&1 || {
			tail -n 5 log >&2
			say "the source package $1 can't be had"
			exit 1
		}
		mkdir tree
		tar -C tree --strip-components=1 -xf ./*.orig.tar.*[!c] # and not its signature, .asc
	) || return 1
	mv "$tmp/fetch/tree" "$cache/$release/$1"
	rm -rf "$tmp/fetch"
}

# tests makes the image that has the tests as well. Nothing else is taken out of the
# sources: what is tested is what is installed.
tests() {
	local sum s
	sum=$({ echo "$release" "${sources[@]@Q}" "${packages[@]}"; cd "$root/scripts/suites" && find ./*/ -type f | sort | xargs cat; } |
		sha256sum | cut -c 1-16)
	if made "$image" "$sum"; then return 0; fi
	base
	say "making $image"
	mkdir -p "$tmp/context/suites"
	cp -r "$root"/scripts/suites/*/ "$tmp/context/suites"
	for s in "${sources[@]}"; do
		# shellcheck disable=SC2086 # words
		set -- $s
		fetch "$2" || { rm -rf "$tmp/fetch"; [ "$release" != trixie ] || exit 1; continue; }
		mkdir -p "$tmp/context/suites/$1"
		(cd "$cache/$release/$2" && tar -c "${@:3}") | tar -C "$tmp/context/suites/$1" -x
	done
	printf '%s\n' "FROM $base" "COPY suites /suites" "LABEL toxrun.made-of=$sum" >"$tmp/context/Dockerfile"
	docker build -q -t "$image" "$tmp/context" >"$tmp/log" 2>&1 || {
		cat "$tmp/log" >&2
		die "docker build failed"
	}
	rm -rf "$tmp/context"
}

# project writes the Compose file. The variables are those that make a run like another.
project() {
	mkdir "$tmp/project"
	cat >"$tmp/project/compose.yaml" <<-END
		services:
		  suites:
		    image: $image
		    command: sleep infinity
		    init: true
		    network_mode: none
		    environment:
		      PYTHONHASHSEED: 0
		      TZ: UTC
		      LC_ALL: C.UTF-8
		      NO_COLOR: 1
		    x-toxrun:
		      command: [pytest] # a list in preload is for this one
		      ${preload:+preload: $preload}
	END
}

# Where only the older Compose is, it is one program.
compose() {
	if docker compose version >/dev/null 2>&1; then
		docker compose -p "toxrun-suites-$$" -f "$tmp/project/compose.yaml" "$@"
	else
		docker-compose -p "toxrun-suites-$$" -f "$tmp/project/compose.yaml" "$@"
	fi
}

# toxrun ARG... has keepers and a cache of its own.
toxrun() {
	XDG_RUNTIME_DIR=$tmp/run XDG_CACHE_HOME=$tmp/cache nice \
		"$program" -p "toxrun-suites-$$" -f "$tmp/project/compose.yaml" "$@"
}

# keeper FIELD: what the keeper says of itself; there is one at most.
keeper() { toxrun standby --format json | tr -d '\n' | sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"; }

# ready waits until something waits, and what it is does not change within half a second.
ready() {
	local i state was=
	for ((i = 0; i < 120; i++)); do
		state="$(keeper state) $(keeper python)"
		case $was in
		ready*) [ "$state" != "$was" ] || return 0 ;;
		esac
		[ "$state" != ' ' ] || [ "$i" -lt 6 ] || break # there is no keeper
		was=$state
		sleep 0.5
	done
	say "$name: nothing waits: ${state% *}"
}

# run AS OPTION... runs the suite $name; $out/AS.* is what came of it. toxrun itself is
# quiet: how an Engine that is busy answers is not the output.
run() {
	local begin status=0 command
	eval "command=(${words[$name]})"
	begin=$(date +%s%N)
	toxrun -q "${@:2}" -w "/suites/${dirs[$name]}" exec -n "${command[@]}" >"$out/$1.out" 2>"$out/$1.err" </dev/null || status=$?
	echo $((($(date +%s%N) - begin) / 1000000)) >"$out/$1.ms"
	echo "$status" >"$out/$1.status"
}

# times writes TIME where a suite says how long it took, and nothing else.
times() { sed -E 's/\bin [0-9]+\.[0-9]+s( \([0-9:]+\))?/in TIME/; s/\b[0-9]+\.[0-9]+s (setup|call|teardown)/TIME \1/' "$1"; }

# compare A B: what differs is in $out/A-B.diff.
compare() {
	local what
	for what in out err status; do
		times "$out/$1.$what" >"$tmp/a"
		times "$out/$2.$what" >"$tmp/b"
		diff -a -u --label "$1.$what" --label "$2.$what" "$tmp/a" "$tmp/b" || true
	done >"$out/$1-$2.diff"
	if [ -s "$out/$1-$2.diff" ]; then
		different+=" $out/$1-$2.diff"
	else
		rm "$out/$1-$2.diff"
	fi
}

# counted prints how many tests passed and did not: pytest has these on stdout, unittest
# on stderr.
counted() {
	cat "$out/plain2.out" "$out/plain2.err" | awk '
		/^(=+ )?([0-9]+ [a-z]+, )*[0-9]+ (passed|failed|errors?)[, ].*in [0-9.]+s/ {
			for (i = 2; i <= NF; i++) {
				if ($i ~ /^passed/) passed += $(i-1)
				if ($i ~ /^(failed|errors?)/) failed += $(i-1)
			}
		}
		/^Ran [0-9]+ tests? in/ { passed += $2 }
		/^(OK|FAILED) \(/ {
			gsub(/[(),]/, " ")
			for (i = 2; i <= NF; i++) {
				n = $i
				sub(/.*=/, "", n)
				if ($i ~ /^(failures|errors)=/ && $(i-1) != "expected") failed += n
				if ($i ~ /=/) passed -= n
			}
		}
		END { print passed + 0, failed + 0 }'
}

# one runs the suite $name, and prints its line.
one() {
	out=$results/$name different=
	local woke=- hits passed failed
	rm -rf "$out"
	mkdir -p "$out"
	toxrun standby stop >/dev/null
	run plain1 --no-standby
	run plain2 --no-standby
	compare plain1 plain2
	run first --standby 10m
	ready
	run second --standby 10m
	ready
	hits=$(keeper hits)
	case $(keeper python) in true) woke=python ;; *) woke=shell ;; esac
	toxrun standby --format json >"$out/keeper.json"
	run third --standby 10m
	[ "$(keeper hits)" = $((hits + 1)) ] || woke=-
	local as
	for as in first second third; do compare plain2 $as; done
	read -r passed failed < <(counted)
	[ "$passed" != 0 ] || different+=" no test passed"
	local said=same
	[ -z "$different" ] || said=DIFFERENT:$different
	printf '%-20s %6d %6d %8d %8d %8d  %-7s %s\n' "$name" "$passed" "$failed" \
		"$(cat "$out/plain2.ms")" "$(cat "$out/second.ms")" "$(cat "$out/third.ms")" "$woke" "$said"
	[ -z "$different" ]
}

{ # read to its end before any of it runs: the file may change meanwhile
tests
[ -z "$only" ] || exit 0
mkdir -p "$tmp/run" "$tmp/cache" "$results"
chmod 700 "$tmp/run"
project
up=1
compose up -d >"$tmp/log" 2>&1 || {
	cat "$tmp/log" >&2
	die "docker compose up failed"
}
[ $# -gt 0 ] || set -- "${names[@]}"
bad=0
printf '%-20s %6s %6s %8s %8s %8s  %-7s %s\n' suite passed failed "plain ms" second third woke output
for name in "$@"; do
	if ! compose exec -T suites test -d "/suites/${dirs[$name]}" </dev/null; then
		say "$name is left out"
		continue
	fi
	one || bad=$((bad + 1))
done
cp "$tmp"/cache/docker-toxrun/standby.log "$results" 2>/dev/null || true
[ "$bad" = 0 ] || die "$bad of $# are different"
exit 0
}
