package execproxy

import (
	"os"
	"syscall"
)

// signalName is a signal's name for kill, without SIG.
func signalName(sig os.Signal) string {
	switch sig {
	case nothing:
		return "0"
	case os.Interrupt:
		return "INT"
	case syscall.SIGHUP:
		return "HUP"
	case syscall.SIGQUIT:
		return "QUIT"
	case syscall.SIGPIPE:
		return "PIPE"
	case os.Kill:
		return "KILL"
	}
	return "TERM"
}

// Suspends tells whether sig is what ^Z sends; there is none here.
func Suspends(os.Signal) bool { return false }

// resume is never sent here.
const resume = syscall.SIGTERM
