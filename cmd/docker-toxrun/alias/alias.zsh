# docker-toxrun in zsh. In ~/.zshrc, below compinit: eval "$(docker-toxrun alias zsh)"

function dtox { command @PROGRAM@ -- "$@" }
function dsh { command @PROGRAM@ shell "$@" }
function dx { command @PROGRAM@ exec "$@" }

function _docker_toxrun {
	local -a ask lines whole begun described shown
	local line value directive
	ask=(__complete)
	case ${words[1]} in
	(dtox) ask+=(--) ;;
	(dsh) ask+=(shell) ;;
	(dx) ask+=(exec) ;;
	esac
	ask+=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
	lines=("${(@f)$(command @PROGRAM@ "${ask[@]}" 2>/dev/null </dev/null)}")
	directive=${lines[-1]#:}
	[[ $directive == <-> ]] || return 1
	for line in "${(@)lines[1,-2]}"; do
		value=${line%%$'\t'*}
		if [[ $value != $line ]]; then
			described+=("$value") shown+=("$value  -- ${line#*$'\t'}")
		elif [[ $value == */ ]]; then
			begun+=("$value") # and goes on
		else
			whole+=("$value")
		fi
	done
	[[ $PREFIX == -*=* ]] && compset -P '*=' # the value alone is offered
	compadd -l -d shown -a described
	compadd -S '' -a begun
	compadd -a whole
	if (( directive & 16 )); then
		_files -/
	elif (( ! (directive & 4) )); then
		_files
	fi
}
(( $+functions[compdef] )) && compdef _docker_toxrun docker-toxrun dtox dsh dx
