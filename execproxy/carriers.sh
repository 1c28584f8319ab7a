# What signal.sh and runs.sh have in common, put in front of both.
#
# Any POSIX sh will do. grep is used where there is one that takes -z, since sh alone
# reads an environment byte by byte.

export LC_ALL=C # it may hold any

grep=
echo x | grep -qz x 2>/dev/null && grep=yes

# carriers prints those of its arguments, environments in /proc, that have the token, or
# one of any run where $token is empty.
carriers() {
	if [ -n "$grep" ]; then
		grep -lszF "TOXRUN_RUN=$token" "$@" </dev/null
		return
	fi
	for file; do
		while IFS= read -r line || [ -n "$line" ]; do
			case $line in *"TOXRUN_RUN=$token"*) echo "$file" && break ;; esac
		done 2>/dev/null <"$file"
	done 2>/dev/null
}

