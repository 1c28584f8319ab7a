# signal.sh TOKEN SIGNAL GRACE BEGUN OWN
#
# Sends SIGNAL to every process of one run, in the container, as the run's own
# user. The run is: the processes whose environment has TOXRUN_RUN=TOKEN, all
# that share a session with one of them, and the descendants of these. So a
# grandchild with a scrubbed environment and a child in a session of its own
# belong to it too.
#
# With a GRACE, in hundredths of a second, the signal is meant to end the run:
# once the command itself is gone, whatever it has left behind gets TERM, and
# all that is there after GRACE gets KILL. The script ends when nothing is left.
# Unless it is known to have BEGUN, the command may be about to, and is waited for.
#
# Anybody in the container may have the variable. With OWN, only a process of the
# script's own user makes others the run's.
#
# Exit status: 0 done; 3 no such process was found; 4 some could not be ended,
# their PIDs are on stdout; 5 done, but for those of others, likewise.
#
# Any POSIX sh will do. grep is used where there is one that takes -z, since
# sh alone reads an environment byte by byte.

token=$1 signal=$2 grace=$3 begun=$4 own=$5
sessions=' ' # of the run, remembered after their leaders are gone
leader=      # the process the Engine has started

clock() { # now, in hundredths of a second since the machine was started
	read -r now rest </proc/uptime
	now=${now%.*}${now#*.}
}

pause() { sleep 0.03 2>/dev/null || sleep 1; }

grep=
echo x | grep -qz x 2>/dev/null && grep=yes

# carriers prints /proc/PID/environ for each process that has the token.
carriers() {
	if [ -n "$grep" ]; then
		grep -lszF "TOXRUN_RUN=$token" /proc/[0-9]*/environ
		return
	fi
	for file in /proc/[0-9]*/environ; do
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in *"TOXRUN_RUN=$token"*) echo "$file" && break ;; esac
		done 2>/dev/null <"$file"
	done 2>/dev/null
}

# scan sets pids, groups and stopped groups to what is alive of the run, and others to
# what may be other users'.
scan() {
	pids=' ' groups=' ' stopped=' ' found=' ' others=' ' table=
	for file in $(carriers); do
		pid=${file#/proc/}
		pid=${pid%/environ}
		if [ -z "$own" ] || [ -O "$file" ]; then found="$found$pid "; else others="$others$pid "; fi
	done
	[ "$found$sessions" != '  ' ] || return
	for dir in /proc/[0-9]*; do
		read -r stat 2>/dev/null <"$dir/stat" || continue
		# After the name, which may hold anything: state, parent, group, session.
		set -- ${stat##*) }
		case $1 in Z | X) continue ;; esac
		table="$table ${dir#/proc/}:$1:$2:$3:$4"
	done
	more=yes
	while [ -n "$more" ]; do # until no process has a parent that was added last
		more=
		for row in $table; do
			IFS=:
			set -- $row
			unset IFS
			case $pids in *" $1 "*) continue ;; esac
			case "$found|$sessions|$pids" in
			*" $1 "*"|"*"|"* | *"|"*" $5 "*"|"* | *"|"*"|"*" $3 "*) ;;
			*) continue ;;
			esac
			more=yes
			pids="$pids$1 "
			case $sessions in *" $5 "*) ;; *) sessions="$sessions$5 " ;; esac
			case $groups in *" $4 "*) ;; *) groups="$groups$4 " ;; esac
			case $2 in T) stopped="$stopped$4 " ;; esac
		done
	done
}

# deliver sends signal $1 to every process group of the run. A stopped one that
# is to end has to go on first.
deliver() {
	for group in $groups; do kill "-$1" "-$group" 2>/dev/null; done
	[ -n "$grace" ] || return
	for group in $stopped; do kill -CONT "-$group" 2>/dev/null; done
}

clock
until=$((now + 200))
scan
while [ "$pids" = ' ' ]; do
	[ "$others" = ' ' ] || { echo $others; exit 5; }
	[ -z "$begun" ] && [ "$now" -lt "$until" ] || exit 3
	pause
	clock
	scan
done
for session in $sessions; do # the first of the run's sessions is the command's
	case $pids in *" $session "*) ;; *) continue ;; esac
	if [ -z "$leader" ] || [ "$session" -lt "$leader" ]; then leader=$session; fi
done
deliver "$signal"
[ -n "$grace" ] || exit 0

end=$((now + grace)) orphaned=
while scan; [ "$pids" != ' ' ]; do
	clock
	if [ "$now" -ge "$end" ]; then
		deliver KILL
		[ "$now" -lt $((end + 200)) ] || { echo $pids; exit 4; }
	else
		case $pids in
		*" $leader "*) ;;
		*) # those left behind have a moment to follow by themselves
			[ -n "$orphaned" ] || orphaned=$((now + 20))
			[ "$now" -lt "$orphaned" ] || { deliver TERM; orphaned=$end; }
			;;
		esac
	fi
	pause
done
[ "$others" = ' ' ] || { echo $others; exit 5; }
