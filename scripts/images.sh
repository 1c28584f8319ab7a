#!/bin/sh
# images.sh makes the images that the tests and the demo run in, those that are
# not there yet:
#
#   toxrun-test:busybox   busybox, every applet a link in /bin
#   toxrun-test:alpine    Alpine, or busybox laid out as there
#   toxrun-test:debian    Debian with Python, tox and pytest
#   toxrun-test:noshell   a few programs and no shell
#   toxrun-example:latest what examples/tox runs in, the same as toxrun-test:debian
#
# Alpine and Python come from a registry where one answers, else, as busybox does
# at once, from Debian's packages. It may be called twice at the same time.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)

say() { echo "toxrun: $*" >&2; }
die() { say "$@"; exit 1; }
have() { docker image inspect "$1" >/dev/null 2>&1; }
all_there() {
	docker image inspect toxrun-test:busybox toxrun-test:alpine toxrun-test:debian \
		toxrun-test:noshell toxrun-example:latest >/dev/null 2>&1
}

all_there && exit 0

lock=${XDG_CACHE_HOME:-$HOME/.cache}/docker-toxrun-images.lock
mkdir -p "$(dirname "$lock")"
exec 9>>"$lock"
if command -v flock >/dev/null; then
	flock 9 # released when this script ends, however it ends
fi

tmp=$(mktemp -d /var/tmp/toxrun.XXXXXX) # not /tmp: debootstrap refuses nodev and noexec
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# bounded SECONDS COMMAND... gives up after so many seconds, where timeout exists.
bounded() {
	if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi
}

# pull IMAGE: is it here, or can it be had? Once a registry has not answered, no
# other image is asked for.
registry=unknown
pull() {
	if have "$1"; then return 0; fi
	[ "$registry" != silent ] || return 1
	limit=30
	[ "$registry" = unknown ] || limit=300
	if bounded $limit docker pull -q "$1" >/dev/null 2>"$tmp/pull"; then
		registry=answers
		return 0
	fi
	registry=silent
	return 1
}

# need FILE PACKAGE: installs the package that a file is from.
need() {
	[ -e "$1" ] || "$root/scripts/apt.sh" "$2"
}

# static_busybox: leaves a busybox that needs no libraries in $tmp/busybox. The
# package is unpacked and not installed: installed it would replace busybox.
static_busybox() {
	[ ! -e "$tmp/busybox" ] || return 0
	command -v dpkg-deb >/dev/null || return 1
	mkdir -p "$tmp/deb"
	{
		cd "$tmp/deb" &&
			{ apt-get -q download busybox-static || { apt-get -q update && apt-get -q download busybox-static; }; } &&
			dpkg-deb -x ./*.deb x &&
			mv x/bin/busybox "$tmp/busybox"
	} >"$tmp/apt" 2>&1 </dev/null || { cat "$tmp/apt" >&2; return 1; }
}

# root_files DIR: the files every system has.
root_files() {
	mkdir -p "$1/etc" "$1/root" "$1/tmp" "$1/proc" "$1/sys" "$1/dev" "$1/run" "$1/var"
	chmod 1777 "$1/tmp"
	chmod 700 "$1/root"
	printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/false' >"$1/etc/passwd"
	printf '%s\n' 'root:x:0:' 'nobody:x:65534:' >"$1/etc/group"
}

path='ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

# import IMAGE COMMAND [TAR-OPTION...]: packs the directory $d.
import() {
	image=$1 cmd=$2
	shift 2
	tar -C "$d" --numeric-owner "$@" -c . | docker import -c "CMD $cmd" -c "$path" - "$image" >/dev/null
}

busybox() {
	if static_busybox; then
		d=$tmp/root.busybox
		root_files "$d"
		mkdir -p "$d/bin"
		cp "$tmp/busybox" "$d/bin/busybox"
		for applet in $("$tmp/busybox" --list); do
			[ -e "$d/bin/$applet" ] || ln -s busybox "$d/bin/$applet"
		done
		import toxrun-test:busybox '["sh"]' --owner=0 --group=0
		say "made toxrun-test:busybox from Debian's busybox-static"
	elif pull busybox:1-musl; then
		docker tag busybox:1-musl toxrun-test:busybox
		say "made toxrun-test:busybox from busybox:1-musl"
	else
		nowhere
	fi
}

noshell() {
	programs='sleep cat true false yes echo env'
	if static_busybox; then
		d=$tmp/root.noshell
		root_files "$d"
		mkdir -p "$d/bin"
		cp "$tmp/busybox" "$tmp/program"
		for name in $programs; do ln "$tmp/program" "$d/bin/$name"; done
		import toxrun-test:noshell '["/bin/sleep", "infinity"]' --owner=0 --group=0
		say "made toxrun-test:noshell from Debian's busybox-static"
	elif pull busybox:1-musl; then
		{
			echo "FROM busybox:1-musl AS busybox"
			echo "FROM scratch"
			for name in $programs; do echo "COPY --from=busybox /bin/busybox /bin/$name"; done
			echo "COPY --from=busybox /etc/passwd /etc/group /etc/"
			echo "$path"
			echo 'CMD ["/bin/sleep", "infinity"]'
		} | docker build -q -t toxrun-test:noshell - >/dev/null
		say "made toxrun-test:noshell from busybox:1-musl"
	else
		nowhere
	fi
}

alpine() {
	if pull alpine:3; then
		docker tag alpine:3 toxrun-test:alpine
		say "made toxrun-test:alpine from alpine:3"
	elif static_busybox; then
		d=$tmp/root.alpine
		root_files "$d"
		mkdir -p "$d/bin" "$d/sbin" "$d/usr/bin" "$d/usr/sbin" "$d/usr/local/bin" "$d/home" "$d/opt"
		cp "$tmp/busybox" "$d/bin/busybox"
		for applet in $("$tmp/busybox" --list-full); do
			[ "$applet" != linuxrc ] || continue
			[ -e "$d/$applet" ] || ln -s /bin/busybox "$d/$applet"
		done
		printf '%s\n' 'NAME="Alpine Linux"' 'ID=alpine' 'PRETTY_NAME="busybox, laid out as in Alpine Linux"' >"$d/etc/os-release"
		printf '%s\n' /bin/sh /bin/ash >"$d/etc/shells"
		import toxrun-test:alpine '["/bin/sh"]' --owner=0 --group=0
		say "made toxrun-test:alpine from Debian's busybox-static, laid out as Alpine is"
	else
		nowhere
	fi
}

nowhere() { die "the test images come from a registry or from Debian's packages, and neither is in reach"; }

# os_release NAME: what /etc/os-release says of this machine.
os_release() { sed -n "s/^$1=\"*\([^\"]*\)\"*\$/\1/p" /etc/os-release; }

debian() {
	if have toxrun-example:latest; then
		docker tag toxrun-example:latest toxrun-test:debian
		return
	fi
	if pull python:3.13-slim; then
		if docker build -q -t toxrun-test:debian "$root/examples/tox" >/dev/null 2>"$tmp/build"; then
			say "made toxrun-test:debian from python:3.13-slim, with tox and pytest"
			return
		fi
		cat "$tmp/build" >&2
		say "python:3.13-slim is here, but pip can't install tox: going on with Debian's packages"
	fi
	need /usr/sbin/debootstrap debootstrap
	need /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
	[ "$(id -u)" = 0 ] || die "toxrun-test:debian is made with debootstrap, which needs root"
	say "making toxrun-test:debian with debootstrap: about a minute"
	# The suite and the mirror are this machine's own, else debootstrap's.
	suite=bookworm
	[ "$(os_release ID)" != debian ] || suite=$(os_release VERSION_CODENAME)
	mirror=$("$root/scripts/mirror.sh")
	d=$tmp/root.debian
	# What debootstrap mounts goes with its mount namespace, whatever happens.
	# shellcheck disable=SC2086 # an empty mirror is no argument
	unshare --mount /usr/sbin/debootstrap --variant=minbase --include=python3,tox,python3-pytest \
		"$suite" "$d" $mirror </dev/null >"$tmp/debootstrap" 2>&1 || {
		tail -n 20 "$tmp/debootstrap" >&2
		die "debootstrap failed"
	}
	rm -f "$d"/var/cache/apt/archives/*.deb "$d"/var/lib/apt/lists/*_*
	import toxrun-test:debian '["bash"]'
	say "made toxrun-test:debian from Debian $suite, with its tox and pytest"
}

have toxrun-test:busybox || busybox
have toxrun-test:noshell || noshell
have toxrun-test:alpine || alpine
have toxrun-test:debian || debian
have toxrun-example:latest || docker tag toxrun-test:debian toxrun-example:latest
all_there || die "some of the test images could not be made"
