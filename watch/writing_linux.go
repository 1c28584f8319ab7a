package watch

import "golang.org/x/sys/unix"

// writingOf asks the kernel, which counts the writers of a file: it grants a read
// lease on it while nobody has it open, or mapped, for writing (fcntl(2),
// F_SETLEASE), to its owner or with CAP_LEASE. A watch of closings would be a second
// one for each directory, and know nothing of what was open before it. The lease is
// given back at once: a program that opens the file for writing in between waits
// that long, some microseconds, in its open, which fails only with O_NONBLOCK.
func writingOf(path string) writing {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return unknown
	}
	defer unix.Close(fd)
	switch _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK); err {
	case nil:
	case unix.EAGAIN:
		return goingOn
	default:
		return unknown
	}
	// Not left to Close: a child that is being forked may have the descriptor, too.
	unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK)
	var s unix.Stat_t
	if unix.Fstat(fd, &s) != nil || s.Size == 0 {
		return unknown // emptied, to be written
	}
	return over
}
