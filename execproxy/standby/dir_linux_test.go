package standby_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

func TestDirIsMadeForItsUserAlone(t *testing.T) {
	runtime := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	for range 2 { // made, and found
		dir, err := standby.Dir()
		if err != nil || dir != filepath.Join(runtime, "docker-toxrun") {
			t.Fatalf("Dir() = %s, %v", dir, err)
		}
		if info, err := os.Lstat(dir); err != nil || info.Mode() != os.ModeDir|0o700 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	others := t.TempDir()
	if err := os.Chown(others, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	for _, unusable := range []string{"", "relative", others, filepath.Join(temp, "not-there")} {
		t.Setenv("XDG_RUNTIME_DIR", unusable)
		if dir, err := standby.Dir(); err != nil || filepath.Dir(dir) != temp {
			t.Errorf("with XDG_RUNTIME_DIR=%s: Dir() = %s, %v", unusable, dir, err)
		}
	}
}

func TestDirOpenToOthersIsRefused(t *testing.T) {
	for want, spoil := range map[string]func(dir string) error{
		"open to others":  func(dir string) error { return os.Chmod(dir, 0o750) },
		"another user":    func(dir string) error { return os.Chown(dir, stranger, stranger) },
		"not a directory": func(dir string) error { os.Remove(dir); return os.WriteFile(dir, nil, 0o700) },
		"is not a director": func(dir string) error {
			if err := os.Rename(dir, dir+".real"); err != nil {
				return err
			}
			return os.Symlink(dir+".real", dir)
		},
	} {
		t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
		dir, err := standby.Dir()
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if dir, err := standby.Dir(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Dir() = %s, %v", want, dir, err)
		}
	}
}
