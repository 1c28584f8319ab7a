package watch

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The changes that people, editors and tools make, each of which is one batch.
var changeTests = []struct {
	name   string
	script string
	want   string // separated by |; "" for no batch at all
}{
	{"a save", "echo 2 >a.py", "~a.py"},
	{"an append", "echo 2 >>src/b.py", "~src/b.py"},
	{"a touch", "touch a.py", "~a.py"},
	{"a file made executable", "chmod +x a.py", "~a.py"},
	{"sed -i", "sed -i s/py/PY/ a.py", "~a.py"},
	{"mv of a temporary file", "echo 2 >t.tmp; mv t.tmp a.py", "~a.py"},
	{"mv from elsewhere", "d=$(mktemp -d); echo 2 >$d/x; mv $d/x src/b.py; rm -r $d", "~src/b.py"},
	{"a save with a backup", "cp a.py a.py.bak; echo 2 >a.py; rm a.py.bak", "~a.py"},
	{"a new file", "echo 1 >src/n.py", "+src/n.py"},
	{"a file removed", "rm a.py", "-a.py"},
	{"a file removed and made again", "rm a.py; echo 2 >a.py", "~a.py"},
	{"mkdir -p and a file in it", "mkdir -p a/b && touch a/b/x.py", "+a/b/x.py"},
	{"a deep directory and files all the way", "p=.; for i in 1 2 3 4 5 6; do p=$p/d$i; mkdir $p; echo >$p/f; done",
		"+d1/f|+d1/d2/f|+d1/d2/d3/f|+d1/d2/d3/d4/f|+d1/d2/d3/d4/d5/f|+d1/d2/d3/d4/d5/d6/f"},
	{"rm -r", "rm -r src", "-src/b.py|-src/deep/c.py"},
	{"rm -r and all of it again", "cp -r src s2; rm -r src; mv s2 src", "~src/b.py|~src/deep/c.py"},
	{"a directory renamed", "mv src lib", "-src/b.py|-src/deep/c.py|+lib/b.py|+lib/deep/c.py"},
	{"a directory moved into a new one", "mkdir new; mv src/deep new/", "-src/deep/c.py|+new/deep/c.py"},
	{"a directory moved over an empty one", "mkdir src/empty; mv -T src/deep src/empty", "-src/deep/c.py|+src/empty/c.py"},
	{"a file renamed", "mv a.py z.py", "-a.py|+z.py"},
	{"a file renamed in case only", "mv a.py A.py", "-a.py|+A.py"},
	{"a directory renamed in case only", "mv src Src", "-src/b.py|-src/deep/c.py|+Src/b.py|+Src/deep/c.py"},
	{"a file in place of a directory", "rm -r src; echo >src", "-src/b.py|-src/deep/c.py|+src"},
	{"a directory in place of a file", "rm a.py; mkdir a.py; echo >a.py/x", "-a.py|+a.py/x"},
	{"a link made", "ln -s a.py l", "+l"},
	{"a link that points elsewhere", "ln -sf src/b.py link", "~link"},
	{"what a link to a file points to", "echo 2 >target", "~target"},
	{"a link to a directory", "ln -s src dirlink; echo 2 >dirlink/b.py", "+dirlink|~src/b.py"},
	{"names with spaces and newlines", "echo 2 >'with space'; echo 1 >'new\nline'", "+new\nline|~with space"},
	{"a name that is not UTF-8", "echo 1 >\"$(printf 'a\\377b')\"", "+a\xffb"},
	{"a name of 255 bytes", "n=$(printf %255s | tr ' ' x); echo >$n", "+" + strings.Repeat("x", 255)},
	{"two names of one file", "ln a.py hard", "+hard"},

	{"permissions", "chmod 600 a.py; chmod 644 a.py; chmod 700 src; chmod 755 src", ""},
	{"reading", "cat a.py src/b.py >/dev/null; ls -lR >/dev/null", ""},
	{"a temporary file", "echo 1 >t; rm t", ""},
	{"a temporary directory", "mkdir -p t/u; echo 1 >t/u/x; rm -r t", ""},
	{"a rename and back", "mv a.py b; mv b a.py", ""},
	{"an empty directory", "mkdir e; mkdir e/f; rmdir e/f", ""},
	{"a pipe and a socket", "mkfifo p", ""},
	{"editor files", "echo >.a.py.swp; echo >a.py~; echo >4913; echo >'#a.py#'; ln -s x .#a.py; echo >a.py___jb_tmp___; echo >a.py___jb_old___", ""},
	{"what a test run writes", "mkdir -p .tox/py/lib __pycache__ src/__pycache__ .pytest_cache/v .mypy_cache htmlcov greeting.egg-info build dist; " +
		"for f in .tox/py/lib/x __pycache__/a.pyc src/__pycache__/b.pyc .pytest_cache/v/x htmlcov/i junit.xml coverage.xml .coverage .coverage.h.1 greeting.egg-info/P build/x dist/x; do echo >$f; done", ""},
	{"version control", "git init -q; git add -A; git commit -qm x; git status", ""},
	{"what .gitignore names", "echo 2 >x.log; mkdir gen; echo >gen/x; echo 1 >src/deep/y.log", ""},
	{"what .dockerignore names", "mkdir docs; echo >docs/index.rst", ""},
	{"what the user names", "echo >x.tmp; mkdir -p out/deep; echo >out/deep/x", ""},
	{"what is negated", "echo 2 >keep.log; mkdir -p docs; echo 1 >docs/keep.rst; mkdir vendor; mkdir vendor/build; echo 1 >vendor/build/x", "+docs/keep.rst|+vendor/build/x|~keep.log"},
}

func changeTree(t testing.TB) string {
	dir := t.TempDir()
	tree(t, dir, "a.py", "src/b.py", "src/deep/c.py", "with space", "target", "keep.log", "x.log")
	write(t, filepath.Join(dir, ".gitignore"), "*.log\n!keep.log\n/gen/\n")
	write(t, filepath.Join(dir, ".dockerignore"), "docs\n!docs/keep.rst\n")
	must(t, os.Symlink("target", filepath.Join(dir, "link")))
	age(t, dir)
	return dir
}

// Directories are watched wherever they come to, also if that is found before the
// event that they have left is taken.
func TestDirectoriesThatMoveStayWatched(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, "a/b/c/f", "a/g", "x/h")
	age(t, dir)
	w := watch(t, dir, Tree{Debounce: patient / 3})
	join := func(name string) string { return filepath.Join(dir, name) }
	rename := func(from, to string) { must(t, os.Rename(join(from), join(to))) }
	for i := range 5 {
		must(t, os.Mkdir(join("new"), 0o777))
		rename("a/b", "new/b")
		w.expect("-a/b/c/f", "+new/b/c/f")
		rename("new/b/c", "x/c")
		rename("new", "x/c/new")
		w.expect("-new/b/c/f", "+x/c/f")
		rename("x", "y")
		rename("a", "x")
		rename("y", "a")
		w.expect("-a/g", "+a/h", "-x/c/f", "-x/h", "+x/g", "+a/c/f")
		for _, name := range []string{"a/h", "x/g", "a/c/f"} {
			appendTo(t, join(name), fmt.Sprint(i))
			w.expect("~" + name)
		}
		tree(t, dir, "a/c/new/b/deep/n")
		w.expect("+a/c/new/b/deep/n")

		must(t, os.RemoveAll(join("a/c/new")))
		rename("a", "y")
		rename("x", "a")
		rename("y", "x")
		must(t, os.Mkdir(join("a/b"), 0o777))
		rename("x/c", "a/b/c")
		w.model(nil)
		if n := watches(t); n != 5 {
			t.Fatalf("%d watches", n)
		}
	}
}

// On a busy machine a change is seen late: when it was is the file's to tell, so that what
// a run has written passes for its own.
func TestAChangeIsDatedByItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "a.py")
	age(t, dir)
	config := Tree{Roots: []string{dir}}
	v, err := config.view()
	must(t, err)
	v.begin(true)
	appendTo(t, filepath.Join(dir, "a.py"), "x")
	age(t, dir) // what can be set is not relied on
	changed := time.Now()
	time.Sleep(2 * afterglow) // it is as late as that
	w := deliver(t, dir, &settler{source: v, found: v.found, debounce: time.Millisecond, closed: time.Millisecond}, v.end)
	b := w.next()
	if b.First.Before(changed.Add(-tick)) || b.Last.After(changed.Add(tick)) {
		t.Errorf("changed %v, from %v to %v after", b.Paths(), b.First.Sub(changed), b.Last.Sub(changed))
	}
}

// What has been seen to be gone, and is back before anybody was told, has not changed; what is
// another file by then has.
func TestAFileThatIsBackHasNotChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "a.py", "b.py", "e.py")
	age(t, dir)
	config := Tree{Roots: []string{dir}}
	v, err := config.view()
	must(t, err)
	defer v.end()
	v.begin(true)
	appendTo(t, filepath.Join(dir, "e.py"), "changed before")
	longAgo := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(filepath.Join(dir, "e.py"), longAgo, longAgo))
	v.resync()
	must(t, os.Rename(filepath.Join(dir, "e.py"), filepath.Join(dir, "f.py")))
	must(t, os.Rename(filepath.Join(dir, "a.py"), filepath.Join(dir, "c.py")))
	must(t, os.Rename(filepath.Join(dir, "b.py"), filepath.Join(dir, "d.py")))
	v.resync()
	if n := v.found.count(); n != 6 {
		t.Errorf("%d changes are seen, want 6", n)
	}
	must(t, os.Rename(filepath.Join(dir, "f.py"), filepath.Join(dir, "e.py")))
	must(t, os.Rename(filepath.Join(dir, "c.py"), filepath.Join(dir, "a.py")))
	must(t, os.Remove(filepath.Join(dir, "d.py")))
	write(t, filepath.Join(dir, "b.py"), "other")
	v.resync()
	want := []Change{{filepath.Join(dir, "b.py"), Written}, {filepath.Join(dir, "e.py"), Written}}
	if b := v.found.take(); !slices.Equal(b.Changes, want) {
		t.Errorf("changed: %v, want %v", b.Changes, want)
	}
}

// model takes batches until all that has happened so far has settled. It adds what was
// created to files, and takes out what was removed.
func (w *watched) model(files map[string]bool) {
	w.t.Helper()
	sentinel := filepath.Join(w.dir, "sentinel")
	for n := 0; ; n++ {
		write(w.t, sentinel, fmt.Sprint(n))
		b := w.next()
		for _, c := range b.Changes {
			name, _ := filepath.Rel(w.dir, c.Path)
			if files == nil || c.Path == sentinel {
				continue
			}
			if (c.Op == Created) == files[name] {
				w.t.Errorf("%s %v, which is there: %v", name, c.Op, files[name])
			}
			if files[name] = true; c.Op == Removed {
				delete(files, name)
			}
		}
		if len(b.Changes) == 1 && n > 0 {
			return
		}
	}
}

// After any changes in any order, however fast, what was reported is what there is,
// each directory is watched, and each file is.
func TestRandomChanges(t *testing.T) {
	t.Run("events", func(t *testing.T) { randomChanges(t, Tree{Debounce: 3 * time.Millisecond}, 25) })
	t.Run("polling", func(t *testing.T) { randomChanges(t, Tree{Poll: 10 * time.Millisecond, Debounce: DefaultDebounce}, 10) })
}

func randomChanges(t *testing.T, config Tree, rounds int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	tree(t, dir, "a/b/f", "a/g", "b/c/d/h", "i")
	age(t, dir)
	w := watch(t, dir, config)
	files := map[string]bool{"a/b/f": true, "a/g": true, "b/c/d/h": true, "i": true}
	any := func() string { // a path that may be there or not
		path := dir
		for range 1 + random.IntN(4) {
			path = filepath.Join(path, string(rune('a'+random.IntN(5))))
		}
		return path
	}
	for range rounds {
		for range 1 + random.IntN(20) {
			switch random.IntN(6) {
			case 0:
				os.MkdirAll(any(), 0o777)
			case 1:
				os.RemoveAll(any())
			case 2, 3:
				os.Rename(any(), any())
			default:
				os.WriteFile(any(), []byte("x"), 0o666)
			}
		}
		w.model(files)
		there, dirs := map[string]bool{}, 0
		filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if e.IsDir() {
				dirs++
			} else if e.Name() != "sentinel" {
				name, _ := filepath.Rel(dir, path)
				there[name] = true
			}
			return nil
		})
		if !maps.Equal(there, files) {
			t.Fatalf("there are %v, reported %v", there, files)
		}
		if n := watches(t); n != dirs && config.Poll == 0 {
			t.Fatalf("%d watches, %d directories", n, dirs)
		}
		for name := range files {
			appendTo(t, filepath.Join(dir, name), "x")
		}
		for left := len(files); left > 0; {
			for _, c := range w.next().Changes {
				if name, _ := filepath.Rel(dir, c.Path); c.Op == Written && files[name] {
					left--
				} else if name != "sentinel" { // of which a second half may be late
					t.Fatalf("%v %s", c.Op, c.Path)
				}
			}
		}
	}
}

func TestEachChangeIsOneBatch(t *testing.T) {
	t.Parallel()
	for _, poll := range []time.Duration{0, 50 * time.Millisecond} {
		for _, test := range changeTests {
			t.Run(fmt.Sprintf("%s, poll %v", test.name, poll), func(t *testing.T) {
				t.Parallel()
				dir := changeTree(t)
				w := watch(t, dir, Tree{Ignore: []string{"*.tmp", "out/", "!vendor/build"}, Poll: poll})
				sh(t, dir, test.script)
				if test.want != "" {
					w.expect(strings.Split(test.want, "|")...)
				}
				w.expectNone()
			})
		}
	}
}
