//go:build unix

package execproxy

import (
	"os/exec"
	"strings"
	"testing"
)

// Any text is one word, on one line, of a real shell.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "a b", "'", "\n", "it's\nnew\n\n", `\'"$x` + "`id`", "\xff\x01", "-n", "*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\x00") || len(text) > 10_000 {
			return
		}
		word := quote(text)
		if strings.Contains(word, "\n") {
			t.Fatalf("%q takes more than a line", word)
		}
		out, err := exec.Command("sh", "-c", "_toxrun_n='\n'\neval \"$1\"", "sh", "printf %s "+word).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q becomes %q, %v", text, out, err)
		}
	})
}
