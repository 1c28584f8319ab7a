# Prints what /proc says of each process with the token of a run in the container: its
# stat, its arguments and its environment, each as FILE:TEXT with a NUL behind it. Before
# them comes for how long the machine has been up, and which PIDs are of the script's own
# user.
#
# Any POSIX sh will do, behind carriers.sh; and tr where there is no grep.

token= own= files=
for file in $(carriers /proc/[0-9]*/environ); do
	dir=${file%/environ}
	files="$files $dir/stat $dir/cmdline $file"
	[ -O "$file" ] && own="$own ${dir#/proc/}"
done
read -r up rest </proc/uptime
printf 'up:%s\000own:%s\000' "$up" "$own"
if [ -n "$grep" ]; then
	grep -Hsz '' $files </dev/null
else
	for file in $files; do
		tr '\000' '\n' 2>/dev/null <"$file" | while IFS= read -r line; do
			printf '%s:%s\000' "$file" "$line"
		done
	done
fi
exit 0
