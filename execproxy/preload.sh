# preload.sh PROGRAM ARG...
#
# Becomes the Python of PROGRAM, a console script, with the arguments ARG. One
# line of stdin sets the environment for it. Where it can't, it says why on
# stderr, after the token.
#
# Its variables have names that no command is likely to have been given: one that
# the container has exported would reach the interpreter.

refuse() {
	printf '%s%s\n' "$TOXRUN_RUN" "$1" >&2
	exit 0
}

# python PROGRAM [FLAG...] tells whether it is one, with flags that can stand
# before -c as well as before a script.
python() {
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

_toxrun_n='
'
IFS= read -r _toxrun_c && eval "$_toxrun_c" || exit
set -f
case $1 in
*/*) _toxrun_f=$1 ;;
*)
	_toxrun_f=
	IFS=:
	for _toxrun_d in $PATH; do
		[ -f "$_toxrun_d/$1" ] && [ -x "$_toxrun_d/$1" ] && _toxrun_f=$_toxrun_d/$1 && break
	done
	unset IFS
	;;
esac
[ -f "$_toxrun_f" ] && [ -x "$_toxrun_f" ] || refuse "$1: not found"
shift

_toxrun_c= _toxrun_d=
{ IFS= read -r _toxrun_c; IFS= read -r _toxrun_d; } 2>/dev/null <"$_toxrun_f"
_toxrun_no="$_toxrun_f is not a Python script"
case $_toxrun_c in
'#!'*) _toxrun_c=${_toxrun_c#??} ;;
*) refuse "$_toxrun_no" ;;
esac
case $_toxrun_c in
*/env[\ \	]*)
	_toxrun_d=${_toxrun_c#*/env}
	_toxrun_d=${_toxrun_d#*[\ \	]-S}
	python $_toxrun_d || refuse "$_toxrun_no"
	exec ${_toxrun_c%"$_toxrun_d"} $_toxrun_d "$@"
	;;
*/sh)
	# A Python whose name is too long for a first line, or has a space, is called
	# by a shell (distlib's way, and so pip's), which adds variables of its own.
	case $_toxrun_d in
	*[\\\`\$\;\&\|\<\>\(\)]*' "$0" "$@"') refuse "$_toxrun_no" ;;
	"'''exec' "*' "$0" "$@"') ;;
	*) refuse "$_toxrun_no" ;;
	esac
	_toxrun_d=${_toxrun_d#"'''exec' "}
	_toxrun_d=${_toxrun_d%' "$0" "$@"'}
	eval "python $_toxrun_d" || refuse "$_toxrun_no"
	export _toxrun_shell=yes
	eval "exec $_toxrun_c -c 'exec \"\$@\"' sh $_toxrun_d \"\$@\""
	;;
*)
	python $_toxrun_c || refuse "$_toxrun_no"
	exec $_toxrun_c "$@"
	;;
esac
