package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Only one writer keeps the order of what goes to one file, however it was opened.
func TestOneFileHasOneWriter(t *testing.T) {
	open := func(name string) *os.File {
		t.Helper()
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	dir := t.TempDir()
	out, other := filepath.Join(dir, "out"), filepath.Join(dir, "err")
	for name, want := range map[string]bool{out: true, other: false} {
		stdout, stderr := (&terminal{std: stdio{out: open(out), err: open(name)}}).outputs()
		if (stdout == stderr) != want {
			t.Errorf("stdout to out, stderr to %s: one writer %t, want %t", filepath.Base(name), !want, want)
		}
	}
}
