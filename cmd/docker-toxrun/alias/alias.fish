# docker-toxrun in fish. In ~/.config/fish/config.fish: docker-toxrun alias fish | source

function dtox --description 'the service\'s command, in its container'
    command @PROGRAM@ -- $argv
end
function dsh --description 'a shell in the service\'s container'
    command @PROGRAM@ shell $argv
end
function dx --description 'any command in the service\'s container'
    command @PROGRAM@ exec $argv
end

function __docker_toxrun
    set -l words $argv (commandline -opc)[2..]
    set -l word (string unescape -- (commandline -ct)); or return
    set -l lines (command @PROGRAM@ __complete $words "$word" 2>/dev/null </dev/null)
    set -l directive (string match -r '^:[0-9]+$' -- $lines[-1] | string sub -s 2)
    test -n "$directive"; or return
    set -e lines[-1]
    set -l before
    set -l value $word
    if string match -q -- '-*=*' "$word"
        set before (string replace -r '=.*' = -- $word)
        set value (string replace -r '^[^=]*=' '' -- $word)
    end
    if test (math "floor($directive / 16) % 2") = 1
        set -a lines (__fish_complete_directories "$value")
    else if test (math "floor($directive / 4) % 2") = 0
        set -a lines (__fish_complete_path "$value")
    end
    for line in $lines
        echo -- "$before$line"
    end
end
complete -e -c docker-toxrun -c dtox -c dsh -c dx
complete -c docker-toxrun -f -a '(__docker_toxrun)'
complete -c dtox -f -a '(__docker_toxrun --)'
complete -c dsh -f -a '(__docker_toxrun shell)'
complete -c dx -f -a '(__docker_toxrun exec)'
