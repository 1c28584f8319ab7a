package compose

import (
	"io/fs"
	"syscall"
)

// inode gives what of a file's state io/fs doesn't know: when its inode was
// last changed, and its number.
func inode(info fs.FileInfo) (changed int64, number uint64) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0
	}
	return stat.Ctim.Nano(), stat.Ino
}
