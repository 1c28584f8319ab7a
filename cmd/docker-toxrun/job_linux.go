package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A heldStop is a SIGTSTP that is pending in a thread that blocks it. SIGCONT
// discards it there, so that the order of the two is the kernel's (signal(7)).
type heldStop struct{}

// hold and release are called in one thread.
func (heldStop) hold() {
	if unix.PthreadSigmask(unix.SIG_BLOCK, onlyTSTP(), nil) == nil {
		unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTSTP)
	}
}

// release returns when the process goes on; at once if there is no stop any more.
// Go's own handler, which signal.Reset leaves in place, would not stop us.
func (heldStop) release() {
	var byDefault, handler action
	if setAction(&byDefault, &handler) != nil {
		return
	}
	unix.PthreadSigmask(unix.SIG_UNBLOCK, onlyTSTP(), nil)
	setAction(&handler, nil)
}

func onlyTSTP() *unix.Sigset_t {
	var set unix.Sigset_t
	set.Val[0] = 1 << (unix.SIGTSTP - 1)
	return &set
}

// An action has room for the kernel's struct sigaction; SIG_DFL is all zero.
type action [8]uint64

// setAction sets what SIGTSTP does.
func setAction(action, before *action) error {
	const setSize = 8 // of the kernel's signal set
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGTSTP),
		uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(before)), setSize, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
