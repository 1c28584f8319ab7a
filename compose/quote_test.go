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
		"-f", "--", "#x", "&", ";", "|", ">x", "(", "{a,b}", "\t", "\n", "\r", "ä", "\xff", "/abs/path.yaml", "..", "a@b:c,d+e%f^g", "\\'", "''", "\x7f",
	} {
		f.Add(s, s+s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) {
			t.Skip("no argument has a zero byte")
		}
		argv := []string{"printf", `%s\0`, a, b, "end"}
		out, err := exec.Command("sh", "-c", commandLine(argv)).Output()
		if err != nil {
			t.Fatalf("%s: %v", commandLine(argv), err)
		}
		if got := strings.Split(string(out), "\x00"); !slices.Equal(got, []string{a, b, "end", ""}) {
			t.Errorf("sh makes %q of %s", got, commandLine(argv))
		}
	})
}

func TestCommandLineIsReadable(t *testing.T) {
	t.Parallel()
	q := Query{Files: []string{"a.yml", "b c/d.yml"}, ProjectName: "p-1", ProjectDirectory: "/srv/x", Profiles: []string{"t", "u"}}
	want := "docker compose -f a.yml -f 'b c/d.yml' -p p-1 --project-directory /srv/x --profile t --profile u up -d tests"
	if got := commandLine(q.ComposeCommand("up", "-d", "tests")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
