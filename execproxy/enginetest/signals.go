package enginetest

import (
	"os"
	"os/signal"
	"syscall"
)

// Unignore is for TestMain. The processes that tests start inherit which signals
// this one ignores: HUP under nohup, INT as a background job of a script. Signals
// that are received instead are back at their default there.
func Unignore() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}
