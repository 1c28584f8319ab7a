#!/bin/sh
# tools.sh makes sure of the programs that the tests use besides docker: git and
# vim, which save files as people do, and with make and Python call what runs in a
# container, a file system that sends no events, and an ssh server, for engines at
# ssh:// addresses. The tests start their own, on a port of
# their own: what is installed here is not started, nor at the next boot.
set -eu

if [ "$(uname -s)" != Linux ]; then exit 0; fi
for program in git vim make python3 fuse-overlayfs zsh fish; do
	command -v "$program" >/dev/null || "$(dirname "$0")/apt.sh" "$program"
done
if [ -x /usr/sbin/sshd ] && command -v ssh >/dev/null; then exit 0; fi

policy=/usr/sbin/policy-rc.d # Debian's way to say that nothing is to be started
if [ ! -e "$policy" ] && [ "$(id -u)" = 0 ]; then
	printf '%s\n' '#!/bin/sh' 'exit 101' >"$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
fi
"$(dirname "$0")/apt.sh" openssh-server openssh-client
for unit in ssh.service ssh.socket; do
	deb-systemd-helper disable "$unit" >/dev/null 2>&1 || true
done
update-rc.d ssh disable >/dev/null 2>&1 || true
