//go:build unix

package execproxy

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalName is a signal's name for kill, without SIG: numbers differ between
// systems. SIGTSTP would do nothing to the command, whose process group is
// orphaned, so SIGSTOP is sent for it.
func signalName(sig os.Signal) string {
	if Suspends(sig) {
		return "STOP"
	}
	if sig == nothing {
		return "0"
	}
	return strings.TrimPrefix(unix.SignalName(sig.(syscall.Signal)), "SIG")
}

// Suspends tells whether sig is what ^Z sends.
func Suspends(sig os.Signal) bool { return sig == syscall.SIGTSTP }

// resume is sent to a command that was suspended.
const resume = syscall.SIGCONT
