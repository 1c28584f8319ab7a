#!/bin/sh
# install.sh puts the program where docker finds its plugins and on the PATH, or
# takes it away from there:
#
#   install.sh install FILE
#   install.sh uninstall
#
# PREFIX is where bin/ is, else /usr/local, or ~/.local where that can't be
# written. DOCKER_CONFIG is docker's own, else ~/.docker.
set -eu

name=docker-toxrun
plugin=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins/$name
if [ -z "${PREFIX:-}" ]; then
	PREFIX=/usr/local
	[ -w "$PREFIX/bin" ] || PREFIX=$HOME/.local
fi
program=$PREFIX/bin/$name

# put FILE DEST: by rename, so that a running one is not disturbed.
put() {
	mkdir -p "$(dirname "$2")"
	cp "$1" "$2.$$"
	chmod 755 "$2.$$"
	mv -f "$2.$$" "$2"
	echo "toxrun: installed $2" >&2
}

case ${1:-} in
install)
	put "$2" "$plugin"
	put "$2" "$program"
	case :$PATH: in
	*:"$PREFIX/bin":*) ;;
	*) echo "toxrun: $PREFIX/bin is not on your PATH: add it, to call docker-toxrun without docker in front" >&2 ;;
	esac
	;;
uninstall)
	for f in "$plugin" "$program"; do
		[ -e "$f" ] || continue
		rm -f "$f"
		echo "toxrun: removed $f" >&2
	done
	;;
*)
	echo "toxrun: usage: install.sh install FILE | install.sh uninstall" >&2
	exit 2
	;;
esac
