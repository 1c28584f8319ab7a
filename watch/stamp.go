package watch

import (
	"io/fs"
	"time"
)

// A stamp is what tells one state of a file from another. Access, permissions and
// the number of links are not part of it; what git calls executable is.
type stamp struct {
	size  int64
	mtime int64 // nanoseconds since 1970
	inode uint64
	kind  fileKind

	changed int64 // nanoseconds since 1970 by the system's clock; no part of the state

	// fresh says that the file was changed so shortly before it was looked at
	// that a further change may leave the rest of the stamp as it is.
	fresh bool
}

type fileKind uint8

const (
	absent fileKind = iota // or nothing that is watched: a socket, a device
	file
	executable
	link
	directory
)

// A file's time is that of the kernel's last tick, of which there are at least 100
// a second; on FAT and HFS+ it is in seconds, and FAT counts them in twos.
const (
	tick       = 20 * time.Millisecond
	coarseTick = 2 * time.Second
)

// newStamp returns the stamp of what info was got for at the time now.
func newStamp(info fs.FileInfo, now time.Time) stamp {
	s := stamp{mtime: info.ModTime().UnixNano()}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return stamp{kind: directory}
	case mode.IsRegular() && mode&0o111 != 0:
		s.kind = executable
	case mode.IsRegular():
		s.kind = file
	case mode&fs.ModeSymlink != 0:
		s.kind = link
	default:
		return stamp{}
	}
	s.size = info.Size()
	s.inode = id(info).inode
	s.changed = changed(info)
	age := now.UnixNano() - s.mtime
	s.fresh = age < int64(tick) || age < int64(coarseTick) && s.mtime%int64(time.Second) == 0
	return s
}

// isFile reports whether s is of something that is watched: a file or a link.
func (s stamp) isFile() bool { return s.kind == file || s.kind == executable || s.kind == link }

// same reports whether s and t are of the same state. wrote says that the file was
// written to after s was taken.
func (s stamp) same(t stamp, wrote bool) bool {
	if wrote && s.fresh {
		return false
	}
	s.fresh, t.fresh = false, false
	s.changed, t.changed = 0, 0
	return s == t
}

// A fileID is what a file or directory keeps when it is moved. It is zero where
// that is not known.
type fileID struct{ device, inode uint64 }
