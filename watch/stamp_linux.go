package watch

import (
	"io/fs"
	"syscall"
)

// changesDated says that changed returns what nobody can set.
const changesDated = true

// changed is when the system last changed anything of the file, in nanoseconds since 1970.
func changed(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return syscall.TimespecToNsec(stat.Ctim)
	}
	return info.ModTime().UnixNano()
}
