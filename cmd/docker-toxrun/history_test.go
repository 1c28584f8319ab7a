package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/toxrun/docker-toxrun/compose"
)

func TestWhatAShellHasAdded(t *testing.T) {
	for _, test := range []struct{ name, before, now, added string }{
		{"nothing", "a\nb\n", "a\nb\n", ""},
		{"the first", "", "a\nb\n", "a\nb\n"},
		{"behind", "a\nb\n", "a\nb\nc\n", "c\n"},
		{"dropped at the begin", "a\nb\nc\n", "b\nc\nd\n", "d\n"},
		{"the same again", "a\na\n", "a\na\na\n", "a\n"},
		{"all of it dropped", "a\nb\n", "c\nd\n", "c\nd\n"},
		{"emptied", "a\nb\n", "", ""},
		{"no newline at the end", "a\n", "a\nb", "b\n"},
	} {
		if got := string(addedLines([]byte(test.before), []byte(test.now))); got != test.added {
			t.Errorf("%s: %q, want %q", test.name, got, test.added)
		}
	}
}

// Shells that end at the same time lose nothing, and the file does not grow for ever.
func TestHistoryOfManyShells(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	target := &compose.Target{Project: "p", Service: "s"}
	const shells, each = 30, historyLines / 10
	var all sync.WaitGroup
	for i := range shells {
		h, err := openHistory(target)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer h.close()
			text := string(h.before)
			for n := range each {
				text += fmt.Sprintf("shell %d line %d\n", i, n)
			}
			if err := os.WriteFile(h.copy, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
			if err := h.keep(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	h, err := openHistory(target)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	kept := strings.SplitAfter(strings.TrimSuffix(string(h.before), "\n"), "\n")
	if len(kept) != historyLines {
		t.Errorf("%d lines for the next shell, want %d", len(kept), historyLines)
	}
	for from := 0; from < len(kept); from += each { // the blocks of shells, whole
		block := kept[from:min(from+each, len(kept))]
		var shell int
		fmt.Sscanf(block[0], "shell %d line 0", &shell)
		if last := fmt.Sprintf("shell %d line %d", shell, each-1); strings.TrimSpace(block[len(block)-1]) != last {
			t.Errorf("a block begins with %q and ends with %q", block[0], block[len(block)-1])
		}
	}
	if text, err := os.ReadFile(h.file); err != nil || strings.Count(string(text), "\n") > 2*historyLines {
		t.Errorf("%d lines are kept (%v)", strings.Count(string(text), "\n"), err)
	}
	if !slices.Contains(h.environment("/x"), "HISTFILE=/x") {
		t.Error("a shell is not told of the file")
	}
}
