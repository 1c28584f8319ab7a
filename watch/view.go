package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A view is what is known of the tree. Events only say where to look: what has
// changed is what differs from the view, so neither their order nor their number
// matters, and a lost one costs a look at everything. It belongs to one goroutine.
type view struct {
	common *common
	roots  []*root
	git    []string // the git directories of the roots
	dirs   map[string]*dir
	ids    map[fileID]*dir
	posts  map[string][]*root // directories that are watched for a name in them

	native *native                  // nil where everything is polled, for a
	reason string                   // reason, "" where that was asked for
	remote func(path string) string // names a filesystem that sends no events
	polled int                      // directories and roots that send none
	poll   time.Duration            // how often to poll; zero for the default

	noted map[string]bool // paths to look at; true for one that was written to
	lost  bool            // everything is to be looked at
	stale bool            // rules have changed
	found *changes

	newest  time.Time // when the last of the files that were found changed was
	foreign bool      // newest can't be relied on

	changed func() // the mode has
	notice  func(text, hint string)
	noticed map[string]bool // directories that can't be read
}

// A dir is a directory that no rule ignores.
type dir struct {
	path   string
	up     *dir // nil at a root
	id     fileID
	files  map[string]stamp
	subs   map[string]*dir
	rules  *rules
	blind  bool   // can't be read
	polled bool   // sends no events
	remote string // the filesystem it is on, if it is one without events
}

// maxNoted bounds what is kept of a burst: past it, everything is looked at.
const maxNoted = 10_000

// enter takes the directory at path into the view, and all below it that no rule
// ignores. What is in it has been created, unless quiet is set.
func (v *view) enter(path string, up *dir, outer *rules, quiet bool) {
	stat := os.Lstat
	if up == nil {
		stat = os.Stat // a root may be a link
	}
	info, err := stat(path)
	if err != nil || !info.IsDir() {
		return
	}
	d := &dir{path: path, up: up, id: id(info), rules: outer.within(path), files: map[string]stamp{}, subs: map[string]*dir{}}
	if up != nil {
		d.polled, d.remote = up.remote != "", up.remote
		up.subs[filepath.Base(path)] = d
	}
	if up == nil || up.id.device != d.id.device {
		d.remote = v.remote(path)
		d.polled = d.remote != ""
	}
	if d.remote != "" {
		d.id = fileID{} // as in dir.stamp
	}
	if was := v.ids[d.id]; was != nil && d.id.inode != 0 {
		if now, err := os.Stat(was.path); err == nil && os.SameFile(now, info) {
			d.polled = true // one directory, two names: events come under the first
		} else {
			v.seekAll(v.drop(was, quiet)) // it was moved here, and the event is still to come
		}
	}
	if !d.polled || v.ids[d.id] == nil {
		v.ids[d.id] = d
	}
	v.dirs[path] = d
	if d.polled {
		v.polled++
	}
	v.scan(d, quiet, false)
}

// drop takes a directory out of the view, with all that is in it. That has been
// removed, unless quiet is set. It returns the roots that went with it.
func (v *view) drop(d *dir, quiet bool) (gone []*root) {
	for _, sub := range d.subs {
		gone = append(gone, v.drop(sub, quiet)...)
	}
	for name := range d.files {
		v.compare(d, name, stamp{}, false, quiet)
	}
	if d.up != nil {
		delete(d.up.subs, filepath.Base(d.path))
	}
	if v.dirs[d.path] == d {
		delete(v.dirs, d.path)
	}
	if v.ids[d.id] == d {
		delete(v.ids, d.id)
	}
	if d.polled {
		v.polled--
	} else if v.native != nil && len(v.posts[d.path]) == 0 {
		v.native.Remove(d.path)
	}
	for _, r := range v.roots {
		if r.path == d.path {
			gone = append(gone, r)
		}
	}
	return gone
}

// scan watches a directory and then reads it, in this order: what is made in
// between is seen twice rather than never. It compares the files with the view, and
// enters directories that are new. wrote says that any of the files may have been
// written to since they were looked at.
func (v *view) scan(d *dir, quiet, wrote bool) {
	if !d.polled && v.native != nil && v.add(d.path) != nil && v.native != nil {
		d.polled = true
		v.polled++
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		v.unreadable(d, err)
		return
	}
	d.blind = false
	files, subs := 0, 0
	for _, e := range entries {
		if e.IsDir() {
			v.descend(d, filepath.Join(d.path, e.Name()), quiet)
			if d.subs[e.Name()] != nil {
				subs++
			}
			continue
		}
		var s stamp // stays zero if it has gone meanwhile
		if info, err := e.Info(); err == nil {
			s = d.stamp(info)
		}
		if s.isFile() {
			files++
		}
		v.compare(d, e.Name(), s, wrote, quiet)
	}
	if files < len(d.files) || subs < len(d.subs) {
		v.prune(d, entries, quiet)
	}
}

// prune takes out of d what is not among its entries any more.
func (v *view) prune(d *dir, entries []fs.DirEntry, quiet bool) {
	isDir := make(map[string]bool, len(entries))
	for _, e := range entries {
		isDir[e.Name()] = e.IsDir()
	}
	for name := range d.files {
		if dir, here := isDir[name]; dir || !here {
			v.compare(d, name, stamp{}, false, quiet)
		}
	}
	for name, sub := range d.subs {
		if !isDir[name] {
			v.seekAll(v.drop(sub, quiet))
		}
	}
}

// descend enters the directory at path, which is in d, unless it is in the view or
// ignored.
func (v *view) descend(d *dir, path string, quiet bool) {
	if sub := v.dirs[path]; sub != nil {
		sub.up, d.subs[filepath.Base(path)] = d, sub
	} else if !d.rules.ignores(path, true) {
		v.enter(path, d, d.rules, quiet)
	}
}

// compare notes what has become of a file, if anything has; the zero stamp is that
// of one that is not there.
func (v *view) compare(d *dir, name string, s stamp, wrote, quiet bool) {
	was, known := d.files[name]
	op := Written
	switch {
	case !known && !s.isFile():
		return
	case !known:
		op = Created
	case !s.isFile():
		op = Removed
	case was.same(s, wrote):
		d.files[name] = s // it may be fresh no more
		return
	}
	if op == Removed {
		delete(d.files, name)
	} else {
		d.files[name] = s
	}
	if v.ruling(d, name) && !quiet {
		v.stale = true
	}
	if path := filepath.Join(d.path, name); !quiet && !d.rules.ignores(path, false) {
		switch op {
		case Removed:
			v.found.remove(path, was)
		case Created:
			v.found.create(path, s)
		default:
			v.found.add(path, op)
		}
		if t := time.Unix(0, s.changed); t.After(v.newest) {
			v.newest = t
		}
		v.foreign = v.foreign || op == Removed || d.remote != ""
	}
}

// ruling reports whether a file in d holds rules.
func (v *view) ruling(d *dir, name string) bool {
	return name == gitignoreName || name == dockerignoreName && d.path == v.common.base
}

// stamp takes the stamp of a file in d. Inodes of remote filesystems are left out,
// since they may change from one look to the next.
func (d *dir) stamp(info fs.FileInfo) stamp {
	s := newStamp(info, time.Now())
	if d.remote != "" {
		s.inode = 0
	}
	return s
}

// unreadable is called when d can't be read. A directory that is gone is left for
// its event, or the directory above it, to tell.
func (v *view) unreadable(d *dir, err error) {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || d.blind {
		return
	}
	d.blind = true
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if !v.noticed[d.path] && len(v.noticed) < MaxChanges {
		v.noticed[d.path] = true
		v.notice(fmt.Sprintf("can't watch %s: %v", d.path, err), "ignore it, or make it readable")
	}
}

// look compares what was noted with the view, and all of it where events were lost.
func (v *view) look() {
	if v.lost {
		v.lost = false
		v.resync()
	}
	for path, wrote := range v.noted {
		v.check(path, wrote)
	}
	clear(v.noted)
	v.renew()
}

// check compares one path with the view.
func (v *view) check(path string, wrote bool) {
	d := v.dirs[filepath.Dir(path)]
	if d == nil {
		return
	}
	info, err := os.Lstat(path)
	if err != nil {
		v.compare(d, filepath.Base(path), stamp{}, wrote, false)
		return
	}
	v.compare(d, filepath.Base(path), d.stamp(info), wrote, false)
	if info.IsDir() {
		v.descend(d, path, false)
	}
}
