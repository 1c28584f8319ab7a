//go:build unix

package watch

import (
	"io/fs"
	"syscall"
)

func id(info fs.FileInfo) fileID {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fileID{uint64(stat.Dev), uint64(stat.Ino)}
	}
	return fileID{}
}
