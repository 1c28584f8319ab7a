package queue

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

const (
	ticketEnd = ".ticket"
	holderEnd = ".json"
	newEnd    = ".new" // is being written
	doorName  = "door" // locked by who gives itself a number, or looks who is there

	// holderLimit is far above what a Holder takes, with the longest command.
	holderLimit = 1 << 22
)

// list is who is in the queue, first come first. The door is held.
func list(dir string) ([]Holder, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []Holder
	for _, file := range files {
		name, ok := strings.CutSuffix(file.Name(), ticketEnd)
		number, err := strconv.ParseInt(name, 10, 32)
		if !ok || err != nil || !file.Type().IsRegular() {
			continue // nobody's
		}
		h := read(dir, int(number))
		ticket := existing(h.path(dir, ticketEnd))
		free, err := ticket.TryRLock()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if free {
			ticket.Unlock()
			h.Killed = true
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b Holder) int { return cmp.Compare(a.number, b.number) })
	return all, nil
}

// read is what is known of a holder: nothing, where it does not say.
func read(dir string, number int) Holder {
	h := Holder{number: number}
	name := h.path(dir, holderEnd)
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > holderLimit {
		return h
	}
	text, err := os.ReadFile(name)
	if err != nil || json.Unmarshal(text, &h) != nil {
		return Holder{number: number}
	}
	h.number, h.Ours = number, ours(info)
	return h
}

// write says who has the number, in one step.
func (h Holder) write(dir string) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	fresh := filepath.Join(dir, fmt.Sprintf("%d-%d%s", h.number, os.Getpid(), newEnd))
	_ = os.Remove(fresh) // of a process that had our number, and was killed right here
	err = create(fresh, text)
	if err == nil {
		err = os.Rename(fresh, h.path(dir, holderEnd))
	}
	if err != nil {
		_ = os.Remove(fresh)
	}
	return err
}

func (h Holder) remove(dir string) {
	os.Remove(h.path(dir, holderEnd))
	os.Remove(h.path(dir, ticketEnd))
}

func (h Holder) path(dir, end string) string { return filepath.Join(dir, strconv.Itoa(h.number)+end) }

// open waits for the door of a queue, which others hold for a moment. What is not there
// yet is made.
func open(dir string) (*flock.Flock, error) {
	name := filepath.Join(dir, doorName)
	for {
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return nil, err
		}
		switch err := makeDir(dir); {
		case errors.Is(err, fs.ErrNotExist):
			continue // its last one has removed it meanwhile
		case err != nil:
			return nil, err
		}
		door := existing(name)
		err := create(name, nil)
		if info, problem := os.Lstat(name); problem == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no file: remove it", name)
		}
		if err == nil || errors.Is(err, fs.ErrExist) {
			err = door.Lock()
		}
		if err == nil {
			held, _ := door.Stat()
			if there, err := os.Stat(name); err == nil && os.SameFile(held, there) {
				return door, nil
			}
			door.Unlock() // of a queue that its last one has removed meanwhile
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) { // removed before it was opened
			return nil, err
		}
	}
}

// existing is the lock of a file that is there. Whoever may read it may lock it.
func existing(name string) *flock.Flock { return flock.New(name, flock.SetFlag(os.O_RDONLY)) }

// create makes a file that all may read, and that was not there.
func create(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = f.Chmod(0o644) // whatever the umask
	if err == nil {
		_, err = f.Write(content)
	}
	return errors.Join(err, f.Close())
}

// makeDir makes a directory that all users share, as /tmp is shared.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if err == nil {
		err = os.Chmod(dir, fs.ModeSticky|0o777) // whatever the umask
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	return err
}

// tidy removes a queue in which nobody is. The door is held.
func tidy(dir string) {
	files, err := os.ReadDir(dir)
	if err != nil || slices.ContainsFunc(files, func(f fs.DirEntry) bool {
		return f.Name() != doorName && filepath.Ext(f.Name()) != newEnd
	}) {
		return
	}
	for _, f := range files {
		_ = os.Remove(filepath.Join(dir, f.Name()))
	}
	_ = os.Remove(dir)
}
