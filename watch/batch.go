package watch

import (
	"maps"
	"slices"
	"time"
)

// An Op is what became of a file, from the last batch to this one.
type Op uint8

const (
	Written Op = iota // the content, or whether it can be executed; or it was replaced
	Created
	Removed
	Lost // events were lost under the root that the path names: something may have changed there
)

// String returns "written", "created", "removed" or "lost".
func (op Op) String() string {
	return [...]string{Written: "written", Created: "created", Removed: "removed", Lost: "lost"}[op]
}

// named reports whether it is names that are new or gone, not what is in a file.
func (op Op) named() bool { return op == Created || op == Removed }

// A Change is one file that is not what it was. Directories are none: one that is
// moved changes every file that was in it and every file that then is.
type Change struct {
	Path string // absolute; any bytes that the filesystem takes
	Op   Op
}

// MaxChanges is how many changes a Batch names, so that it stays small when a
// branch is changed.
const MaxChanges = 1000

// A Batch is what has changed and settled. The zero Batch holds nothing.
type Batch struct {
	Changes []Change // sorted by path, at most MaxChanges
	Count   int      // of all changes; past 10,000, a path may count more than once

	// First and Last are when the first and the last of the changes were seen. A
	// poll takes the files' own times where these can be relied on.
	First, Last time.Time
}

// Paths returns the paths of the changes, sorted.
func (b Batch) Paths() []string {
	paths := make([]string, len(b.Changes))
	for i, c := range b.Changes {
		paths[i] = c.Path
	}
	return paths
}

// maxKnown is how many changes are kept by name, so that one that is undone, or
// done twice, counts as it should.
const maxKnown = 10_000

// changes collect what a Batch will hold.
type changes struct {
	ops         map[string]Op
	gone        map[string]stamp // of what was removed
	more        int              // changes that are not in ops
	added       int              // calls of add
	first, last time.Time
}

// add takes one change in. It goes together with an earlier one of the same path:
// what was created and is removed again has not changed.
func (c *changes) add(path string, op Op) {
	c.added++
	was, known := c.ops[path]
	switch {
	case !known && len(c.ops) >= maxKnown:
		c.more++
	case !known:
		if c.ops == nil {
			c.ops = make(map[string]Op)
		}
		c.ops[path] = op
	case was == Created && op == Removed:
		delete(c.ops, path)
	case was == Created || was == Lost:
	case was == Removed && op == Created:
		c.ops[path] = Written
	default:
		c.ops[path] = op
	}
}

// remove takes in that a file is gone which was as s says. Where it had changed before,
// it has changed even if it comes back so.
func (c *changes) remove(path string, s stamp) {
	_, known := c.ops[path]
	if c.add(path, Removed); known || c.ops[path] != Removed {
		return
	}
	if c.gone == nil {
		c.gone = make(map[string]stamp)
	}
	c.gone[path] = s
}

// create takes in that a file is there which is as s says. One that was renamed and is
// back has not changed.
func (c *changes) create(path string, s stamp) {
	was, known := c.gone[path]
	delete(c.gone, path)
	if known && c.ops[path] == Removed && was.same(s, true) {
		c.added++
		delete(c.ops, path)
		return
	}
	c.add(path, Created)
}

// merge takes in a whole batch, which is later than what is there.
func (c *changes) merge(b Batch) {
	for _, change := range b.Changes {
		c.add(change.Path, change.Op)
	}
	c.more += b.Count - len(b.Changes)
	c.span(b.First)
	c.span(b.Last)
}

// span notes that something changed at t.
func (c *changes) span(t time.Time) {
	if t.IsZero() {
		return
	}
	if c.first.IsZero() || t.Before(c.first) {
		c.first = t
	}
	if t.After(c.last) {
		c.last = t
	}
}

// drop takes out the changes that unwanted holds for, and returns how many.
func (c *changes) drop(unwanted func(path string, op Op) bool) int {
	n := len(c.ops)
	maps.DeleteFunc(c.ops, unwanted)
	return n - len(c.ops)
}

func (c *changes) count() int { return len(c.ops) + c.more }

// only returns the one change that there is, and whether it is one.
func (c *changes) only() (Change, bool) {
	if c.count() == 1 {
		for path, op := range c.ops {
			return Change{path, op}, true
		}
	}
	return Change{}, false
}

// batch returns what was collected.
func (c *changes) batch() Batch {
	b := Batch{Count: c.count(), First: c.first, Last: c.last}
	for _, path := range slices.Sorted(maps.Keys(c.ops)) {
		if len(b.Changes) == MaxChanges {
			break
		}
		b.Changes = append(b.Changes, Change{path, c.ops[path]})
	}
	return b
}

// take returns what was collected, and leaves nothing.
func (c *changes) take() Batch {
	b := c.batch()
	*c = changes{}
	return b
}
