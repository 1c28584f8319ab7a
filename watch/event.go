package watch

import (
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// events returns the channels of the native watches, nil where all is polled.
func (v *view) events() (<-chan fsnotify.Event, <-chan struct{}) {
	if v.native == nil {
		return nil, nil
	}
	return v.native.Events, v.native.lost
}

// lose takes in that events were lost. That counts as a change, of a root, since a
// file may look as it did.
func (v *view) lose() {
	v.lost = true
	v.found.add(v.roots[0].path, Lost)
}

// take takes an event in and reports whether something may have changed. What it
// says of a directory is acted on at once, so that new ones are watched; a file is
// looked at when things have settled.
func (v *view) take(e fsnotify.Event) bool {
	path := filepath.Clean(e.Name)
	stirred := v.stirred(path)
	for _, r := range stirred {
		if v.dirs[r.path] == nil {
			if gone(e) {
				v.leave(r) // the watch has gone with what it was on
			}
			v.seek(r, wrote(e))
		}
	}
	if d := v.dirs[path]; d != nil {
		return v.takeDir(d, e) || len(stirred) > 0
	}
	d := v.dirs[filepath.Dir(path)]
	if d == nil {
		return len(stirred) > 0
	}
	if e.Has(fsnotify.Create) {
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			if _, ok := d.files[filepath.Base(path)]; ok {
				v.note(path, false)
			}
			v.descend(d, path, false)
			return v.dirs[path] != nil || len(stirred) > 0
		}
	}
	if d.rules.ignores(path, false) && !v.ruling(d, filepath.Base(path)) {
		return len(stirred) > 0
	}
	v.note(path, wrote(e))
	return true
}

// takeDir takes in an event about a directory of the view.
func (v *view) takeDir(d *dir, e fsnotify.Event) bool {
	switch {
	case gone(e), e.Has(fsnotify.Create) && d.up != nil && v.moved(d):
		up := d.up
		v.seekAll(v.drop(d, false))
		if info, err := os.Lstat(d.path); up != nil && err == nil && info.IsDir() {
			v.descend(up, d.path, false) // another is in its place already
		}
	case e.Has(fsnotify.Create), e.Has(fsnotify.Chmod) && d.blind:
		v.scan(d, false, false)
	default:
		return false
	}
	return true
}

// wrote reports whether the event says that what is in a file may be new.
func wrote(e fsnotify.Event) bool { return e.Has(fsnotify.Write) || e.Has(fsnotify.Create) }

// gone reports whether the event says that something is not where it was.
func gone(e fsnotify.Event) bool { return e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) }

// note remembers to look at path.
func (v *view) note(path string, wrote bool) {
	if len(v.noted) >= maxNoted {
		v.lost = true
		clear(v.noted)
	}
	if !v.lost {
		v.noted[path] = v.noted[path] || wrote
	}
}
