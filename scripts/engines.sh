#!/usr/bin/env bash
# engines.sh runs the core of the tests, and the demo, on the Engines of Debian's
# later releases, beside the one of this machine. `make test-engines` calls it, with all
# it needs in place but root.
#
#   engines.sh                     on that of trixie, and that of sid
#   engines.sh SUITE               on one of them
#   engines.sh SUITE COMMAND...    a command there instead, with DOCKER_HOST; as long
#                                  as it runs the Engine is up: sleep infinity
#
# Nothing is installed. An Engine's packages are unpacked below
# ~/.cache/docker-toxrun-engines, with the libraries of their release, and stay there;
# so does the image with tox 4 and pytest 8. Remove the directory to have what is new.
#
# It runs in a mount namespace that has its release's /usr, and in a network namespace
# with nothing but its own bridge: both go with it. Its socket, data, and process IDs
# are in a directory of its own, its containers in a control group of its own. What of
# this machine a container mounts can't be below /usr.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/docker-toxrun-engines

say() { echo "toxrun: $*" >&2; }
die() { say "$@"; exit 1; }

[ "$(id -u)" = 0 ] || die "an Engine of its own needs root"
for program in debootstrap unshare ip; do
	command -v $program >/dev/null || {
		"$root/scripts/apt.sh" debootstrap debian-archive-keyring util-linux iproute2
		break
	}
done

tmp=$(mktemp -d /var/tmp/toxrun.XXXXXX) # short: a socket's address has room for 108 bytes
group=${tmp##*/}
engine= # process ID of dockerd
child=  # the command under way, a process group
end() {
	trap '' INT TERM
	[ -z "$child" ] || kill -TERM -- "-$child" 2>/dev/null || true
	stop
	rm -rf "$tmp"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# run COMMAND... waits for it so that a signal ends both. It is no job of the
# terminal's: an interrupt is this script's to pass on.
run() {
	set -m
	"$@" </dev/null &
	child=$!
	set +m
	local status=0
	wait "$child" || status=$?
	child=
	return $status
}

# debian SUITE PACKAGES DIR [OPTION...]: debootstrap. What it mounts goes with its mount
# namespace.
debian() {
	local mirror
	mirror=$("$root/scripts/mirror.sh")
	# shellcheck disable=SC2086 # an empty mirror is no argument
	run unshare --mount debootstrap --variant=minbase "--include=$2" "${@:4}" "$1" "$3" $mirror >"$tmp/log" 2>&1 || {
		tail -n 20 "$tmp/log" >&2
		die "debootstrap failed"
	}
}

# unpack SUITE: its Engine's /usr is in $cache/SUITE.
unpack() {
	[ ! -d "$cache/$1" ] || return 0
	say "unpacking the Engine of Debian $1"
	local deb
	debian "$1" docker.io,procps "$tmp/debs" --download-only # docker top calls ps
	mkdir -p "$tmp/tree"
	for deb in "$tmp"/debs/var/cache/apt/archives/*.deb; do
		# Some packages have nothing there.
		dpkg-deb --fsys-tarfile "$deb" |
			tar -C "$tmp/tree" -x --exclude ./usr/share --wildcards './usr/*' 2>/dev/null || true
	done
	[ -x "$tmp/tree/usr/sbin/dockerd" ] || die "docker.io of Debian $1 has no dockerd"
	mkdir -p "$cache"
	mv "$tmp/tree" "$cache/$1"
	rm -rf "$tmp/debs"
}

# start SUITE: its Engine answers at $DOCKER_HOST.
start() {
	unpack "$1"
	mkdir "$tmp/$1"
	echo "{}" >"$tmp/$1/daemon.json" # and not this machine's
	# slave: what this machine mounts is seen there, and what it unmounts not held.
	set -m
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount --net --propagation slave sh -euc '
		ip link set lo up
		mkdir -p /run/containerd
		mount -t tmpfs tmpfs /run/containerd # the sockets of its shims
		mount --bind "$1/usr" /usr
		shift
		# What it ignores, as HUP under nohup, is ignored in its containers.
		exec env --default-signal dockerd "$@"' sh "$cache/$1" \
		--config-file "$tmp/$1/daemon.json" -H "unix://$tmp/$1/docker.sock" --pidfile "$tmp/$1/pid" \
		--data-root "$tmp/$1/data" --exec-root "$tmp/$1/exec" --storage-driver overlay2 \
		--exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$group" \
		--iptables=false --ip6tables=false >"$tmp/$1/log" 2>&1 </dev/null &
	engine=$!
	set +m
	export DOCKER_HOST=unix://$tmp/$1/docker.sock
	local i
	for ((i = 0; i < 600; i++)); do
		if docker version >/dev/null 2>&1; then return 0; fi
		kill -0 "$engine" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$tmp/$1/log" >&2
	die "Engine $1 does not start"
}

# members: the processes of the Engine, which all name its directory, and those of its
# containers.
members() {
	local dir
	for dir in /proc/[0-9]*; do
		if grep -qsF "$tmp/" "$dir/cmdline" || grep -qsF "/$group/" "$dir/cgroup"; then
			echo "${dir#/proc/}"
		fi
	done
}

# stop ends the Engine and leaves nothing of it.
stop() {
	[ -n "$engine" ] || return 0
	local i left
	kill "$engine" 2>/dev/null || true # it ends its containers
	for ((i = 0; i < 300; i++)); do
		left=$(members)
		[ -n "$left" ] || break
		# shellcheck disable=SC2086 # a list
		[ "$i" -lt 200 ] || kill -KILL $left 2>/dev/null || true
		sleep 0.1
	done
	wait "$engine" 2>/dev/null || true
	engine=
	find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null || true
}

# images makes those of scripts/images.sh there, with Python, tox and pytest of Debian
# trixie.
images() {
	if [ ! -e "$cache/tox.tar" ]; then
		say "making an image with tox 4: about a minute"
		debian trixie python3,tox,python3-pytest "$tmp/tox"
		rm -f "$tmp"/tox/var/cache/apt/archives/*.deb "$tmp"/tox/var/lib/apt/lists/*_*
		tar -C "$tmp/tox" --numeric-owner -cf "$tmp/tox.tar" .
		mv "$tmp/tox.tar" "$cache"
		rm -rf "$tmp/tox"
	fi
	docker import -c 'CMD ["bash"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
		"$cache/tox.tar" toxrun-test:debian >/dev/null
	run "$root/scripts/images.sh"
}

# versions prints what the tests run on.
versions() {
	docker version --format 'Engine {{.Server.Version}}, API {{.Server.APIVersion}}'
	docker run --rm --network none toxrun-test:debian python3 -c '
from importlib.metadata import version
print("tox", version("tox") + ", pytest", version("pytest"))'
}

# tests runs what has a variant for the real Engine, and the tests of the cache. Those
# that kill an Engine have one of their own, this machine's.
tests() {
	local log=$root/bin/engines-$1.log
	mkdir -p "$root/bin"
	: >"$log"
	tested "$log" -run '/^real' -skip 'EngineIsKilled|ContainerAndEngineKilled' ./execproxy ./execproxy/standby ./cmd/docker-toxrun
	tested "$log" ./compose
	echo "$(grep -c '^--- PASS' "$log") tests passed"
	run demo >>"$log" 2>&1 || {
		tail -n 20 "$log"
		die "the demo fails: $log"
	}
	echo "the demo passed"
}

# demo has the programs installed below $tmp, and the user's docker compose.
demo() {
	local plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
	export DOCKER_CONFIG=$tmp/docker PREFIX=$tmp/prefix PATH=$tmp/prefix/bin:$PATH
	"$root/scripts/install.sh" install "$root/bin"
	[ ! -e "$plugins/docker-compose" ] || ln -sf "$plugins/docker-compose" "$DOCKER_CONFIG/cli-plugins"
	"$root/scripts/demo.sh"
}

# tested LOG ARG... runs go test with those.
tested() {
	local log=$1
	shift
	TOXRUN_TEST_ENGINE=required CGO_ENABLED=1 run \
		go test -race -count=1 -v -p 1 -parallel 4 -timeout 30m "$@" >>"$log" 2>&1 || {
		grep -E '^ *--- FAIL|^FAIL|^panic' "$log" || tail -n 20 "$log"
		die "tests fail: $log"
	}
}

for name in ${1:-trixie sid}; do
	start "$name"
	if [ $# -gt 1 ]; then
		say "Engine $name: DOCKER_HOST=$DOCKER_HOST"
		run "${@:2}"
	else
		images
		echo
		echo "# $name"
		versions
		tests "$name"
	fi
	stop
done
