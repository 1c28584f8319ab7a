package watch

import (
	"cmp"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if limited() {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// late tells that the end of all tests is near (go test -timeout): what is waited
// for until then will not happen.
func late(t testing.TB) <-chan time.Time {
	if limited, ok := t.(*testing.T); ok {
		if at, ok := limited.Deadline(); ok {
			return time.After(time.Until(at) - 20*time.Second)
		}
	}
	return nil
}

// A watched is a tree under test. Its batches are compared by the names of the
// paths relative to dir.
type watched struct {
	*Watcher
	t       testing.TB
	dir     string
	notices chan string
}

// patient is a debounce that no program exceeds within one save, on a busy machine
// either.
const patient = 300 * time.Millisecond

// watch starts watching dir, with what else tree says. Unless that names a debounce it
// is patient: what is tested is what changes are, not how soon they are told.
func watch(t testing.TB, dir string, tree Tree) *watched {
	t.Helper()
	w := &watched{t: t, dir: dir, notices: make(chan string, 100)}
	if tree.Roots == nil {
		tree.Roots = []string{dir}
	}
	if tree.Base == "" {
		tree.Base = dir
	}
	tree.Debounce = cmp.Or(tree.Debounce, patient)
	tree.Notice = func(text, hint string) { w.notices <- text + "\n" + hint }
	var err error
	w.Watcher, err = tree.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// next waits for the next batch.
func (w *watched) next() Batch {
	w.t.Helper()
	select {
	case b, ok := <-w.C:
		if !ok {
			w.t.Fatal("the watcher has ended")
		}
		return b
	case n := <-w.notices:
		w.t.Fatalf("notice: %s", n)
	case <-late(w.t):
		w.t.Fatal("no batch")
	}
	return Batch{}
}

// names returns the changes of a batch, + for created, - for removed, ~ for written.
func (w *watched) names(b Batch) []string {
	var names []string
	for _, c := range b.Changes {
		name, err := filepath.Rel(w.dir, c.Path)
		if err != nil {
			w.t.Fatal(err)
		}
		names = append(names, [...]string{Written: "~", Created: "+", Removed: "-", Lost: "?"}[c.Op]+filepath.ToSlash(name))
	}
	return names
}

// expect waits for one batch and compares it with what is wanted.
func (w *watched) expect(want ...string) Batch {
	w.t.Helper()
	b := w.next()
	got := w.names(b)
	if slices.Sort(want); !slices.Equal(sorted(got), want) || b.Count != len(want) {
		w.t.Fatalf("changed: %q (%d)\nwant:    %q", got, b.Count, want)
	}
	if b.First.IsZero() || b.Last.Before(b.First) || time.Since(b.Last) < 0 {
		w.t.Fatalf("first change %v, last %v", b.First, b.Last)
	}
	return b
}

// expectNone shows that nothing more has changed: the next batch is that of a file
// that is written now.
func (w *watched) expectNone() {
	w.t.Helper()
	const sentinel = "sentinel"
	path := filepath.Join(w.dir, sentinel)
	op := "~"
	if _, err := os.Lstat(path); err != nil {
		op = "+"
	}
	appendTo(w.t, path, "x")
	w.expect(op + sentinel)
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree makes files, of which those that end in a slash are directories.
func tree(t testing.TB, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			mkdir(t, path)
			continue
		}
		mkdir(t, filepath.Dir(path))
		write(t, path, name+"\n")
	}
}

// age makes files a minute old: one that was written just now might have been
// written again since it was looked at.
func age(t testing.TB, dir string) {
	t.Helper()
	old := time.Now().Add(-time.Minute - time.Millisecond)
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		return os.Chtimes(path, old, old)
	}))
}

func limited() bool { return os.Getenv("WATCH_TEST_LIMITED") != "" }

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// bigDir returns a directory for many files: in memory, where there is such a place.
func bigDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "watch")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// sh runs a script in dir.
func sh(t testing.TB, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	cmd.Env = append(gitEnv(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}
