//go:build unix

package queue

import (
	"io/fs"
	"os"
	"syscall"
)

// ours tells whether this user has written a file.
func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}
