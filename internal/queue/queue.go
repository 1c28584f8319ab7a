// Package queue lets the processes of this machine take turns, first come first
// served. A turn ends with the process that has it, however that ends: it is a lock
// that the kernel takes back.
//
// Each process in a queue has a ticket: a file with a number that it keeps locked,
// beside one that says who it is. Who comes later waits for the locks of those who
// came before.
package queue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
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

	// Killed tells that it is no more, and has not left. Among those ahead are only such
	// that were killed in their turn.
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
