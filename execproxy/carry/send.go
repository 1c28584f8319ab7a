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
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
)

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
	sent[rel] = stampOf(header)
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
