// Package execproxy runs one command in one running container as if it ran
// here: its two output streams stay apart, stdin, terminal, signals and exit
// status are passed through, and nothing of it is left behind. A [Cmd] is to a
// container what os/exec.Cmd is to this machine.
//
// All of it goes through the Engine's exec API: one exec is created, started
// and, at its end, inspected. The Engine can't signal an exec and does not
// notice a client that goes away, so every command carries a random token in its
// environment, and a signal is a second exec, the script signal.sh, that finds
// the command's processes by that token. Where the container can't run it, and the
// Engine is on this machine, the same processes are signaled from here.
//
// The package knows no Compose, no command line and no terminal of this machine:
// raw mode and window size are the caller's.
package execproxy
