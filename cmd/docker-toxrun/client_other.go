//go:build !linux

package main

import (
	"os"
	"runtime"
	"syscall"
)

// startOf is empty for a process that there is not. When one was started is not known
// here.
func startOf(pid int) string {
	p, err := os.FindProcess(pid)
	if err != nil {
		return ""
	}
	defer p.Release()
	if err := p.Signal(syscall.Signal(0)); runtime.GOOS != "windows" && err != nil && err != syscall.EPERM {
		return ""
	}
	return "0"
}
