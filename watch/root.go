package watch

import (
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A root is a path that is watched whatever the rules say, whether it is there or
// not. What is no directory in the view is seen through a post: a watch on the
// directory that it, or the way to it, is a name in.
type root struct {
	path   string
	ruling bool   // it is an ignore file above the tree, and no change in itself
	rules  *rules // of the directory it is in
	stamp  stamp  // of a file
	posts  []string
	target string // of a file that is a link: what it comes to
	polled bool
}

// isRoot reports whether path is one of the user's roots.
func (v *view) isRoot(path string) bool {
	return slices.ContainsFunc(v.roots, func(r *root) bool { return r.path == path && !r.ruling })
}

func (v *view) seekAll(roots []*root) {
	for _, r := range roots {
		v.seek(r, false)
	}
}

// seek looks for a root that is no directory in the view: it enters a directory,
// compares a file, and keeps a post where there is none.
func (v *view) seek(r *root, wrote bool) {
	info, err := os.Stat(r.path)
	if err != nil || !info.IsDir() {
		v.post(r)
		info, err = os.Stat(r.path) // again, so that nothing happens in between unseen
	}
	if err == nil && info.IsDir() && !r.ruling {
		v.leave(r)
		if v.dirs[r.path] == nil {
			v.enter(r.path, nil, r.rules, false)
		}
		return
	}
	var s stamp
	if err == nil {
		s = newStamp(info, time.Now())
	}
	if r.polled {
		s.inode = 0 // as in dir.stamp
	}
	if r.stamp.isFile() == s.isFile() && (!s.isFile() || r.stamp.same(s, wrote)) {
		r.stamp = s
		return
	}
	op := Written
	switch {
	case !s.isFile():
		op = Removed
	case !r.stamp.isFile():
		op = Created
	}
	r.stamp = s
	if r.ruling {
		v.stale = true
		return
	}
	v.found.add(r.path, op)
}

// post sees to it that r has the watches by which its next change is seen.
func (v *view) post(r *root) {
	for v.native != nil {
		r.target = ""
		posts := []string{nearest(r.path)}
		if to, err := filepath.EvalSymlinks(r.path); err == nil && to != r.path {
			r.target = to
			posts = append(posts, filepath.Dir(to))
		}
		if slices.Equal(posts, r.posts) {
			return
		}
		v.leave(r)
		r.posts = posts
		for _, dir := range posts {
			v.posts[dir] = append(v.posts[dir], r)
			if v.remote(dir) == "" && v.add(dir) == nil || r.polled || v.native == nil {
				continue
			}
			r.polled = true
			v.polled++
		}
	}
}

// leave gives up r's posts.
func (v *view) leave(r *root) {
	for _, dir := range r.posts {
		v.posts[dir] = slices.DeleteFunc(v.posts[dir], func(other *root) bool { return other == r })
		if len(v.posts[dir]) > 0 {
			continue
		}
		delete(v.posts, dir)
		if d := v.dirs[dir]; v.native != nil && (d == nil || d.polled) {
			v.native.Remove(dir)
		}
	}
	r.posts = nil
	if r.polled {
		r.polled = false
		v.polled--
	}
}

// stirred returns the roots that an event about path may concern.
func (v *view) stirred(path string) (roots []*root) {
	for _, r := range v.posts[filepath.Dir(path)] {
		if r.path == path || r.target == path || below(path, r.path) {
			roots = append(roots, r)
		}
	}
	return append(roots, v.posts[path]...)
}

// nearest returns the innermost directory above path that is there.
func nearest(path string) string {
	for {
		up := filepath.Dir(path)
		if info, err := os.Stat(up); up == path || err == nil && info.IsDir() {
			return up
		}
		path = up
	}
}

// outerRules returns the rules for what is in the directory above path: those of
// every .gitignore from the top of the repository, or the project, down to there.
func outerRules(c *common, path string) *rules {
	r := &rules{common: c, dir: c.top}
	for _, dir := range above(c.top, path) {
		r = r.within(dir)
	}
	return r
}
