# docker-toxrun in bash. In ~/.bashrc: eval "$(docker-toxrun alias bash)"

function dtox { command @PROGRAM@ -- "$@"; }
function dsh { command @PROGRAM@ shell "$@"; }
function dx { command @PROGRAM@ exec "$@"; }

# _docker_toxrun takes the words from the line itself, since bash cuts them at each : and =.
# What it offers begins behind the last of these, where readline puts it, or at a quote.
function _docker_toxrun {
	local line=${COMP_LINE:0:COMP_POINT} word='' begun='' quote='' open=0 cut=0 file='' i c
	local words ask=(__completeNoDesc) IFS=$' \t\n'
	words=()
	for ((i = 0; i < ${#line}; i++)); do
		c=${line:i:1}
		if [[ $quote && $c == "$quote" ]]; then
			quote=''
		elif [[ $quote ]]; then
			if [[ $quote == \" && $c == \\ && ${line:i+1:1} == [\"\\\$\`] ]]; then
				((++i))
			fi
			word+=${line:i:1}
		else
			case $c in
			[[:space:]])
				[[ $begun && ! $file ]] && words+=("$word")
				[[ $begun ]] && file=''
				word='' begun='' cut=0
				;;
			[\<\>]) # a file of this machine follows
				[[ $begun && ! $file && $word != [0-9] ]] && words+=("$word")
				word='' begun='' cut=0 file=1
				;;
			[\"\']) quote=$c open=${#word} begun=1 ;;
			\\)
				((++i))
				word+=${line:i:1} begun=1
				;;
			*)
				word+=$c begun=1
				[[ $COMP_WORDBREAKS == *"$c"* ]] && cut=${#word}
				;;
			esac
		fi
	done
	[[ $quote ]] && cut=$open
	COMPREPLY=()
	if [[ $file ]]; then
		compopt -o default 2>/dev/null
		return
	fi
	case ${words[0]} in
	dtox) ask+=(--) ;;
	dsh) ask+=(shell) ;;
	dx) ask+=(exec) ;;
	esac
	ask+=("${words[@]:1}" "$word")
	local answer directive option=''
	answer=$(command @PROGRAM@ "${ask[@]}" 2>/dev/null </dev/null)
	directive=${answer##*:} answer=${answer%:*}
	[[ $directive == [0-9] || $directive == [0-9][0-9] ]] || return
	[[ $word == -*=* ]] && option=${word%%=*}=
	while IFS='' read -r c; do
		c=$option$c
		[[ $c == "$option" || $c != "$word"* ]] && continue
		c=${c:cut}
		case $quote in
		\") c=${c//\\/\\\\} c=${c//\"/\\\"} c=${c//\$/\\\$} c=${c//\`/\\\`} ;;
		\') c=${c//\'/\'\\\'\'} ;;
		*)
			[[ $c ]] && printf -v c %q "$c"
			c=${c//\\,/,} # of environments, not of braces
			;;
		esac
		COMPREPLY+=("$c")
	done <<<"$answer"
	((directive & 2)) && compopt -o nospace 2>/dev/null
	((directive & 32)) && compopt -o nosort 2>/dev/null
	((directive & 16)) && compopt -o dirnames 2>/dev/null
	((directive & 20)) || compopt -o default 2>/dev/null
}
complete -F _docker_toxrun docker-toxrun dtox dsh dx
