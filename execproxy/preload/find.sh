# find.sh PROGRAM FLAGS ARG...
#
# Becomes the Python of PROGRAM with the arguments ARG: the one of its first line where
# PROGRAM is a script, which then has no FLAGS, else PROGRAM itself, whose FLAGS are the
# first of ARG, by their number. One line of stdin sets the environment for it. Where
# there is no Python, it goes on as the shell that waits, with the reason in _toxrun_r.
#
# Its variables have names that no command is likely to have been given: one that
# the container has exported would reach the interpreter.

# python PROGRAM [FLAG...] tells whether it is one, with flags that can stand
# before -c as well as before a script.
_toxrun_python() {
	case ${1##*/} in
	python* | pypy*) shift ;;
	*) return 1 ;;
	esac
	for _toxrun_flag; do
		case $_toxrun_flag in
		-[WX]?*) ;;
		- | [!-]* | -*[!bBdEIOPqRsSuv]*) return 1 ;;
		esac
	done
}

# With "exec" in front of PROGRAM it becomes the Python, else it only tells why it could
# not.
_toxrun_find() {
	set -f
	case $2 in
	*/*) _toxrun_f=$2 ;;
	*)
		_toxrun_f=
		IFS=:
		for _toxrun_d in $PATH; do
			[ -f "$_toxrun_d/$2" ] && [ -x "$_toxrun_d/$2" ] && _toxrun_f=$_toxrun_d/$2 && break
		done
		unset IFS
		;;
	esac
	[ -f "$_toxrun_f" ] && [ -x "$_toxrun_f" ] || { echo "$2: not found" && return; }
	_toxrun_no="$_toxrun_f is not a Python script"
	_toxrun_exec=$1 _toxrun_k=$3
	shift 3

	if [ "$_toxrun_k" ]; then
		case $_toxrun_k in
		0) _toxrun_python "$_toxrun_f" ;;
		1) _toxrun_python "$_toxrun_f" "$1" ;;
		2) _toxrun_python "$_toxrun_f" "$1" "$2" ;;
		*) _toxrun_python "$_toxrun_f" "$1" "$2" "$3" ;;
		esac || { echo "$_toxrun_f is not a Python" && return; }
		$_toxrun_exec "$_toxrun_f" "$@"
		return
	fi
	_toxrun_c= _toxrun_d=
	{ IFS= read -r _toxrun_c; IFS= read -r _toxrun_d; } 2>/dev/null <"$_toxrun_f"
	case $_toxrun_c in
	'#!'*) _toxrun_c=${_toxrun_c#??} ;;
	*) echo "$_toxrun_no" && return ;;
	esac
	case $_toxrun_c in
	*/env[\ \	]*)
		_toxrun_d=${_toxrun_c#*/env}
		_toxrun_d=${_toxrun_d#*[\ \	]-S}
		_toxrun_python $_toxrun_d || { echo "$_toxrun_no" && return; }
		$_toxrun_exec ${_toxrun_c%"$_toxrun_d"} $_toxrun_d "$@"
		;;
	*/sh)
		# A Python whose name is too long for a first line, or has a space, is called
		# by a shell (distlib's way, and so pip's), which adds variables of its own.
		case $_toxrun_d in
		*[\\\`\$\;\&\|\<\>\(\)]*' "$0" "$@"') echo "$_toxrun_no" && return ;;
		"'''exec' "*' "$0" "$@"') ;;
		*) echo "$_toxrun_no" && return ;;
		esac
		_toxrun_d=${_toxrun_d#"'''exec' "}
		_toxrun_d=${_toxrun_d%' "$0" "$@"'}
		eval "_toxrun_python $_toxrun_d" || { echo "$_toxrun_no" && return; }
		export _toxrun_shell=yes
		eval "$_toxrun_exec $_toxrun_c -c 'exec \"\$@\"' sh $_toxrun_d \"\$@\""
		;;
	*)
		_toxrun_python $_toxrun_c || { echo "$_toxrun_no" && return; }
		$_toxrun_exec $_toxrun_c "$@"
		;;
	esac
}

_toxrun_n='
'
IFS= read -r _toxrun_c || exit
_toxrun_r=$(eval "$_toxrun_c"; _toxrun_find : "$@")
if [ -z "$_toxrun_r" ]; then
	eval "$_toxrun_c"
	# Room for what main.py has the process tell of the run.
	_toxrun_c='                                        '
	export TOXRUN_CLIENT="$_toxrun_c$_toxrun_c$_toxrun_c$_toxrun_c"
	_toxrun_find exec "$@"
	exit
fi
_toxrun_c=
