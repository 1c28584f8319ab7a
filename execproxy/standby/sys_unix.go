//go:build linux || darwin

package standby

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Supported tells whether there are keepers on this system.
const Supported = true

var (
	errNoFile  error = syscall.ENOENT
	errRefused error = syscall.ECONNREFUSED
)

func ownerOf(info fs.FileInfo) (uid int, err error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, errors.ErrUnsupported
	}
	return int(stat.Uid), nil
}

// checkPeer returns an error where the other end of conn is another user's.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	uid := -1
	if failed := raw.Control(func(fd uintptr) { uid, err = peerUID(int(fd)) }); failed != nil {
		return failed
	}
	if err == nil && uid != os.Getuid() {
		err = fmt.Errorf("the other end is user %d", uid)
	}
	return err
}

// sendWith sends line, and the descriptor of passed with it.
func sendWith(conn *net.UnixConn, line []byte, passed syscall.RawConn) error {
	var n int
	var err error
	if failed := passed.Control(func(fd uintptr) {
		n, _, err = conn.WriteMsgUnix(line, unix.UnixRights(int(fd)), nil)
	}); failed != nil {
		return failed
	}
	if err == nil && n < len(line) {
		_, err = conn.Write(line[n:])
	}
	return err
}

// socketPair is a socket with two ends.
func socketPair() (*net.UnixConn, *net.UnixConn, error) {
	syscall.ForkLock.RLock() // macOS can't have them closed on exec from the beginning
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "relay")
		conn, problem := net.FileConn(file) // with a descriptor of its own
		file.Close()
		if problem == nil {
			ends[i] = conn.(*net.UnixConn)
		}
		err = errors.Join(err, problem)
	}
	if err != nil {
		for _, end := range ends {
			if end != nil {
				end.Close()
			}
		}
		return nil, nil, err
	}
	return ends[0], ends[1], nil
}

// A rights reads from a socket and keeps the connection that comes along.
type rights struct {
	*net.UnixConn
	passed net.Conn // nil: none has come
}

func (r *rights) Read(p []byte) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4)) // room for one
	n, oobn, _, _, err := r.ReadMsgUnix(p, oob)
	if oobn > 0 {
		if taken := r.keep(oob[:oobn]); taken != nil && err == nil {
			err = taken
		}
	}
	return max(n, 0), err
}

func (r *rights) keep(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return err
		}
		for _, fd := range fds {
			file := os.NewFile(uintptr(fd), "spare")
			if r.passed != nil {
				r.passed.Close()
			}
			r.passed, err = net.FileConn(file) // with a descriptor of its own
			file.Close()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// apart is a process in a session of its own.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// keepFiles keeps all open files but the first three from the programs that this
// process starts, those too that it has been given itself.
func keepFiles() {
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return
	}
	for _, file := range open {
		if fd, err := strconv.Atoi(file.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// lock takes the lock of a directory, which ends when the file is closed.
func lock(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
