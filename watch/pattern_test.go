package watch

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// paths of the tree that git is asked about; directories end in a slash.
var paths = []string{
	"a", "b", "foo", "foo.pyc", "Foo", "x y", "x ", "#x", "!x", "{a,b}", "[a]", "a*", `a\b`, "é", "-", "^", "]",
	"build/", "build/x", "build/keep/", "build/keep/y",
	"dir/", "dir/a", "dir/foo", "dir/build/", "dir/build/x", "dir/foo.pyc",
	"dir/dir/", "dir/dir/a", "dir/dir/foo/", "dir/dir/foo/a", "dir/dir/foo/b/", "dir/dir/foo/b/foo",
	"src/", "src/a/", "src/a/b/", "src/a/b/c/", "src/a/b/c/x", "src/a/x", "src/x", "src/foo", "src/b/", "src/b/x",
}

// repo makes a repository with all paths in it, and one with names that are not
// UTF-8.
func repo(t testing.TB) string {
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	for _, path := range append(paths, "\xff\xfe") {
		full := filepath.Join(dir, path)
		if strings.HasSuffix(path, "/") {
			mkdir(t, full)
		} else {
			write(t, full, "")
		}
	}
	return dir
}

// gitIgnored asks git which paths are ignored.
func gitIgnored(t testing.TB, dir string) map[string]bool {
	t.Helper()
	cmd := exec.Command("git", "check-ignore", "--no-index", "--stdin", "-z")
	cmd.Dir = dir
	cmd.Env = gitEnv()
	// Without their slashes: git looks what is a directory, and takes what is behind
	// a slash for a name.
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(strings.Join(paths, "\x00")+"\x00", "/\x00", "\x00"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("git check-ignore: %v: %s", err, stderr.Bytes())
	}
	ignored := make(map[string]bool)
	for path := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		ignored[path] = true
	}
	return ignored
}

// ourIgnored asks the rules that a view has, from the top down, as enter does.
func ourIgnored(dir string) map[string]bool {
	c := &common{base: dir, top: dir}
	c.read()
	ignored := make(map[string]bool)
	for _, path := range paths {
		r, at := (&rules{common: c, dir: dir}).within(dir), dir
		elements := strings.Split(strings.TrimSuffix(path, "/"), "/")
		for i, e := range elements {
			at = filepath.Join(at, e)
			isDir := i < len(elements)-1 || strings.HasSuffix(path, "/")
			if r.ignores(at, isDir) {
				ignored[path] = true
				break
			}
			r = r.within(at)
		}
	}
	return ignored
}

// compareWithGit reports where git and the rules differ.
func compareWithGit(t testing.TB, dir, what string) {
	t.Helper()
	theirs, ours := gitIgnored(t, dir), ourIgnored(dir)
	for _, path := range paths {
		if theirs := theirs[strings.TrimSuffix(path, "/")]; theirs != ours[path] {
			t.Errorf("%s: %q: git ignores it: %v, we do: %v", what, path, theirs, ours[path])
		}
	}
}

func TestPatternsMeanWhatGitSays(t *testing.T) {
	t.Parallel()
	dir := repo(t)
	for _, text := range []string{
		"foo", "/foo", "foo/", "dir/foo", "/dir/foo/", "*.pyc", "*", "**", "/*", "/**", "/*/", "*/", "!foo", "!*/",
		"foo\n!dir/foo", "*\n!*/\n!foo", "/*\n!/dir\n/dir/*\n!/dir/dir", "build\n!build/keep", "build/*\n!build/keep",
		"build/\n!dir/build/", "src/**", "src/**/x", "**/x", "**/b/x", "src/a/**", "src/**/b", "src/**/b/**", "src/**/c/x",
		"**/foo/**", "/**/foo", "dir/**/foo", "dir/**/**/foo", "**/", "src/**/", "src/a**", "src/***/x",
		"f?o", "[Ff]oo", "[!F]oo", "[^F]oo", "[a-e]", "[[:alpha:]]", "[[:upper:]]oo", "[[:nothing:]]", "[", "[a", "[]a]", "[!]a]",
		"dir[/]a", "/dir[!a]a", "/dir[+-9]a", "/dir?a", "/d*a", "/dir[^-.]dir/a", "src/[!b]", `\#x`, "#x", `\!x`, "!x", "x ", `x\ `, `x\  `, "x y", "x y   ",
		`a\*`, `a\\b`, `foo\`, `\foo`, "{a,b}", "{foo,b}", `\{a,b}`, "\\[a]", "é", "[é]", "?", "[-]", "[a-]", "[]-a]", "[--/]", `[\]]`, `[\-]`, "[^^]",
		"foo\r\nb\r\n", "\ufefffoo", "foo\t", "//foo", "dir//foo", "/", "//", "!", "!/", "  ", "dir\\/foo", "dir/*", "dir/*/a", "*/*/*",
	} {
		write(t, filepath.Join(dir, ".gitignore"), text)
		compareWithGit(t, dir, fmt.Sprintf("%q", text))
	}
}

func TestNestedPatternsMeanWhatGitSays(t *testing.T) {
	t.Parallel()
	dir := repo(t)
	for _, files := range []map[string]string{
		{".gitignore": "foo", "dir/.gitignore": "!foo"},
		{".gitignore": "!foo", "dir/.gitignore": "foo"},
		{".gitignore": "*", "dir/.gitignore": "!*"},
		{".gitignore": "*\n!*/", "dir/.gitignore": "!a\n!dir/foo/a"},
		{".gitignore": "build", "dir/.gitignore": "!build", "dir/build/.gitignore": "x"},
		{".git/info/exclude": "foo\na", "dir/.gitignore": "!foo"},
		{"dir/.gitignore": "/a\n/dir/a\n**/b/foo", "src/.gitignore": "/*\n!/a", "src/a/.gitignore": "*\n!b"},
	} {
		for name, text := range files {
			write(t, filepath.Join(dir, name), text)
		}
		compareWithGit(t, dir, fmt.Sprint(files))
		for name := range files {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Lines made up at random from what is special, each 20 in a file.
func TestRandomPatternsMeanWhatGitSays(t *testing.T) {
	t.Parallel()
	dir := repo(t)
	parts := []string{
		"foo", "a", "b", "x", "dir", "src", "build", "keep", "c", "*", "**", "?", "/", "/", "/", "**/", "/**", "[a-f]", "[!a]", "[^f-z]",
		"[[:alpha:]]", "[", "]", `\`, "!", "-", " ", ".pyc", "{", "}", "{a,b}", "o", "é", "[]-a]", "[x", "[:digit:]", "***",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 250 {
		var lines []string
		for range 1 + random.IntN(6) {
			var line string
			for range 1 + random.IntN(5) {
				line += parts[random.IntN(len(parts))]
			}
			if random.IntN(4) == 0 {
				line = "!" + line
			}
			lines = append(lines, line)
		}
		text := strings.Join(lines, "\n")
		if quirk.MatchString(text) {
			continue
		}
		write(t, filepath.Join(dir, ".gitignore"), text)
		compareWithGit(t, dir, fmt.Sprintf("%q", text))
		if t.Failed() {
			break
		}
	}
}

// quirk is what git before 2.54 does not do as documented: ** that is not all of an
// element is to be *, and matches slashes.
var quirk = regexp.MustCompile(`(?m)[^/*\n]\*\*+(\\?/|\s*$)`)

func FuzzPatternsMeanWhatGitSays(f *testing.F) {
	dir := repo(f)
	for _, seed := range []string{"foo\n!dir/foo", "src/**/b/**", "[]-a]", `x\ `, "dir[!a]a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) {
			t.Skip("git's lines end at a NUL")
		}
		if quirk.MatchString(text) {
			t.Skip("git's answer depends on its version")
		}
		write(t, filepath.Join(dir, ".gitignore"), text)
		compareWithGit(t, dir, fmt.Sprintf("%q", text))
	})
}

func TestEveryBuiltinPatternIsOne(t *testing.T) {
	t.Parallel()
	for line := range strings.SplitSeq(builtin, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if p, ok := parsePattern(line); !ok || p.negated || p.whole {
			t.Errorf("%q: %+v, %v", line, p, ok)
		}
	}
	patterns := parsePatterns(builtin)
	for _, name := range []string{".git", ".x.py.swp", "x.py~", "4913", "#x.py#", ".#x.py", "x.pyc", ".coverage.host.1.2", "junit-py39.xml", "x.py___jb_tmp___"} {
		if judge(patterns, name, name, false) != ignored {
			t.Errorf("%s is not ignored", name)
		}
	}
	for _, name := range []string{"x.py", "build", "dist", "Makefile", "x.swp.py", "coverage.py", ".coveragerc", "tox.ini", "src"} {
		if judge(patterns, name, name, false) != silent {
			t.Errorf("%s is ignored", name)
		}
	}
	for _, name := range []string{".tox", "__pycache__", "build", "greeting.egg-info", "node_modules"} {
		if judge(patterns, name, name, true) != ignored {
			t.Errorf("%s/ is not ignored", name)
		}
	}
}

func BenchmarkIgnores(b *testing.B) {
	c := &common{base: "/p", top: "/p", builtin: parsePatterns(builtin)}
	r := &rules{common: c, dir: "/p", own: parsePatterns(strings.Repeat("*.log\n/docs/_build/\nname\nsrc/**/gen\n", 10))}
	for b.Loop() {
		r.ignores("/p/src/greeting/module.py", false)
	}
}

// git runs git with none of the user's configuration.
func git(t testing.TB, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = gitEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func gitEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "GIT_") })
	return append(env, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull, "GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*", "HOME="+os.DevNull, "XDG_CONFIG_HOME="+os.DevNull,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o777); err != nil {
		t.Fatal(err)
	}
}
