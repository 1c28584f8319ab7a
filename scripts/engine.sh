#!/bin/sh
# engine.sh makes sure that a Docker Engine answers. One that does is left as it
# is. Where none does, Debian and Ubuntu get docker.io and a dockerd, as root; any
# other machine gets one line that says what to install.
set -eu

say() { echo "toxrun: $*" >&2; }
die() { say "$@"; exit 1; }

# answers: does an Engine answer? A socket that nobody serves must not hold us up.
answers() {
	if command -v timeout >/dev/null; then
		timeout 20 docker version --format '{{.Server.APIVersion}}' >/dev/null 2>&1 </dev/null
	else
		docker version --format '{{.Server.APIVersion}}' >/dev/null 2>&1 </dev/null
	fi
}

if command -v docker >/dev/null; then
	if answers; then exit 0; fi
	context=$(docker context show 2>/dev/null || echo default)
	if [ -n "${DOCKER_HOST:-}" ] || [ "$context" != default ]; then
		die "no Engine answers at ${DOCKER_HOST:-context $context}: start it, or choose another"
	fi
	if [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ]; then
		die "this user may not use /var/run/docker.sock: join its group, or be root"
	fi
fi

if [ "$(uname -s)" != Linux ] || ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
	die "no Docker Engine answers: install and start Docker Desktop or Docker Engine, 19.03 or newer (on Debian and Ubuntu root gets it from here)"
fi

say "no Docker Engine answers: setting one up"
if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
	packages=docker.io
	if apt-cache show docker-cli >/dev/null 2>&1; then packages="docker.io docker-cli"; fi
	# shellcheck disable=SC2086 # a list of package names
	"$(dirname "$0")/apt.sh" $packages
fi
command -v dockerd >/dev/null || die "docker.io brought no dockerd"

# wait_for SECONDS [PID]: until the Engine answers, or the process has ended.
wait_for() {
	i=0
	while [ "$i" -lt "$1" ]; do
		if answers; then return 0; fi
		if [ -n "${2:-}" ] && ! kill -0 "$2" 2>/dev/null; then return 1; fi
		sleep 1
		i=$((i + 1))
	done
	return 1
}

if [ -d /run/systemd/system ]; then
	systemctl start docker || true
	wait_for 60 || die "docker.service does not answer: see journalctl -u docker"
	say "the Engine runs, by systemd"
	exit 0
fi

# A machine that lost its processes keeps their pid files, and dockerd believes
# them as soon as the number is in use again.
for pidfile in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
	[ -e "$pidfile" ] || continue
	case $(cat "/proc/$(cat "$pidfile")/comm" 2>/dev/null || true) in
	dockerd | containerd)
		# One is starting: give it time.
		if wait_for 60; then exit 0; fi
		die "a dockerd runs, process $(cat "$pidfile"), and does not answer"
		;;
	esac
	rm -f "$pidfile"
done

# Without systemd nobody may have mounted the control groups.
if ! grep -q ' /sys/fs/cgroup' /proc/mounts; then
	say "mounting cgroup2 on /sys/fs/cgroup"
	mount -t cgroup2 cgroup2 /sys/fs/cgroup || die "no control groups: mount /sys/fs/cgroup"
fi

log=/var/log/toxrun-dockerd.log

# start [OPTION]...: a dockerd that outlives this script, and holds none of its
# files. With legacy set, it finds the older iptables first. What it ignored, as HUP
# under nohup, would be ignored in all its containers.
start() {
	: >"$log"
	PATH=${legacy:+$legacy:}$PATH setsid env --default-signal dockerd "$@" >>"$log" 2>&1 </dev/null &
	if wait_for 90 $!; then
		say "started dockerd${1:+ $*}, its log is $log"
		exit 0
	fi
	kill $! 2>/dev/null || true
	wait $! 2>/dev/null || true
}

legacy=
start
if grep -qi iptables "$log"; then
	if command -v iptables-legacy >/dev/null; then
		say "dockerd has trouble with iptables, trying iptables-legacy"
		legacy=/run/toxrun-iptables
		mkdir -p "$legacy"
		for name in iptables ip6tables; do
			ln -sf "$(command -v $name-legacy)" "$legacy/$name"
		done
		start
		legacy=
	fi
	say "dockerd has trouble with iptables, going on without: its containers reach no network"
	start --iptables=false --ip6tables=false
fi
grep -E 'level=(error|fatal)|^failed' "$log" | tail -n 5 >&2
die "dockerd does not start, its log is $log"
