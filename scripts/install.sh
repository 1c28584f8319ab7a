#!/bin/sh
# install.sh puts the programs where docker finds its plugins and on the PATH, or
# takes them away from there:
#
#   install.sh install DIR     the directory where they were built
#   install.sh uninstall
#
# PREFIX is where bin/ is, else /usr/local, or ~/.local where that can't be
# written. DOCKER_CONFIG is docker's own, else ~/.docker.
set -eu

# docker-toxrun looks for toxrun-compose beside itself. In this order it never
# stands there alone.
programs='toxrun-compose docker-toxrun'
plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
if [ -z "${PREFIX:-}" ]; then
	PREFIX=/usr/local
	[ -w "$PREFIX/bin" ] || PREFIX=$HOME/.local
fi

# put DIR DEST: by rename, so that a running one is not disturbed, and one rename
# right after the other, so that two that don't fit are not together for long.
put() {
	mkdir -p "$2"
	for name in $programs; do
		cp "$1/$name" "$2/$name.$$"
		chmod 755 "$2/$name.$$"
	done
	for name in $programs; do
		mv -f "$2/$name.$$" "$2/$name"
	done
	for name in $programs; do
		echo "toxrun: installed $2/$name" >&2
	done
}

case ${1:-} in
install)
	put "$2" "$plugins"
	put "$2" "$PREFIX/bin"
	case :$PATH: in
	*:"$PREFIX/bin":*) ;;
	*) echo "toxrun: $PREFIX/bin is not on your PATH: add it, to call docker-toxrun without docker in front" >&2 ;;
	esac
	;;
uninstall)
	for dir in "$plugins" "$PREFIX/bin"; do
		for name in docker-toxrun toxrun-compose; do
			[ -e "$dir/$name" ] || continue
			rm -f "$dir/$name"
			echo "toxrun: removed $dir/$name" >&2
		done
	done
	;;
*)
	echo "toxrun: usage: install.sh install DIR | install.sh uninstall" >&2
	exit 2
	;;
esac
