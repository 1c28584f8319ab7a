package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestARootMustBeThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, roots := range [][]string{nil, {filepath.Join(dir, "missing")}, {dir, filepath.Join(dir, "missing")}} {
		if _, err := (&Tree{Roots: roots}).Start(t.Context()); err == nil || roots != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Start() with roots %q: %v", roots, err)
		}
	}
}

// A root that goes away, by whatever name it had, is watched again when it is back.
func TestARootThatGoesAndComesBack(t *testing.T) {
	t.Parallel()
	for _, poll := range []time.Duration{0, 50 * time.Millisecond} {
		dir := t.TempDir()
		tree(t, dir, "p/q/src/a.py", "p/q/src/b/c.py", "p/q/tox.ini", "other/src/a.py")
		root := func(name string) string { return filepath.Join(dir, "p/q", name) }
		w := watch(t, dir, Tree{Roots: []string{root("src"), root("tox.ini")}, Base: dir, Poll: poll})

		for range 2 {
			sh(t, dir, "mv p/q/src src.old")
			w.expect("-p/q/src/a.py", "-p/q/src/b/c.py")
			sh(t, dir, "echo >src.old/a.py; echo >src.old/n.py")
			sh(t, dir, "mv src.old p/q/src")
			w.expect("+p/q/src/a.py", "+p/q/src/b/c.py", "+p/q/src/n.py")
			sh(t, dir, "echo 2 >p/q/src/b/c.py; rm p/q/src/n.py")
			w.expect("~p/q/src/b/c.py", "-p/q/src/n.py")

			sh(t, dir, "rm -r p")
			w.expect("-p/q/src/a.py", "-p/q/src/b/c.py", "-p/q/tox.ini")
			sh(t, dir, "mkdir p; mkdir p/q; mkdir p/q/src; echo 3 >p/q/src/a.py")
			w.expect("+p/q/src/a.py")
			sh(t, dir, "echo 4 >p/q/src/a.py")
			w.expect("~p/q/src/a.py")
			sh(t, dir, "rm -r p/q/src; mkdir -p p/q/src/b; echo 3 >p/q/src/a.py; echo 1 >p/q/src/b/c.py; echo 1 >p/q/tox.ini")
			w.expect("~p/q/src/a.py", "+p/q/src/b/c.py", "+p/q/tox.ini")
			sh(t, dir, "echo 5 >p/q/src/b/c.py; echo 5 >p/q/tox.ini; echo >p/q/other")
			w.expect("~p/q/src/b/c.py", "~p/q/tox.ini")
		}
		w.Close()
	}
}

// No event tells that a directory above a root was moved, or that another is there.
func TestADirectoryAboveTheRootThatIsMoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "p/q/src/a.py", "new/q/src/b.py")
	w := watch(t, dir, Tree{Roots: []string{filepath.Join(dir, "p/q/src")}, Base: filepath.Join(dir, "p")})
	sh(t, dir, "mv p old")
	w.expect("-p/q/src/a.py")
	sh(t, dir, "mv new p")
	w.expect("+p/q/src/b.py")
	sh(t, dir, "mv p new; mv old p")
	w.expect("-p/q/src/b.py", "+p/q/src/a.py")
	sh(t, dir, "echo 2 >p/q/src/a.py; echo 2 >new/q/src/b.py")
	w.expect("~p/q/src/a.py")
}

// A root that is a file is seen by the directory that it is in.
func TestARootThatIsAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "tox.ini", "real/setup.cfg", "pyproject.toml")
	must(t, os.Symlink("real/setup.cfg", filepath.Join(dir, "setup.cfg")))
	w := watch(t, dir, Tree{Roots: []string{filepath.Join(dir, "tox.ini"), filepath.Join(dir, "setup.cfg")}, Ignore: []string{"*"}})
	sh(t, dir, "echo 2 >pyproject.toml; sed -i s/i/I/ tox.ini")
	w.expect("~tox.ini")
	sh(t, dir, "echo 2 >real/setup.cfg; echo >real/other")
	w.expect("~setup.cfg")
	sh(t, dir, "rm tox.ini; chmod 600 real/setup.cfg")
	w.expect("-tox.ini")
	sh(t, dir, "echo 1 >pyproject.toml; echo 3 >tox.ini; ln -sf pyproject.toml setup.cfg")
	w.expect("+tox.ini", "~setup.cfg")
	sh(t, dir, "echo 2 >pyproject.toml")
	w.expect("~setup.cfg")
}

// Roots that overlap, or are the same by way of a link, are watched once each.
func TestRootsThatOverlap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "a.py", "src/b.py", "build/c.py", "build/deep/d.py")
	must(t, os.Symlink("src", filepath.Join(dir, "alias")))
	join := func(name string) string { return filepath.Join(dir, name) }
	w := watch(t, dir, Tree{Roots: []string{dir, join("src"), dir + "/", join("build"), join("src/b.py"), join("alias")}})
	sh(t, dir, "echo 2 >a.py; echo 2 >src/b.py; echo 2 >build/c.py; echo 2 >build/deep/d.py")
	got := map[string]bool{}
	for len(got) < 5 { // the alias is polled, as it has no events of its own
		for _, name := range w.names(w.next()) {
			got[name] = true
		}
	}
	for _, name := range []string{"~a.py", "~src/b.py", "~build/c.py", "~build/deep/d.py", "~alias/b.py"} {
		if !got[name] {
			t.Errorf("%s is missing from %v", name, got)
		}
	}
	sh(t, dir, "rm -r build; mkdir build; echo 1 >build/n.py")
	w.expect("-build/c.py", "-build/deep/d.py", "+build/n.py")
	sh(t, dir, "echo 2 >build/n.py")
	w.expect("~build/n.py")
}

// A directory 100 deep is watched, and so is what is made there.
func TestADeepDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	deep := dir
	for range 100 {
		deep = filepath.Join(deep, "directory")
	}
	mkdir(t, deep)
	w := watch(t, deep, Tree{Roots: []string{dir}, Base: dir})
	w.expectNone()
	tree(t, deep, "a/b/c")
	w.expect("+a/b/c")
}
