package watch

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// fill makes files in directories of 20 files each.
func fill(t testing.TB, dir string, files int) {
	t.Helper()
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			for i := worker; i < files/20; i += 2 {
				sub := filepath.Join(dir, fmt.Sprintf("pkg%d/sub%d/module%d", i%10, i/10%50, i/500))
				if err := os.MkdirAll(sub, 0o777); err != nil {
					t.Error(err)
				}
				for j := range 20 {
					if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("test_file_%d.py", j)), nil, 0o666); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAnIgnoredDirectoryCostsNothing(t *testing.T) {
	dir := bigDir(t)
	tree(t, dir, "src/a.py", "package.json")
	for i := range 200 {
		for j := range 200 {
			mkdir(t, filepath.Join(dir, "node_modules", fmt.Sprint(i), fmt.Sprint(j)))
		}
	}
	must(t, os.Chmod(filepath.Join(dir, "node_modules", "7"), 0o700))
	if os.Getuid() == 0 {
		must(t, os.Chown(filepath.Join(dir, "node_modules", "7"), 12345, 12345))
	}
	before := watches(t)
	w := watch(t, dir, Tree{})
	if n := watches(t) - before; n != 2 {
		t.Errorf("%d watches, want 2", n)
	}
	tree(t, dir, "node_modules/1/2/index.js", "node_modules/new/index.js")
	w.expectNone()
}

// Files that are roots are told of by the directories that they are in.
func TestRootsThatAreFilesCostTheirDirectories(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, "tox.ini", "setup.cfg", "docs/conf.py", "docs/index.rst", "src/a.py")
	before := watches(t)
	watch(t, dir, Tree{Roots: []string{filepath.Join(dir, "tox.ini"), filepath.Join(dir, "setup.cfg"), filepath.Join(dir, "docs/conf.py")}})
	if n := watches(t) - before; n != 2 {
		t.Errorf("%d watches, want 2", n)
	}
}

func TestALargeTree(t *testing.T) {
	dir := bigDir(t)
	const files = 20_000
	fill(t, dir, files)
	before := heap()
	w := watch(t, dir, Tree{})
	if size := heap() - before; size > 300*files {
		t.Errorf("%d bytes for %d files", size, files)
	}

	path := filepath.Join(dir, "pkg3/sub3/module1/test_file_3.py")
	appendTo(t, path, "x")
	w.expect("~pkg3/sub3/module1/test_file_3.py")

	// A save is looked at, and nothing else.
	allocs := testing.AllocsPerRun(5, func() {
		appendTo(t, path, "x")
		w.next()
	})
	if allocs > 200 {
		t.Errorf("%v allocations for a save", allocs)
	}
}

// Each round changes files, makes and removes directories; nothing is left of it.
func TestNothingIsLeftOfManyChanges(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, "a.py", "src/b.py")
	w := watch(t, dir, Tree{Debounce: time.Millisecond})
	elsewhere := filepath.Join(t.TempDir(), "marker")
	round := func(i int) {
		must(t, os.Mkdir(filepath.Join(dir, "new"), 0o777))
		write(t, filepath.Join(dir, "new", "x"), "x")
		appendTo(t, filepath.Join(dir, "a.py"), "x")
		must(t, os.RemoveAll(filepath.Join(dir, "new")))
		write(t, filepath.Join(dir, fmt.Sprintf("unique%d", i)), "x")
		must(t, os.Remove(filepath.Join(dir, fmt.Sprintf("unique%d", i))))
		write(t, elsewhere, fmt.Sprint(i))
		must(t, os.Rename(elsewhere, filepath.Join(dir, "marker"))) // one change, the last
		for !slices.ContainsFunc(w.next().Changes, func(c Change) bool { return filepath.Base(c.Path) == "marker" }) {
		}
	}
	for i := range 100 {
		round(i)
	}
	type count struct{ watches, goroutines, files int }
	counted := func() count {
		fds, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return count{watches(t), runtime.NumGoroutine(), len(fds)}
	}
	w.expectNone()
	before, size := counted(), heap()
	for i := range 2000 {
		round(i)
	}
	w.expectNone()
	if after := counted(); after != before {
		t.Errorf("before: %+v, after: %+v", before, after)
	}
	if grown := int64(heap()) - int64(size); grown > 200_000 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	w.Close()
	if n := watches(t); n != 0 {
		t.Errorf("%d watches after Close", n)
	}
}

// rss returns how much memory the process has, in bytes.
func rss(t testing.TB) int {
	status, err := os.ReadFile("/proc/self/status")
	must(t, err)
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	kilobytes, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	must(t, err)
	return kilobytes << 10
}

func BenchmarkStart(b *testing.B) {
	for _, files := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			dir := bigDir(b)
			fill(b, dir, files)
			b.ReportAllocs()
			for b.Loop() {
				w, err := (&Tree{Roots: []string{dir}}).Start(b.Context())
				must(b, err)
				b.StopTimer()
				if files > 1000 {
					b.ReportMetric(float64(rss(b))/(1<<20), "MB-RSS")
				}
				w.Close()
				b.StartTimer()
			}
		})
	}
}

// From the end of a save to its batch: the settling time and what comes on top.
func BenchmarkSave(b *testing.B) {
	for _, files := range []int{20, 100_000} {
		for _, poll := range []time.Duration{0, 500 * time.Millisecond} {
			b.Run(fmt.Sprintf("files=%d/poll=%v", files, poll), func(b *testing.B) {
				dir := bigDir(b)
				fill(b, dir, files)
				w := watch(b, dir, Tree{Poll: poll})
				path := filepath.Join(dir, "pkg0/sub0/module0/test_file_3.py")
				for b.Loop() {
					appendTo(b, path, "x")
					w.next()
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/save")
			})
		}
	}
}
