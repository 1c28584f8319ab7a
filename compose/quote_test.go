//go:build !windows

package compose

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A hint is pasted into a shell, which has to make the same words of it.
func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{
		"", "plain", "a b", "it's", `"`, `\`, "$HOME", "${X:-y}", "`id`", "$(id)", "*", "~", "~/x", "!x", "=ls", "a=b",
		"-f", "--", "#x", "&", ";", "|", ">x", "(", "{a,b}", "\t", "\n", "\r", "ä", "\xff", "/abs/path.yaml", "..", "a@b:c,d+e%f^g", "\\'", "''", "\x7f", "-\x7f", "50%\\\x1b[m'x'", "a\nb", "\u202e",
	} {
		f.Add(s, s+s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) {
			t.Skip("no argument has a zero byte")
		}
		argv := []string{"printf", `%s\0`, a, b, "end"}
		out, err := exec.Command("sh", "-c", CommandLine(argv)).Output()
		if err != nil {
			t.Fatalf("%s: %v", CommandLine(argv), err)
		}
		if got := strings.Split(string(out), "\x00"); !slices.Equal(got, []string{a, b, "end", ""}) {
			t.Errorf("sh makes %q of %s", got, CommandLine(argv))
		}
	})
}

func TestCommandLineIsReadable(t *testing.T) {
	t.Parallel()
	q := Query{Files: []string{"a.yml", "b c/d.yml"}, ProjectName: "p-1", ProjectDirectory: "/srv/x", Profiles: []string{"t", "u"}}
	want := "docker compose -f a.yml -f 'b c/d.yml' -p p-1 --project-directory /srv/x --profile t --profile u up -d tests"
	if got := CommandLine(q.ComposeCommand("up", "-d", "tests")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What a terminal would not show as it is, is not in a hint.
func TestCommandLineHidesNothing(t *testing.T) {
	t.Parallel()
	want := `docker "$(printf 'a\033]0;b\007')" 'c d'`
	if got := CommandLine([]string{"docker", "a\x1b]0;b\a", "c d"}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
