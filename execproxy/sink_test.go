package execproxy

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyWhatNobodySeesIsNotWritten(t *testing.T) {
	open := func(name string) *os.File {
		file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	for _, w := range []io.Writer{io.Discard, open(os.DevNull)} {
		if !throwsAway(w) {
			t.Errorf("%v is written to", w)
		}
	}
	for _, w := range []io.Writer{new(bytes.Buffer), os.Stderr, open(filepath.Join(t.TempDir(), "file"))} {
		if throwsAway(w) {
			t.Errorf("%v is not written to", w)
		}
	}
}
