package standby

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// Dir is where the sockets of this user's keepers are: docker-toxrun below
// XDG_RUNTIME_DIR if that is this user's own, as it has to be (XDG Base Directory
// Specification; after su it may be another user's), or else a directory with the
// user's number in its name below the one for temporary files. It is made if it is
// not there. One that is not this user's, that is open to others or that is a symbolic
// link is an error.
func Dir() (string, error) {
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) && ours(runtime) {
		return private(filepath.Join(runtime, "docker-toxrun"))
	}
	return DirIn(os.TempDir())
}

// DirIn is the directory that Dir would return if parent was the one for temporary files.
func DirIn(parent string) (string, error) {
	return private(filepath.Join(parent, "docker-toxrun-"+strconv.Itoa(os.Getuid())))
}

// private makes a directory, or sees whether the one that is there can be trusted.
func private(dir string) (string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", err
	}
	return dir, checkDir(dir)
}

// ours tells whether a directory is this user's.
func ours(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	owner, err := ownerOf(info)
	return err == nil && owner == os.Getuid()
}

func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case info.Mode().Perm() != 0o700 || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0:
		return fmt.Errorf("%s is open to others: its mode is %v, not 0700", dir, info.Mode().Perm())
	}
	if owner, err := ownerOf(info); err != nil || owner != os.Getuid() {
		return fmt.Errorf("%s belongs to another user (%d)", dir, owner)
	}
	return nil
}
