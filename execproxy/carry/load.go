// Package carry takes files of this machine along with a command: into its container
// before it runs, and what it has written of them back to their places afterwards.
// Both go through the Engine's archive calls, and nothing need be in the image for it.
package carry

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

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
	size, mtime int64 // bytes; seconds since 1970
	directory   bool
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

// Send copies the files into the container.
func (l *Load) Send(ctx context.Context) error {
	out, in := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := l.pack(in)
		in.CloseWithError(err)
		packed <- err
	}()
	err := l.Engine.CopyToContainer(ctx, l.Container, path.Dir(l.Dir), out, container.CopyToContainerOptions{})
	out.CloseWithError(errUnread)
	if failed := <-packed; failed != nil && !errors.Is(failed, errUnread) {
		return failed // which is why the request has failed, too
	}
	return err
}

var errUnread = errors.New("the engine has stopped reading")

// pack writes the archive, with paths below path.Dir(l.Dir).
func (l *Load) pack(to io.Writer) error {
	w := tar.NewWriter(to)
	root := path.Base(l.Dir)
	now := time.Now()
	directory := func(name string) error {
		return w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeDir, Name: name + "/", Mode: l.mode(0o700 | fs.ModeDir), Uid: l.UID, Gid: l.GID, ModTime: now,
		})
	}
	if err := directory(root); err != nil {
		return err
	}
	for i, p := range l.places {
		at := path.Join(root, strconv.Itoa(i))
		if err := directory(at); err != nil {
			return err
		}
		for _, item := range p.items {
			if err := walk(filepath.Join(p.dir, item.name), func(name string, info fs.FileInfo) error {
				rel, err := filepath.Rel(p.dir, name)
				if err != nil {
					return err
				}
				return l.add(w, path.Join(at, filepath.ToSlash(rel)), name, info, item.sent, filepath.ToSlash(rel))
			}); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

// add writes one file to the archive. What is none of the kinds that a container could
// make use of is left out.
func (l *Load) add(w *tar.Writer, to, name string, info fs.FileInfo, sent map[string]stamp, rel string) error {
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(name); err != nil {
			return err
		}
	} else if !info.IsDir() && !info.Mode().IsRegular() {
		return nil
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name, header.Mode = to, l.mode(info.Mode())
	header.Uid, header.Gid, header.Uname, header.Gname = l.UID, l.GID, "", ""
	header.AccessTime, header.ChangeTime = time.Time{}, time.Time{}
	header.ModTime = before(info.ModTime())
	if info.IsDir() {
		header.Name += "/"
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	sent[rel] = stamp{header.Size, header.ModTime.Unix(), info.IsDir()}
	if !info.Mode().IsRegular() {
		return nil
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.CopyN(w, file, header.Size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// before is a time for a file in the container by which a later write shows, though the
// Engine tells whole seconds (moby, pkg/archive).
func before(mtime time.Time) time.Time {
	if latest := time.Now().Add(-2 * time.Second); mtime.After(latest) {
		mtime = latest
	}
	return mtime.Truncate(time.Second)
}

// mode is the mode of a file in the container.
func (l *Load) mode(m fs.FileMode) int64 {
	bits := m.Perm() | 0o600
	if m.IsDir() {
		bits |= 0o100
	}
	if l.Shared {
		bits |= 0o666
		if bits&0o100 != 0 {
			bits |= 0o111
		}
	}
	return int64(bits)
}

// Receive copies what the command has written back to where the files are from: what was
// added, and what is new beside it, unless something else has that name here. What the
// command has removed is removed. What can't be brought back is in the error, which names
// each; all else is. A file here is written when all of it has come.
func (l *Load) Receive(ctx context.Context) error {
	archive, _, err := l.Engine.CopyFromContainer(ctx, l.Container, l.Dir)
	if err != nil {
		return err
	}
	defer archive.Close()
	spool, err := os.CreateTemp("", "docker-toxrun-*")
	if err != nil {
		return err
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	var failed []error
	lost := func(p place, rel string, err error) {
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", filepath.Join(p.dir, filepath.FromSlash(rel)), err))
		}
	}
	seen := map[string]bool{}
	for r := tar.NewReader(archive); ; {
		header, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		p, rel, ok := l.find(header.Name)
		if !ok {
			continue
		}
		seen[filepath.Join(p.dir, rel)] = true
		if p.unchanged(rel, header) || isCache(rel) {
			continue
		}
		if _, err := spool.Seek(0, io.SeekStart); err != nil {
			return errors.Join(append(failed, err)...)
		}
		size, err := io.Copy(spool, r)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		lost(p, rel, p.receive(rel, header, io.NewSectionReader(spool, 0, size)))
	}
	for _, p := range l.places {
		for _, i := range p.items {
			for _, rel := range slices.Backward(slices.Sorted(maps.Keys(i.sent))) { // what is in a directory before it
				if !seen[filepath.Join(p.dir, rel)] {
					lost(p, rel, p.remove(rel))
				}
			}
		}
	}
	return errors.Join(failed...)
}

// find gives the place that an entry of an archive of Dir is of, and its path there.
func (l *Load) find(name string) (p place, rel string, ok bool) {
	_, name, _ = strings.Cut(path.Clean(name), "/") // Dir's own name
	number, rel, _ := strings.Cut(name, "/")
	at, err := strconv.Atoi(number)
	if err != nil || at < 0 || at >= len(l.places) || !filepath.IsLocal(filepath.FromSlash(rel)) {
		return place{}, "", false
	}
	return l.places[at], rel, true
}

// item is the one that a path is of, or below; nil: none.
func (p place) item(rel string) *item {
	first, _, _ := strings.Cut(rel, "/")
	at := slices.IndexFunc(p.items, func(i item) bool { return i.name == first })
	if at < 0 {
		return nil
	}
	return &p.items[at]
}

// unchanged tells whether an entry of an archive is as it was sent.
func (p place) unchanged(rel string, header *tar.Header) bool {
	i := p.item(rel)
	if i == nil {
		return false
	}
	sent, ok := i.sent[rel]
	switch header.Typeflag {
	case tar.TypeReg:
		return ok && sent == stamp{header.Size, header.ModTime.Unix(), false}
	case tar.TypeDir:
		return ok && sent.directory
	}
	return ok
}

// isCache tells whether a path is of what Python's tools keep beside what they look at,
// which they make anew.
func isCache(rel string) bool {
	for name := range strings.SplitSeq(rel, "/") {
		switch name {
		case "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis":
			return true
		}
	}
	return false
}

// receive takes one entry of an archive.
func (p place) receive(rel string, header *tar.Header, content io.ReadSeeker) error {
	i := p.item(rel)
	mode := fs.FileMode(header.Mode).Perm()
	if i != nil && i.name == rel && header.Typeflag == tar.TypeReg {
		return write(os.OpenFile(i.real, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode))(content)
	}
	// A path that leads out of the directory, by whatever links, is an error.
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	name := filepath.FromSlash(rel)
	switch header.Typeflag {
	case tar.TypeDir:
		if _, err := root.Stat(name); err == nil {
			return nil
		}
		return root.Mkdir(name, mode|0o700)
	case tar.TypeReg:
		if i == nil && holds(root, name, content) {
			return nil
		}
		how := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		if i == nil {
			how |= os.O_EXCL
		}
		return write(root.OpenFile(name, how, mode))(content)
	case tar.TypeSymlink:
		if _, err := root.Lstat(name); err == nil {
			return nil
		}
		if target := filepath.FromSlash(header.Linkname); filepath.IsLocal(filepath.Join(filepath.Dir(name), target)) && !filepath.IsAbs(target) {
			return root.Symlink(target, name)
		}
		return errors.New("it is a link to " + header.Linkname + ", in the container")
	}
	return errors.New("it is neither a file nor a directory")
}

// write fills a file that was opened. It keeps the file that was there, which somebody may
// have open.
func write(file *os.File, err error) func(io.ReadSeeker) error {
	return func(content io.ReadSeeker) error {
		if err != nil {
			return err
		}
		if _, err = content.Seek(0, io.SeekStart); err == nil {
			_, err = io.Copy(file, content)
		}
		return errors.Join(err, file.Close())
	}
}

// holds tells whether a file has this content.
func holds(root *os.Root, name string, content io.ReadSeeker) bool {
	has, err := root.ReadFile(name)
	if err != nil {
		return false
	}
	if size, err := content.Seek(0, io.SeekEnd); err != nil || size != int64(len(has)) {
		return false
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return false
	}
	comes, err := io.ReadAll(content)
	return err == nil && bytes.Equal(has, comes)
}

// remove removes what the command has removed. A directory in which something is left
// stays.
func (p place) remove(rel string) error {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	err = root.Remove(filepath.FromSlash(rel))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return nil
	}
	return err
}
