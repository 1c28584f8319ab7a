// Package queue lets the processes of this machine take turns, first come first
// served. A turn ends with the process that has it, however that ends: it is a lock
// that the kernel takes back.
//
// Each process in a queue has a ticket: a file with a number that it keeps locked,
// beside one that says who it is. Who comes later waits for the locks of those who
// came before.
package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// A Holder is somebody in a queue, as the others see it.
type Holder struct {
	PID     int       `json:"pid"`
	User    string    `json:"user"`
	Command []string  `json:"command"`
	Since   time.Time `json:"since"` // when it joined
	Turn    bool      `json:"turn"`  // it has its turn

	Run string `json:"run"` // what its command is found by, should it be killed

	// Killed tells that it is no more, and has not left: it was killed in its turn.
	Killed bool `json:"-"`

	// Ours tells that this user has written all this. What another one says is to be
	// shown, and nothing is to be done to what Run finds.
	Ours bool `json:"-"`

	number int
}

// A Place is one in a queue. Leave and Runs do nothing for a nil one.
type Place struct {
	dir    string
	me     Holder
	ticket *flock.Flock
}

const (
	ticketEnd = ".ticket"
	holderEnd = ".json"
	newEnd    = ".new" // is being written
	doorName  = "door" // locked by who gives itself a number, or looks who is there

	// holderLimit is far above what a Holder takes, with the longest command.
	holderLimit = 1 << 22
)

// Join takes the last place in the queue dir, which is made if it is not there and
// which all users of this machine share. It holds nobody up and waits for nobody.
func Join(dir string, me Holder) (*Place, error) {
	opened, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer opened.Unlock()
	ahead, err := list(dir)
	if err != nil {
		return nil, err
	}
	p := &Place{dir: dir, me: me}
	p.me.number = 1
	if len(ahead) > 0 {
		p.me.number += ahead[len(ahead)-1].number
	}
	for err = create(p.me.path(dir, ticketEnd), nil); errors.Is(err, fs.ErrExist); err = create(p.me.path(dir, ticketEnd), nil) {
		p.me.number++ // that is nobody's ticket
	}
	if err != nil {
		return nil, err
	}
	p.ticket = existing(p.me.path(dir, ticketEnd))
	if err = p.ticket.Lock(); err == nil {
		err = p.me.write(dir)
	}
	if err != nil {
		p.me.remove(dir)
		return nil, err
	}
	return p, nil
}

// Wait waits until at most limit-1 are ahead: until it is the first's turn, for 1. told
// is called with those ahead, first come first, when there are too many of them and
// whenever they change.
//
// Who was killed in its turn is still ahead, since what it had started may still be there.
// When nobody else is in the way gone is asked, again and again, whether it is not; with
// care it is asked at once. An error is that of the files, or ctx's cause; then it is
// nobody's turn.
func (p *Place) Wait(ctx context.Context, limit int, care bool, told func(ahead []Holder), gone func(killed Holder) bool) error {
	ended := make(chan int)
	watched := map[int]bool{}
	before := ""
	for {
		ahead, err := p.ahead()
		if err != nil {
			return err
		}
		dead := 0
		for _, h := range ahead {
			if h.Killed {
				dead++
			}
		}
		first := len(ahead)-dead < limit // but for the dead
		if first || care {
			ahead = slices.DeleteFunc(ahead, func(h Holder) bool {
				left := !h.Killed || !gone(h)
				if !left {
					h.remove(p.dir)
				}
				return !left
			})
		}
		if len(ahead) < limit {
			p.me.Turn = true
			return p.me.write(p.dir)
		}
		if now := numbers(ahead); now != before {
			before = now
			told(slices.Clone(ahead))
		}
		for _, h := range ahead {
			if h.Killed || watched[h.number] {
				continue
			}
			watched[h.number] = true
			go func() { // ends with the other's ticket, or this process
				ticket := existing(h.path(p.dir, ticketEnd))
				switch err := ticket.RLock(); {
				case err == nil:
					ticket.Unlock()
				case !errors.Is(err, fs.ErrNotExist): // it is not for us to open
					time.Sleep(goneTime)
				}
				select {
				case ended <- h.number:
				case <-ctx.Done():
				}
			}()
		}
		var again <-chan time.Time
		if first {
			again = time.After(goneTime)
		}
		select {
		case number := <-ended:
			delete(watched, number)
		case <-again:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// goneTime is how often it is asked whether what the killed have left is gone.
const goneTime = time.Second

// numbers tells a list of holders from another one.
func numbers(list []Holder) string {
	var b strings.Builder
	for _, h := range list {
		fmt.Fprintln(&b, h.number, h.Killed)
	}
	return b.String()
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

// Runs changes what the holder's command is found by.
func (p *Place) Runs(run string) {
	if p != nil {
		p.me.Run = run
		_ = p.me.write(p.dir) // the other way to find it is still there
	}
}

// Leave gives the place up, and with it the turn. The last one in a queue leaves nothing
// of it.
func (p *Place) Leave() {
	if p == nil {
		return
	}
	opened, err := open(p.dir)
	if err == nil {
		defer opened.Unlock()
	}
	os.Remove(p.me.path(p.dir, holderEnd)) // so that nobody takes us for killed
	if p.ticket != nil {
		p.ticket.Unlock()
	}
	os.Remove(p.me.path(p.dir, ticketEnd))
	if err == nil {
		tidy(p.dir)
	}
}

// ahead are those who came before.
func (p *Place) ahead() ([]Holder, error) {
	opened, err := open(p.dir)
	if err != nil {
		return nil, err
	}
	defer opened.Unlock()
	all, err := list(p.dir)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(h Holder) bool {
		if h.number >= p.me.number {
			return true
		}
		if h.Killed && !h.Turn { // while it waited: it has started nothing
			h.remove(p.dir)
			return true
		}
		return false
	}), nil
}

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
