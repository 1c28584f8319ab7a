package compose

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestSumGoesOnceTheTimesAreOld(t *testing.T) {
	t.Parallel()
	path := filepath.Join(runtime.GOROOT(), "VERSION") // surely older than a tick
	old, content, err := Read(path)
	if err != nil {
		t.Skip(err)
	}
	if old.Sum != "" {
		t.Errorf("a file changed at %v has a sum", time.Unix(0, old.Changed))
	}
	old.Sum = digest(content) // as if it had been read within a tick
	if !old.unchanged() || old.Sum != "" {
		t.Errorf("unchanged, but still with the sum %q", old.Sum)
	}

	path = filepath.Join(t.TempDir(), "young")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	young, _, err := Read(path)
	if err != nil || young.Sum == "" {
		t.Fatalf("Read() = %+v, %v; want a sum of a file just written", young, err)
	}
	if !young.unchanged() || young.Sum == "" {
		t.Errorf("unchanged() = false, or without its sum: %+v", young)
	}
	changed := young
	changed.Sum = digest([]byte("y")) // as if it had been read before a change in the same tick
	if changed.unchanged() {
		t.Error("other content passes for unchanged since the times are the same")
	}
	// What is said to be from the future can't be told by its time, ever.
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, future, future); err != nil {
		t.Fatal(err)
	}
	if in, _, _ := Read(path); in.Sum == "" {
		t.Error("no sum of a file with a time to come")
	}
}

func TestInputChanges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(path string) error
		want   bool
	}{
		{"no", func(string) error { return nil }, true},
		{"removed", os.Remove, false},
		{"other content, size and time the same", func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte("b"), 0o600); err != nil {
				return err
			}
			return os.Chtimes(path, info.ModTime(), info.ModTime())
		}, false},
		{"now a directory", func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		}, false},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("a"), 0o600); err != nil {
			t.Fatal(err)
		}
		in, _, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := test.change(path); err != nil {
			t.Fatal(err)
		}
		if got := in.unchanged(); got != test.want {
			t.Errorf("%s: unchanged() = %t", test.name, got)
		}
	}

	// Size and time can be made the same, the change of the inode can't. Its
	// clock may stand still for a moment, hence the loop.
	if runtime.GOOS != "windows" {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("a"), 0o600); err != nil {
			t.Fatal(err)
		}
		old := Look(path) // without a sum, as of a file read long after it was written
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(5 * time.Minute); old.unchanged(); {
			if err := os.WriteFile(path, []byte("b"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatal("a change with the old time goes unnoticed")
			}
		}
	}

	absent := Look(filepath.Join(t.TempDir(), "absent"))
	if !absent.Absent || !absent.unchanged() {
		t.Errorf("a file that still isn't there: %+v", absent)
	}
	if err := os.WriteFile(absent.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if absent.unchanged() {
		t.Error("a file that has come into being passes for absent")
	}
	if null := Look(os.DevNull); !null.unchanged() {
		t.Error("the null device has changed")
	}
}
