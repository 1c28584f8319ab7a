//go:build unix

package enginetest

import (
	"os"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// processAttr makes a process the leader of a session, as runc does.
func processAttr(tty bool, a *account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Setctty: tty}
	if !a.self {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: a.groups}
	}
	return attr
}

// exitCode is the status as a shell has it: 128+N for signal N.
func exitCode(state *os.ProcessState) int {
	if s := state.Sys().(syscall.WaitStatus); s.Signaled() {
		return 128 + int(s.Signal())
	}
	return state.ExitCode()
}

// openTerminal returns both sides of a new one. Without a size it has 0 rows
// and 0 columns.
func openTerminal(size *[2]uint) (terminal, side *os.File, err error) {
	p, side, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer p.Close()
	// The file that pty has opened blocks a thread in Read, and Close does
	// not end that.
	fd, err := unix.FcntlInt(p.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		side.Close()
		return nil, nil, err
	}
	terminal = os.NewFile(uintptr(fd), p.Name())
	if size != nil {
		err = setSize(terminal, uint16(size[0]), uint16(size[1]))
	}
	return terminal, side, err
}

func setSize(terminal *os.File, height, width uint16) error {
	// Not pty.Setsize: it makes the file block.
	c, err := terminal.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width})
	})
	if err != nil {
		return err
	}
	return failed
}

func killProcess(pid int)     { syscall.Kill(pid, syscall.SIGKILL) }
func stopProcess(pid int)     { syscall.Kill(pid, syscall.SIGSTOP) }
func continueProcess(pid int) { syscall.Kill(pid, syscall.SIGCONT) }
