//go:build !linux && !darwin

package standby

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// Supported tells whether there are keepers on this system. Where there are none
// the rest of the package is not to be called.
const Supported = false

var (
	errNoFile  = fs.ErrNotExist
	errRefused = errors.ErrUnsupported
)

func ownerOf(fs.FileInfo) (int, error)                      { return -1, errors.ErrUnsupported }
func checkPeer(*net.UnixConn) error                         { return errors.ErrUnsupported }
func sendWith(*net.UnixConn, []byte, syscall.RawConn) error { return errors.ErrUnsupported }
func apart() *syscall.SysProcAttr                           { return nil }
func keepFiles()                                            {}
func socketPair() (*net.UnixConn, *net.UnixConn, error) {
	return nil, nil, errors.ErrUnsupported
}
func lock(string) (*os.File, error) { return nil, errors.ErrUnsupported }

type rights struct {
	*net.UnixConn
	passed net.Conn
}
