// Package watch tells which files of a tree have changed and settled, and runs
// something again when they have. It knows nothing of Docker: what is run is the
// caller's.
//
// Only files count, and only what is read from them: content, being executable,
// being there. A directory, a permission, an access or a temporary file that is
// gone again is no change.
//
// A root is followed if it is a symbolic link. Links in the tree are not, as in git:
// one is a file whose content is where it points, and what it points to is watched
// only where that is in the tree itself.
//
// What is ignored costs nothing: an ignored directory has no watch, is not read and
// need not be readable. See [Tree.Ignore] for the rules, which are those of
// gitignore(5), with what no project wants to watch built in.
package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// A Tree says what is watched. Set its fields, then call Start.
type Tree struct {
	// Roots are the directories, with all that is in them, and files to watch.
	// No rule ignores a root itself. Relative ones are made absolute.
	Roots []string

	// Base is the project's directory: patterns are relative to it, its
	// .dockerignore counts, and the .gitignore files from the top of its repository
	// down. "" is the first root.
	Base string

	// Ignore are lines in the syntax of .gitignore. They go before all else, so a
	// negated one brings back what is ignored by a .dockerignore, by a .gitignore
	// in the tree or above it, by .git/info/exclude or by default. As in git, nothing is
	// brought back from an ignored directory unless the directory is. The user's
	// own core.excludesFile is not read.
	Ignore []string

	// Poll is how often to compare all files with what they were. Zero waits for
	// the system's events instead, and polls every 500 ms where there are none:
	// on 9p, NFS, FUSE and the like, and where there are too few watches.
	Poll time.Duration

	// Debounce is how long a file has to be left alone until it has settled. Zero
	// means DefaultDebounce, and 5 ms for one file that is known to be closed, which
	// Linux tells of the user's own files. One that is still open for writing takes
	// 500 ms. A burst of many files, or of more than 250 ms, takes up to 500 ms
	// longer, and one that does not end is delivered every 5 s. While git changes
	// the working tree, nothing settles.
	Debounce time.Duration

	// Notice is told what the user should know, and what to do about it: that
	// there are too few watches, or that a directory can't be read. nil ignores
	// it. It is called by Start and by the Watcher's goroutine, and must return.
	Notice func(text, hint string)
}

// autoPoll is how often to poll by default.
const autoPoll = 500 * time.Millisecond

// A Watcher watches until its context is done or it is closed.
type Watcher struct {
	// C delivers what has changed and settled. While nobody receives, later
	// changes go into the same batch. It is closed when the Watcher ends.
	C <-chan Batch

	cancel context.CancelFunc
	ended  chan struct{}
	mode   atomic.Pointer[string]
}

// Start looks at the whole tree and returns when each later change will be seen. It
// fails where a root is not there; one that goes away later is waited for.
func (t *Tree) Start(ctx context.Context) (*Watcher, error) {
	v, err := t.view()
	if err != nil {
		return nil, err
	}
	debounce, closed := t.Debounce, t.Debounce
	if debounce <= 0 {
		debounce, closed = DefaultDebounce, closedDebounce
	}
	if t.Poll > 0 {
		debounce = max(debounce, tick) // or a file could change in the tick after it was delivered
	}
	ctx, cancel := context.WithCancel(ctx)
	batches := make(chan Batch)
	w := &Watcher{C: batches, cancel: cancel, ended: make(chan struct{})}
	v.changed = func() { mode := v.mode(); w.mode.Store(&mode) }
	v.begin(t.Poll == 0)
	v.changed()
	go func() {
		defer close(w.ended)
		defer close(batches)
		defer v.end()
		s := &settler{source: v, found: v.found, debounce: debounce, closed: closed, walked: time.Now()}
		s.run(ctx.Done(), batches)
	}()
	return w, nil
}

// Close ends the Watcher, and returns when nothing is left of it.
func (w *Watcher) Close() {
	w.cancel()
	<-w.ended
}

// Mode says how changes are seen: "file events", or "polling every 500ms" and why.
func (w *Watcher) Mode() string { return *w.mode.Load() }

// view returns a view of the tree that nothing is in yet.
func (t *Tree) view() (*view, error) {
	v := &view{
		dirs:    make(map[string]*dir),
		ids:     make(map[fileID]*dir),
		posts:   make(map[string][]*root),
		poll:    t.Poll,
		noted:   make(map[string]bool),
		found:   new(changes),
		remote:  remote,
		notice:  t.Notice,
		noticed: make(map[string]bool),
		changed: func() {},
	}
	if v.notice == nil {
		v.notice = func(string, string) {}
	}
	for _, path := range t.Roots {
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("watch: %w", err)
		}
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("watch: %w", err)
		}
		if !v.isRoot(path) {
			v.roots = append(v.roots, &root{path: path})
		}
	}
	if len(v.roots) == 0 {
		return nil, fmt.Errorf("watch: no roots")
	}
	base, err := t.base(v.roots[0].path)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	v.common = &common{base: base, builtin: parsePatterns(builtin), top: repository(base)}
	for _, line := range t.Ignore {
		if p, ok := parsePattern(line); ok {
			v.common.user = append(v.common.user, p)
		}
	}
	v.common.read()
	for _, r := range v.roots {
		if git := gitDir(repository(r.path)); git != "" && !slices.Contains(v.git, git) {
			v.git = append(v.git, git)
		}
	}
	return v, nil
}

// base returns the project's directory.
func (t *Tree) base(root string) (string, error) {
	if t.Base != "" {
		return filepath.Abs(t.Base)
	}
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return filepath.Dir(root), nil
	}
	return root, nil
}

// begin takes everything into the view, none of which is a change. events says that
// the system's events are wanted where there are any.
func (v *view) begin(events bool) {
	local := false
	for _, r := range v.roots {
		r.rules = outerRules(v.common, r.path)
		if name := v.remote(r.path); name == "" {
			local = true
		} else if events {
			v.reason = name
		}
	}
	if events && local {
		v.reason = ""
		v.open()
	}
	for _, r := range v.roots {
		if info, err := os.Stat(r.path); err == nil && info.IsDir() && v.dirs[r.path] == nil {
			v.enter(r.path, nil, r.rules, true)
		}
	}
	v.roots = append(v.roots, v.rulings()...)
	for _, r := range v.roots {
		if v.dirs[r.path] == nil {
			v.seek(r, false)
		}
	}
	v.stale = false
	v.found.take()
}

// rulings returns the ignore files that count and are not in the view.
func (v *view) rulings() (roots []*root) {
	dirs := []string{v.common.base}
	for _, r := range v.roots {
		dirs = append(dirs, above(v.common.top, r.path)...)
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if v.dirs[dir] != nil {
			continue
		}
		roots = append(roots, &root{path: filepath.Join(dir, gitignoreName), ruling: true})
		if dir == v.common.base {
			roots = append(roots, &root{path: filepath.Join(dir, dockerignoreName), ruling: true})
		}
	}
	return roots
}

// end gives up all watches.
func (v *view) end() {
	if v.native != nil {
		v.native.close()
	}
}

// mode is what Watcher.Mode returns.
func (v *view) mode() string {
	switch {
	case v.native == nil && v.reason == "":
		return fmt.Sprintf("polling every %v", v.interval())
	case v.native == nil:
		return fmt.Sprintf("polling every %v (%s)", v.interval(), v.reason)
	case v.polled > 0:
		return fmt.Sprintf("file events, and polling every %v where there are none", v.interval())
	}
	return "file events"
}
