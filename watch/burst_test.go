package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A thousand saves a second for two seconds are one batch, when they are over.
func TestAThousandSavesASecondAreOneBatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "a.py")
	w := watch(t, dir, Tree{})
	path := filepath.Join(dir, "a.py")
	for range 10 {
		longest, early := saves(w, path)
		if longest >= patient { // this machine had no time for them: no such burst
			t.Logf("the saves paused for %v", longest)
			w.next()
			continue
		}
		if early != nil {
			t.Fatalf("a batch before the end: %v", *early)
		}
		w.expect("~a.py")
		w.expectNone()
		return
	}
	t.Fatal("no burst of a thousand saves a second was to be had")
}

// saves saves a file a thousand times a second for two seconds. It returns the longest
// time between two saves, and the first batch that came meanwhile, or nil.
func saves(w *watched, path string) (longest time.Duration, early *Batch) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last := time.Now()
	for begin, n := last, 0; time.Since(begin) < 2*time.Second; n++ {
		<-tick.C
		os.WriteFile(path, fmt.Append(nil, n), 0o666)
		longest, last = max(longest, time.Since(last)), time.Now()
		select {
		case b := <-w.C:
			if early == nil {
				early = &b
			}
		default:
		}
	}
	return longest, early
}

// A save is seen even if it leaves size and time what they were, as one in the same
// tick of the clock may: here the file's clock stands still, an hour ahead.
func TestASaveInTheSameTickIsSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "a.py")
	w := watch(t, dir, Tree{})
	path, still := filepath.Join(dir, "a.py"), time.Now().Add(time.Hour)
	for i := range 10 {
		write(t, path, fmt.Sprint(i))
		must(t, os.Chtimes(path, still, still))
		w.expect("~a.py")
	}
	must(t, os.Chmod(path, 0o600))
	w.expectNone()
}

// What happens before the batch is received goes into it; what is undone does not.
func TestBatchesMergeUntilReceived(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "a.py", "b.py")
	config := Tree{Roots: []string{dir}}
	v, err := config.view()
	must(t, err)
	v.begin(true)
	s := &settler{found: v.found, debounce: time.Millisecond, closed: time.Millisecond}
	marks := marked{source: v, settler: s, settled: map[string]chan struct{}{"one": make(chan struct{}), "two": make(chan struct{})}}
	s.source = marks
	w := deliver(t, dir, s, v.end)
	settle := func(mark string) {
		write(t, filepath.Join(dir, mark), "")
		<-marks.settled[mark]
	}

	appendTo(t, filepath.Join(dir, "a.py"), "x")
	write(t, filepath.Join(dir, "new"), "x")
	write(t, filepath.Join(dir, "stays"), "x")
	must(t, os.Remove(filepath.Join(dir, "b.py")))
	settle("one")
	must(t, os.Remove(filepath.Join(dir, "new")))
	appendTo(t, filepath.Join(dir, "stays"), "x")
	write(t, filepath.Join(dir, "b.py"), "x")
	settle("two")
	w.expect("~a.py", "~b.py", "+stays", "+one", "+two")
	w.expectNone()
}

// deliver has s deliver its batches until the test is over, and calls end then.
func deliver(t *testing.T, dir string, s *settler, end func()) *watched {
	batches, done, ended := make(chan Batch), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.run(done, batches)
		end()
	}()
	t.Cleanup(func() { close(done); <-ended })
	return &watched{Watcher: &Watcher{C: batches}, t: t, dir: dir}
}

// A marked source closes the channel of a file's name once the change of that file is
// in a batch that waits to be received.
type marked struct {
	source
	settler *settler
	settled map[string]chan struct{}
}

// events is called by the settler's own goroutine before each step.
func (m marked) events() (<-chan fsnotify.Event, <-chan struct{}) {
	if b := m.settler.ready; b != nil {
		for _, c := range b.Changes {
			settled, ok := m.settled[filepath.Base(c.Path)]
			if !ok {
				continue
			}
			select {
			case <-settled:
			default:
				close(settled)
			}
		}
	}
	return m.source.events()
}

// More events than the kernel keeps are made before any is taken: what has changed
// is found, the loss counts as a change, and watching goes on, also in directories
// that were moved meanwhile.
func TestLostEvents(t *testing.T) {
	t.Parallel()
	dir := bigDir(t)
	tree(t, dir, "a.py", "b.py", "moved/c.py", "gone/d.py", "replaced/e.py")
	age(t, dir)
	config := Tree{Roots: []string{dir}}
	v, err := config.view()
	must(t, err)
	v.begin(true)
	for i := range 30_000 {
		write(t, filepath.Join(dir, fmt.Sprintf("x%d", i%3)), fmt.Sprint(i))
		must(t, os.Remove(filepath.Join(dir, fmt.Sprintf("x%d", i%3))))
	}
	appendTo(t, filepath.Join(dir, "b.py"), "x")
	tree(t, dir, "new/deep/f.py", "other/")
	must(t, os.Rename(filepath.Join(dir, "moved"), filepath.Join(dir, "other/moved")))
	must(t, os.RemoveAll(filepath.Join(dir, "gone")))
	must(t, os.RemoveAll(filepath.Join(dir, "replaced")))
	tree(t, dir, "replaced/e.py")

	w := deliver(t, dir, &settler{source: v, found: v.found, debounce: DefaultDebounce, closed: DefaultDebounce}, v.end)

	w.expect("?.", "~b.py", "+new/deep/f.py", "-moved/c.py", "+other/moved/c.py", "-gone/d.py", "~replaced/e.py")
	w.expectNone()
	for _, name := range []string{"a.py", "new/deep/f.py", "other/moved/c.py", "replaced/e.py"} {
		appendTo(t, filepath.Join(dir, name), "x")
		w.expect("~" + name)
	}
}
