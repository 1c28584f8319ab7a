package watch

import (
	"os"
	"path/filepath"
	"time"
)

// resync looks at everything after events were lost.
func (v *view) resync() { v.rescan(true, func(*dir) bool { return true }) }

// rootPoll is how often to look whether the roots are still where they were. No
// event tells that a directory above one was moved.
const rootPoll = 2 * time.Second

// interval is how often to walk.
func (v *view) interval() time.Duration {
	switch {
	case v.native != nil && v.polled == 0:
		return rootPoll
	case v.poll == 0:
		return autoPoll
	}
	return v.poll
}

// walk is one poll: it compares all that sends no events with the view. What it
// finds is likely to have changed when the files themselves say, if that is since the
// last poll; on this machine's own filesystems, that can be relied on.
func (v *view) walk(last time.Time) (likely, latest time.Time) {
	before, newest, foreign := v.found.added, v.newest, v.foreign
	v.newest, v.foreign = time.Time{}, false
	defer func() {
		if v.foreign = v.foreign || foreign; newest.After(v.newest) {
			v.newest = newest
		}
	}()
	var which func(*dir) bool
	if v.native == nil || v.polled > 0 {
		which = func(d *dir) bool { return v.native == nil || d.polled }
	}
	v.rescan(false, which)
	v.renew()
	if v.found.added == before {
		return time.Time{}, time.Time{}
	}
	now := time.Now()
	if v.foreign || !v.newest.After(last) || !v.newest.Before(now) {
		return now, now
	}
	if latest = v.newest.Add(tick); latest.After(now) {
		latest = now
	}
	return v.newest, latest
}

// latest returns the latest that anything found since it was called last can have changed,
// as the files themselves say; zero where that can't be relied on.
func (v *view) latest() (t time.Time) {
	if changesDated && !v.newest.IsZero() && !v.foreign {
		t = v.newest.Add(tick)
	}
	v.newest, v.foreign = time.Time{}, false
	return t
}

// rescan looks where the roots are, and scans the directories that which holds for;
// nil holds for none.
func (v *view) rescan(wrote bool, which func(*dir) bool) {
	for _, r := range v.roots {
		d := v.dirs[r.path]
		switch {
		case d == nil:
			v.seek(r, wrote)
		case d.up == nil && v.moved(d):
			v.seekAll(v.drop(d, false))
		case d.up == nil && which != nil:
			v.descendants(d, wrote, which)
		}
	}
}

// descendants is rescan from one directory down.
func (v *view) descendants(d *dir, wrote bool, which func(*dir) bool) {
	subs := make([]*dir, 0, len(d.subs))
	for _, sub := range d.subs {
		subs = append(subs, sub)
	}
	if which(d) {
		v.scan(d, false, wrote)
	}
	for _, sub := range subs {
		switch {
		case v.dirs[sub.path] != sub: // dropped by the scan
		case which(sub) && v.moved(sub):
			v.seekAll(v.drop(sub, false))
			v.descend(d, sub.path, false)
		default:
			v.descendants(sub, wrote, which)
		}
	}
}

// moved reports whether d is not what is found under its path.
func (v *view) moved(d *dir) bool {
	info, err := os.Stat(d.path)
	return err != nil || !info.IsDir() || id(info) != d.id && d.id != fileID{}
}

// renew reloads the rules if a file of them has changed.
func (v *view) renew() {
	if v.stale {
		v.stale = false
		v.reload()
	}
}

// reload reads the rules again, and enters and drops directories as they now have
// it. A file that was ignored is not a change for being so no more.
func (v *view) reload() {
	c := *v.common // the old rules stay what they are
	c.read()
	v.common = &c
	for _, r := range v.roots {
		r.rules = outerRules(v.common, r.path)
		if d := v.dirs[r.path]; d != nil && d.up == nil {
			v.sift(d, r.rules)
		}
	}
}

// sift applies new rules to what is in d, whose own come from outer.
func (v *view) sift(d *dir, outer *rules) {
	was := d.rules
	d.rules = outer.within(d.path)
	for _, sub := range d.subs {
		if d.rules.ignores(sub.path, true) && !v.isRoot(sub.path) {
			v.seekAll(v.drop(sub, true))
		} else {
			v.sift(sub, d.rules)
		}
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return
	}
	for _, e := range entries {
		if path := filepath.Join(d.path, e.Name()); e.IsDir() {
			v.descend(d, path, was.ignores(path, true))
		}
	}
}
