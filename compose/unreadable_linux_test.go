package compose_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// asUser runs f as a user who is not root in what concerns files. A test that
// is root itself lends f a thread of its own, which ends with it.
func asUser(f func()) {
	if os.Getuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		syscall.Setfsgid(65534)
		syscall.Setfsuid(65534)
		f()
	}()
	<-done
}

func TestUnreadableCacheIsAsNone(t *testing.T) {
	t.Parallel()
	p, _ := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
	chmod := func(mode os.FileMode, path string) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for dir := p.dir; dir != os.TempDir(); dir = filepath.Dir(dir) {
		chmod(0o755, dir)
	}
	chmod(0o755, filepath.Dir(filepath.Dir(p.finder.CacheDir)))
	chmod(0o755, filepath.Dir(p.finder.CacheDir))
	chmod(0o644, filepath.Join(p.dir, "compose.yaml"))
	p.find()
	file := p.cacheFile()
	for _, test := range []struct {
		name      string
		dir, file os.FileMode
	}{
		{"file can't be read, nor another be written", 0o555, 0},
		{"directory can't be read", 0, 0o600},
	} {
		chmod(test.file, file)
		chmod(test.dir, p.finder.CacheDir)
		asUser(func() {
			before := p.loads.Load()
			for range 2 {
				if got, err := p.finder.Find(t.Context(), p.query); err != nil || got.Container != "first" {
					t.Errorf("%s: Find() = %+v, %v", test.name, got, err)
				}
			}
			if loads := p.loads.Load() - before; loads != 2 {
				t.Errorf("%s: %d loads, want 2", test.name, loads)
			}
		})
		chmod(0o700, p.finder.CacheDir)
	}
}
