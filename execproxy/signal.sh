# signal.sh TOKEN SIGNAL GRACE BEGUN OWN COMMAND
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
# script's own user makes others the run's. COMMAND is what the PID of the command may be;
# it is believed if that process has the token, and no parent in here.
#
# Exit status: 0 done; 3 no such process was found; 4 some could not be ended,
# their PIDs are on stdout; 5 done, but for those of others, likewise.
#
# Any POSIX sh will do, behind carriers.sh. awk is used where there is one: with
# thousands of processes it is many times as quick.

token=$1 signal=$2 grace=$3 begun=$4 own=$5 command=$6
sessions=' ' # of the run, remembered after their leaders are gone
leader=      # the process the Engine has started
cd /proc || exit 1

clock() { # now, in hundredths of a second since the machine was started
	read -r now rest </proc/uptime
	now=${now%.*}${now#*.}
}

pause() { sleep 0.03 2>/dev/null || sleep 1; }

# look takes a picture of what is alive: a row PID:STATE:PARENT:GROUP:SESSION of each
# process in rows, and the environments of all: in heads of those that have children, or
# no parent in here, as the command; in leaves the others'.
look() {
	heads= rows=
	eval "$(awk -v command="$command" '
		# fresh tells whether PIDs have been given in turn since the machine was started:
		# then the run has none below that of its command. A fork may take more than one.
		function fresh(   line, forks, limit) {
			while ((getline line < "stat") > 0) if (sub(/^processes /, "", line)) forks = line + 0
			getline limit < "sys/kernel/pid_max"
			return forks > 0 && forks < limit / 2
		}
		BEGIN {
			if (command && !fresh()) command = 0
			for (i = 1; i < ARGC; i++) {
				if (ARGV[i] + 0 < command + 0) continue
				file = ARGV[i] "/stat"
				text = ""
				while ((getline line < file) > 0) text = text line
				close(file)
				sub(/.*\) /, "", text) # the name may hold anything
				if (split(substr(text, 1, 40), field, " ") < 5 || field[1] ~ /[ZX]/) continue
				pid[++n] = ARGV[i]
				row[n] = ARGV[i] ":" field[1] ":" field[2] ":" field[3] ":" field[4]
				head[field[2] ? field[2] : ARGV[i]]
			}
			printf "heads=\""
			for (i = 1; i <= n; i++) if (pid[i] in head) printf "%s/environ ", pid[i]
			printf "\" leaves=\""
			for (i = 1; i <= n; i++) if (!(pid[i] in head)) printf "%s/environ ", pid[i]
			printf "\" rows=\""
			for (i = 1; i <= n; i++) print row[i]
			print "\""
		}' [0-9]* 2>/dev/null)"
	awk=$heads
	[ -z "$awk" ] || return
	heads=$(echo [0-9]*/environ) leaves=
	for pid in [0-9]*; do
		text=
		while read -r line; do text="$text$line "; done <"$pid/stat"
		# After the name: state, parent, group, session.
		set -- ${text##*) }
		case $#$1 in [0-4]* | *[ZX]) continue ;; esac
		rows="$rows $pid:$1:$2:$3:$4"
	done 2>/dev/null
}

# find sets pids, groups and stopped groups to what the picture has of the run, by those
# of these environments that have the token, and others to what may be other users'.
find() {
	pids=' ' groups=' ' stopped=' '
	for file in $(carriers "$@"); do
		pid=${file%/environ}
		if [ -z "$own" ] || [ -O "$file" ]; then found="$found$pid "; else others="$others$pid "; fi
	done
	[ "$found$sessions" != '  ' ] || return
	if [ -n "$awk" ]; then
		eval "$(printf '%s\n' "$rows" | awk -F : -v found="$found" -v sessions="$sessions" '
			function add(set, text,   words, i) { for (i = split(text, words, " "); i > 0; i--) set[words[i]] }
			function tell(name, set,   i) { printf "%s=\" ", name; for (i in set) printf "%s ", i; print "\"" }
			BEGIN { add(carrier, found); add(session, sessions) }
			{ pid[NR] = $1; state[NR] = $2; parent[NR] = $3; group[NR] = $4; of[NR] = $5 }
			END {
				do { # until no process has a parent that was added last
					more = 0
					for (i = 1; i <= NR; i++) {
						if (pid[i] in run || !(pid[i] in carrier || of[i] in session || parent[i] in run)) continue
						more = 1
						run[pid[i]]; session[of[i]]; groups[group[i]]
						if (state[i] == "T") stopped[group[i]]
					}
				} while (more)
				tell("pids", run); tell("sessions", session); tell("groups", groups); tell("stopped", stopped)
			}')"
		return
	fi
	more=yes
	while [ -n "$more" ]; do # as above
		more=
		for row in $rows; do
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

# scan looks, and finds the run by the environments of $heads and $leaves.
scan() {
	look
	found=' ' others=' '
	find $heads $leaves
}

# deliver sends signal $1 to every process group of the run, but those that it was told
# to already. A stopped one that is to end has to go on first.
deliver() {
	for group in $groups; do
		case $told in *" $group "*) continue ;; esac
		told="$told$group "
		kill "-$1" "-$group"
		case $stopped in *" $group "*) [ -z "$grace" ] || kill -CONT "-$group" ;; esac
	done 2>/dev/null
}

# The command is known by its token, and has no parent in here.
[ -n "$(carriers "$command/environ")" ] && read -r stat <"$command/stat" && set -- ${stat##*) } && [ "$2" = 0 ] || command=0
clock
until=$((now + 200)) told=' '
while
	look
	found=' ' others=' '
	find $heads
	# To read its environment takes as long as all else about a process. One without
	# children leaves none behind that can't be told by then, so it is looked at when the
	# others have their signal, or where there are none. It has to be on the same picture:
	# what they start because of the signal is not meant.
	deliver "$signal"
	find $leaves
	[ "$pids" = ' ' ]
do
	[ "$others" = ' ' ] || { echo $others; exit 5; }
	[ -z "$begun" ] && [ "$now" -lt "$until" ] || exit 3
	pause
	clock
done
deliver "$signal"
[ -n "$grace" ] || exit 0
for session in $sessions; do # the first of the run's sessions is the command's
	case $pids in *" $session "*) ;; *) continue ;; esac
	if [ -z "$leader" ] || [ "$session" -lt "$leader" ]; then leader=$session; fi
done

end=$((now + grace)) orphaned=
while scan; [ "$pids" != ' ' ]; do
	clock
	told=' '
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
