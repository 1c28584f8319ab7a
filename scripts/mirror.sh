#!/bin/sh
# mirror.sh prints the mirror that this machine's Debian packages come from; on any
# other system nothing, so that debootstrap takes its own.
set -eu

# shellcheck source=/dev/null
. /etc/os-release
[ "${ID:-}" = debian ] || exit 0
# shellcheck disable=SC2016 # apt-get fills these in
apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
	awk -v s="$VERSION_CODENAME" '$1 ~ /^https?:/ && $2 == s && $3 == "main" { print $1; exit }'
