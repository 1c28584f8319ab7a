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
)

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
	return ok && sent == stampOf(header)
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
		if there, err := root.Readlink(name); err == nil && there == header.Linkname {
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
