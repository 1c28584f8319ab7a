#!/bin/sh
# apt.sh installs packages on Debian and Ubuntu, as root. Elsewhere it says what
# is missing, and fails.
set -eu

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	echo "toxrun: missing: $* (on Debian, as root: apt-get install $*)" >&2
	exit 1
fi

echo "toxrun: installing $*" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
{
	apt-get -q update || true # the old lists may do
	apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends install "$@"
} >"$log" 2>&1 </dev/null || {
	tail -n 30 "$log" >&2
	echo "toxrun: apt-get install $* failed" >&2
	exit 1
}
