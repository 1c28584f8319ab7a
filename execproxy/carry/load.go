// Package carry takes files of this machine along with a command: into its container
// before it runs, and what it has written of them back to their places afterwards.
// Both go through the Engine's archive calls, and nothing need be in the image for it.
package carry

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/docker/docker/api/types/container"
)

// An Engine is what a Load asks of the Docker Engine. *client.Client of
// github.com/docker/docker is one.
type Engine interface {
	CopyToContainer(ctx context.Context, container, path string, content io.Reader, options container.CopyToContainerOptions) error
	CopyFromContainer(ctx context.Context, container, path string) (io.ReadCloser, container.PathStat, error)
}

// A Load is the files that go with one command. Set its fields, Add the files, Send
// them, and Receive them when the command has ended.
type Load struct {
	Engine    Engine
	Container string // ID, or name

	// Dir is a directory of the command's own in the container: absolute and clean.
	// Send makes it, in one that must be there. Whoever sends has it removed.
	Dir string

	// UID and GID own the files in the container. Shared ones can be written by all,
	// for a user whose number is not known.
	UID, GID int
	Shared   bool

	places []place
	size   int64 // of all files in bytes
	files  int
}

// A place is a directory of this machine that files are from.
type place struct {
	dir   string // absolute
	items []item
}

// An item is a file or directory that was added.
type item struct {
	name string
	real string           // where it is: elsewhere for a symbolic link
	sent map[string]stamp // by path below place.dir
}

// A stamp tells a file that was written from one that was not.
type stamp struct {
	kind        byte   // as tar has it
	size, mtime int64  // of a file; bytes, and seconds since 1970
	link        string // of a symbolic link: where it leads
}

func stampOf(h *tar.Header) stamp {
	s := stamp{kind: h.Typeflag, link: h.Linkname}
	if h.Typeflag == tar.TypeReg {
		s.size, s.mtime = h.Size, h.ModTime.Unix()
	}
	return s
}

const (
	// maxSize is how much a Load carries at most, in bytes, and maxFiles how many files:
	// far above an editor's scripts and reports. There and back such a load takes seconds
	// (measured: 20.10, 1.7 s for 256 MB in one file, 6.3 s for 10,000 empty ones).
	maxSize  = 256 << 20
	maxFiles = 10_000
)

// Empty tells whether there is nothing to send.
func (l *Load) Empty() bool { return len(l.places) == 0 }

// Add adds a file, or a directory with all that is in it, and returns its path in the
// container. One that is not there is added all the same: it is received if the command
// makes it. name is absolute and clean. It is an error where it is too much for a Load,
// can't be read, or is neither a file nor a directory; then nothing is added.
func (l *Load) Add(name string) (inside string, err error) {
	size, files := l.size, l.files
	err = walk(name, func(below string, info fs.FileInfo) error {
		switch {
		case info.IsDir(), info.Mode()&fs.ModeSymlink != 0:
		case info.Mode().IsRegular():
			size += info.Size()
			file, err := os.Open(below)
			if err != nil {
				return err
			}
			file.Close()
		case files == l.files: // name itself
			return errors.New("it is neither a file nor a directory")
		}
		if files++; size > maxSize || files > maxFiles {
			return fmt.Errorf("more than %d MB or %d files", maxSize>>20, maxFiles)
		}
		return nil
	})
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			name, err = path.Path, path.Err
		}
		return "", fmt.Errorf("%s: %w", name, err)
	}
	l.size, l.files = size, files
	dir, base := filepath.Dir(name), filepath.Base(name)
	at := slices.IndexFunc(l.places, func(p place) bool { return p.dir == dir })
	if at < 0 {
		at = len(l.places)
		l.places = append(l.places, place{dir: dir})
	}
	p := &l.places[at]
	if !slices.ContainsFunc(p.items, func(i item) bool { return i.name == base }) {
		real, err := filepath.EvalSymlinks(name)
		if err != nil {
			real = name // it is not there
		}
		p.items = append(p.items, item{base, real, map[string]stamp{}})
	}
	return path.Join(l.inside(at), base), nil
}

func (l *Load) inside(place int) string { return path.Join(l.Dir, strconv.Itoa(place)) }

// Places gives the directories of this machine that files are from, by their paths in the
// container.
func (l *Load) Places() map[string]string {
	places := map[string]string{}
	for i, p := range l.places {
		places[l.inside(i)] = p.dir
	}
	return places
}

// walk calls f for name, which may be a symbolic link, and for all that is in it. A name
// that is not there is nothing to walk.
func walk(name string, f func(name string, info fs.FileInfo) error) error {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f(name, info); err != nil || !info.IsDir() {
		return err
	}
	return filepath.WalkDir(name+string(filepath.Separator), func(below string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if filepath.Clean(below) == name {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return f(below, info)
	})
}
