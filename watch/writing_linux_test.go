package watch

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// noForks keeps other tests from starting processes until the end of this one: such a process
// has this test's files open, too, until it has become its program.
func noForks(t *testing.T) {
	syscall.ForkLock.RLock()
	t.Cleanup(syscall.ForkLock.RUnlock)
}

// Whoever may write a file is known, and only who may.
func TestWhoWritesAFile(t *testing.T) {
	t.Parallel()
	noForks(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	write(t, path, "x")
	expect := func(want writing, when string) {
		t.Helper()
		if got := writingOf(path); got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	open := func(flag int) *os.File {
		t.Helper()
		f, err := os.OpenFile(path, flag, 0)
		must(t, err)
		return f
	}
	expect(over, "closed")
	reader := open(os.O_RDONLY)
	expect(over, "read")
	first, second := open(os.O_WRONLY), open(os.O_RDWR|os.O_APPEND)
	expect(goingOn, "two writers")
	must(t, first.Close())
	expect(goingOn, "one of two is left")
	memory, err := unix.Mmap(int(second.Fd()), 0, 1, unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	must(t, second.Close())
	expect(goingOn, "mapped")
	must(t, unix.Munmap(memory))
	expect(over, "unmapped")
	must(t, reader.Close())
	must(t, os.Truncate(path, 0))
	expect(unknown, "empty")
	must(t, os.Remove(path))
	expect(unknown, "gone")
	must(t, os.Symlink("/etc/passwd", path))
	expect(unknown, "a link")
}

// Of another user's files, nothing is.
func TestWhoWritesAnothersFile(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		asNobody(t)
		return
	}
	if got := writingOf("/etc/passwd"); got != unknown {
		t.Errorf("%v", got)
	}
}

// Only a single file that was there before, and whose events are seen, is over.
func TestWhatIsOver(t *testing.T) {
	t.Parallel()
	noForks(t)
	path := filepath.Join(t.TempDir(), "a")
	for _, test := range []struct {
		op           Op
		native       *native
		remote       string
		closed, open writing
	}{
		{Written, new(native), "", over, goingOn},
		{Created, new(native), "", unknown, goingOn},
		{Removed, new(native), "", unknown, unknown},
		{Lost, new(native), "", unknown, unknown},
		{Written, nil, "", unknown, unknown},
		{Written, new(native), "nfs", unknown, unknown},
	} {
		v := &view{found: new(changes), native: test.native, remote: func(string) string { return test.remote }}
		expect := func(want writing, when string) {
			t.Helper()
			if got := v.writing(); got != want {
				t.Errorf("%v, %q, %s: %v, want %v", test.op, test.remote, when, got, want)
			}
		}
		v.found.add(path, test.op)
		write(t, path, "x")
		expect(test.closed, "closed")
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		expect(test.open, "open")
		v.found.add(path+"2", Written)
		expect(unknown, "two files")
		must(t, f.Close())
	}
}

// A closing source closes a file once it has been found open three times.
type closing struct {
	source
	file  *os.File
	asked int
}

// writing is called by the settler's own goroutine.
func (s *closing) writing() writing {
	w := s.source.writing()
	if w == goingOn {
		if s.asked++; s.asked == 3 {
			s.file.Close()
		}
	}
	return w
}

// A file that is written slowly is one batch, as soon as it is closed.
func TestASlowWriterIsOneBatch(t *testing.T) {
	t.Parallel()
	noForks(t)
	dir := t.TempDir()
	tree(t, dir, "a.py")
	config := Tree{Roots: []string{dir}}
	v, err := config.view()
	must(t, err)
	v.begin(true)
	f, err := os.OpenFile(filepath.Join(dir, "a.py"), os.O_WRONLY|os.O_TRUNC, 0)
	must(t, err)
	source := &closing{source: v, file: f}
	_, err = f.WriteString("x")
	must(t, err)
	w := deliver(t, dir, &settler{source: source, found: v.found, debounce: time.Hour, closed: time.Millisecond}, v.end)
	w.expect("~a.py")
	if source.asked != 3 {
		t.Errorf("settled after %d times", source.asked)
	}
}

// Only without a debounce of the user's own, a file that is closed settles sooner.
func TestTheUsersDebounceIsTheLeast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "a.py")
	took := func(debounce time.Duration) time.Duration {
		w, err := (&Tree{Roots: []string{dir}, Debounce: debounce}).Start(t.Context())
		must(t, err)
		defer w.Close()
		appendTo(t, filepath.Join(dir, "a.py"), "x")
		b := <-w.C
		return time.Since(b.Last)
	}
	if d := took(DefaultDebounce); d < DefaultDebounce {
		t.Errorf("settled after %v", d)
	}
	for range 100 { // a busy machine may need some
		if took(0) < DefaultDebounce {
			return
		}
	}
	t.Error("no sooner without")
}
