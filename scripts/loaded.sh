#!/usr/bin/env bash
# loaded.sh [N] runs `make test` N times, 5 unless said otherwise, as the tests have to
# hold too: on a machine that is busy with four loops besides, without a hangup (as
# nohup has it), with stdin closed, and with umask 077. Each run has its log in
# bin/loaded-I.log; a line each and the status say whether all were green.
set -uo pipefail
cd "$(dirname "$0")/.."
times=${1-5}
case $times in
'' | 0* | *[!0-9]*)
	echo "loaded.sh: how often? $times is no number from 1 on" >&2
	exit 2
	;;
esac
umask 077
trap '' HUP
exec <&-
mkdir -p bin

loops=()
end() {
	[ ${#loops[@]} = 0 ] || kill "${loops[@]}" 2>/dev/null
	wait
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for _ in 1 2 3 4; do
	(
		trap - EXIT
		# One that has lost its parent ends by itself.
		while kill -0 $$ 2>/dev/null; do for _ in {1..100000}; do :; done; done
	) &
	loops+=($!)
done

red=0
for i in $(seq "$times"); do
	begin=$SECONDS
	if make test >"bin/loaded-$i.log" 2>&1; then
		echo "run $i: green, $((SECONDS - begin)) s"
	else
		red=$((red + 1))
		echo "run $i: red, $((SECONDS - begin)) s: bin/loaded-$i.log"
		grep -- '^ *--- FAIL' "bin/loaded-$i.log"
	fi
done
echo "$red of $times red"
[ "$red" = 0 ]
