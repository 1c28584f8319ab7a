package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// native are the watches that the kernel keeps.
type native struct {
	*fsnotify.Watcher
	lost  chan struct{} // events were; it holds one, which is enough
	ended chan struct{}
}

func newNative() (*native, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	n := &native{Watcher: w, lost: make(chan struct{}, 1), ended: make(chan struct{})}
	// Errors need a goroutine of their own: fsnotify may send one while it holds
	// the lock that Add takes. Whatever it is, events may have been lost.
	go func() {
		defer close(n.ended)
		for range w.Errors {
			select {
			case n.lost <- struct{}{}:
			default:
			}
		}
	}()
	return n, nil
}

// close gives up all watches.
func (n *native) close() {
	n.Close()
	<-n.ended
}

// open starts native watching, or polls where that can't be.
func (v *view) open() {
	n, err := newNative()
	if err != nil {
		v.native = nil
		v.fallBack(err)
		return
	}
	v.native = n
}

// add watches a directory. There is no error where it is gone, or can't be read,
// which reading it will tell, nor where everything is polled from then on; any other
// means that this directory has to be polled.
func (v *view) add(dir string) error {
	err := v.native.Add(dir)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrPermission):
		return nil
	case isLimit(err):
		v.fallBack(err)
		return nil
	}
	return err
}

// isLimit reports whether err is that of having too many watches, which on macOS
// are open files.
func isLimit(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// fallBack polls everything from now on, as there are too few watches for all of it,
// and others may need those that it took.
func (v *view) fallBack(err error) {
	if v.native != nil {
		v.native.close()
		v.native = nil
	}
	clear(v.posts)
	for _, r := range v.roots {
		r.posts = nil
	}
	limit, hint := limitOf(err)
	v.reason = limit
	v.changed()
	v.notice(fmt.Sprintf("too few watches (%s): polling instead", limit), hint)
}
