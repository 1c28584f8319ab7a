//go:build unix

package main

import (
	"math"
	"syscall"
)

// filesLimit is how many files this process may have open. Go has raised it to what the
// user may have (package os).
func filesLimit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt32
	}
	return int(min(limit.Cur, math.MaxInt32))
}
