package compose

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"time"
)

// An Input is a file as it was when a Model was made of it: if it is still
// the same, so is the Model. That a file wasn't there is worth as much.
type Input struct {
	Path   string      `json:"path"`
	Absent bool        `json:"absent,omitempty"`
	Kind   fs.FileMode `json:"kind,omitempty"` // type bits; the fields below are those of regular files

	Size     int64  `json:"size,omitempty"`
	Modified int64  `json:"modified,omitempty"` // nanoseconds since 1970
	Changed  int64  `json:"changed,omitempty"`  // the same of the inode, which touch -d can't set; 0 on Windows
	Inode    uint64 `json:"inode,omitempty"`    // 0 on Windows

	// Sum is the digest of the content, kept only as long as the times above
	// are too recent to be relied on; see tick.
	Sum string `json:"sum,omitempty"`
}

// tick is how long two writes may go with the same time on the file. It is
// 2 s on FAT, 1 s on HFS+ and ext3, and a few milliseconds of kernel clock on
// what is common today. A file younger than that when it is read may change
// again without a trace in its times, as git's index has it ("racy git").
const tick = 2 * time.Second

// Look gives the state of a file now. A file that can't be looked at is as
// one that isn't there: it is so to Compose.
func Look(path string) Input {
	in := Input{Path: path}
	info, err := os.Stat(path)
	if err != nil {
		in.Absent = true
		return in
	}
	in.Kind = info.Mode().Type()
	if info.Mode().IsRegular() {
		in.Size = info.Size()
		in.Modified = info.ModTime().UnixNano()
		in.Changed, in.Inode = inode(info)
	}
	return in
}

// Read reads a file, having looked at it before: what is written in between
// shows as a change.
func Read(path string) (Input, []byte, error) {
	now := time.Now()
	in := Look(path)
	content, err := os.ReadFile(path)
	if err == nil && in.Kind.IsRegular() && !in.settled(now) {
		in.Sum = digest(content)
	}
	return in, content, err
}

// unchanged reports whether the file is still what it was. Once its times are
// old enough it drops the Sum, so that the next time a stat is all it takes.
func (in *Input) unchanged() bool {
	now := time.Now()
	seen := Look(in.Path)
	seen.Sum = in.Sum
	switch {
	case seen != *in:
		return false
	case in.Kind&(fs.ModeNamedPipe|fs.ModeSocket) != 0:
		return false // what was read from it is gone
	case in.Sum == "":
		return true
	}
	content, err := os.ReadFile(in.Path)
	if err != nil || digest(content) != in.Sum {
		return false
	}
	if in.settled(now) {
		in.Sum = ""
	}
	return true
}

// settled reports whether a write after now would show in the file's times.
func (in *Input) settled(now time.Time) bool {
	return max(in.Modified, in.Changed) < now.Add(-tick).UnixNano()
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
