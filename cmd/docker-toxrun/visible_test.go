package main

import (
	"bytes"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// evil would set a terminal's title, start a new line of toxrun's, and turn the
// order of what follows.
const evil = "boom \x1b]0;x\x07 \u009b2J\x7f\t\u202eüß日本 \xff.\r\ntoxrun: pass"

func TestVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "",
		`C:\x, "q", it's 50%, naïve 日本 👩‍💻`: `C:\x, "q", it's 50%, naïve 日本 👩‍💻`,
		"\x1b]0;x\x07":          `\x1b]0;x\a`,
		"\u009b2J":              `\u009b2J`,
		"a\nb\tc\x00\x7f":       `a\nb\tc\x00\x7f`,
		"\u202etxt\u2066\u2028": `\u202etxt\u2066\u2028`,
		"ü\xffü\ufffd":          `ü\xffü` + "\ufffd",
	} {
		if got := visible(text); got != want {
			t.Errorf("visible(%q) = %s, want %s", text, got, want)
		}
	}
}

// JSON stays the same value, and log lines stay lines.
func TestVisibleWriters(t *testing.T) {
	t.Parallel()
	const text = "ü\u009b\u202e\x7f\x1b\n\u2028"
	var out bytes.Buffer
	encoder := newJSON(&out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode([]string{text}); err != nil {
		t.Fatal(err)
	}
	nothingHidden(t, out.String())
	var got []string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got) != 1 || got[0] != text {
		t.Errorf("%s is %q (%v), want %q", &out, got, err, text)
	}
	out.Reset()
	logger := log.New(visibleLines{&out}, "1 ", 0)
	logger.Print("a\x1b[m")
	logger.Print("b")
	if want := "1 a\\x1b[m\n1 b\n"; out.String() != want {
		t.Errorf("logged %q, want %q", &out, want)
	}
}

// nothingHidden fails the test if text has anything but lines that are shown as they
// are.
func nothingHidden(t *testing.T, text string) {
	t.Helper()
	if bare := strings.ReplaceAll(text, "\n", ""); visible(bare) != bare {
		t.Errorf("%q does something to a terminal", text)
	}
}

// What the Engine has to say does nothing to the terminal, whatever it is asked.
func TestEnginesWordsAreMadeVisible(t *testing.T) {
	t.Parallel()
	for _, route := range []string{"POST /containers/{id}/exec", "GET /exec/{id}/json", "GET /containers/{id}/json", "GET /containers/json"} {
		t.Run(strings.ReplaceAll(route, "/", " "), func(t *testing.T) {
			t.Parallel()
			e := enginetest.Fake(t, enginetest.Container{})
			e.Engine.Fault(enginetest.Fail(route, http.StatusInternalServerError, evil, -1))
			cmd := in(t, e, "docker-toxrun", "exec", "true")
			if route == "GET /containers/json" {
				cmd.Env, cmd.Dir = append(cmd.Env, "TOXRUN_CONTAINER="), t.TempDir()
				if err := os.WriteFile(filepath.Join(cmd.Dir, "compose.yaml"), []byte("services: {tests: {image: x}}"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := start(t, cmd)
			p.exits(t, statusFailed)
			said := p.err.String()
			nothingHidden(t, said)
			if !strings.Contains(said, `boom \x1b]0;x\a \u009b2J\x7f\t\u202eüß日本`) || strings.Count(said, "\n") != 1 {
				t.Errorf("stderr %q, want one line with the Engine's words", said)
			}
		})
	}
}

// What the Engine has for names and places is shown as text, and JSON keeps it.
func TestEnginesNamesAreMadeVisible(t *testing.T) {
	t.Parallel()
	const user, dir = "u\x1b[31m", "/w\u202e\x1b]0;x\x07"
	e := enginetest.Fake(t, enginetest.Container{User: user, Dir: dir})
	table := start(t, in(t, e, "docker-toxrun", "target"))
	table.exits(t, 0)
	nothingHidden(t, table.out.String())
	if got := table.out.String(); !strings.Contains(got, `u\x1b[31m`) || !strings.Contains(got, `/w\u202e\x1b]0;x\a`) {
		t.Errorf("stdout %q lacks user or directory", got)
	}
	object := start(t, in(t, e, "docker-toxrun", "target", "--format", "json"))
	object.exits(t, 0)
	nothingHidden(t, object.out.String())
	var got report
	if err := json.Unmarshal([]byte(object.out.String()), &got); err != nil || got.User != user || got.Workdir != dir {
		t.Errorf("%q and %q (%v), want %q and %q", got.User, got.Workdir, err, user, dir)
	}
}
