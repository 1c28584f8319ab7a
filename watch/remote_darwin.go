package watch

import "golang.org/x/sys/unix"

// remote returns the name of the filesystem that path is on if it is not of this
// machine, "" otherwise.
func remote(path string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil || s.Flags&unix.MNT_LOCAL != 0 {
		return ""
	}
	return unix.ByteSliceToString(s.Fstypename[:])
}
