package watch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A change of the rules takes effect at once, whoever's they are.
func TestChangedRulesTakeEffect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "a.py", "gen/x", "gen/deep/y", "src/gen/z", "docs/d")
	w := watch(t, dir, Tree{})

	write(t, filepath.Join(dir, ".gitignore"), "gen/\n")
	w.expect("+.gitignore")
	tree(t, dir, "gen/x2", "gen/deep/y2", "src/gen/z2")
	w.expectNone()

	write(t, filepath.Join(dir, "src", ".gitignore"), "!gen\n")
	w.expect("+src/.gitignore")
	tree(t, dir, "gen/x3", "src/gen/z3")
	w.expect("+src/gen/z3")

	write(t, filepath.Join(dir, ".dockerignore"), "docs\n")
	w.expect("+.dockerignore")
	tree(t, dir, "docs/d2")
	w.expectNone()

	must(t, os.Remove(filepath.Join(dir, ".dockerignore")))
	must(t, os.Remove(filepath.Join(dir, ".gitignore")))
	w.expect("-.dockerignore", "-.gitignore")
	tree(t, dir, "docs/d3", "gen/x4", "gen/deep/y4")
	w.expect("+docs/d3", "+gen/deep/y4", "+gen/x4")
}

// The rules above a root count, too.
func TestRulesAboveTheRoot(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	git(t, top, "init", "-q")
	tree(t, top, "project/src/a.py", "project/src/gen/x", "project/src/lib/y", "project/src/tmp/z")
	write(t, filepath.Join(top, ".gitignore"), "gen/\n/project/src/lib\n")
	write(t, filepath.Join(top, "project", ".dockerignore"), "src/tmp\n")
	write(t, filepath.Join(top, ".git", "info", "exclude"), "excluded\n")
	dir := filepath.Join(top, "project", "src")
	w := watch(t, dir, Tree{Base: filepath.Dir(dir)})

	tree(t, dir, "gen/x2", "lib/y2", "tmp/z2", "excluded")
	w.expectNone()

	// Changes above the root are none in it, but their rules count.
	write(t, filepath.Join(top, ".gitignore"), "/project/src/lib\n")
	write(t, filepath.Join(top, "project", ".gitignore"), "*.gen\n")
	must(t, os.Remove(filepath.Join(top, "project", ".dockerignore")))
	for tries := 1; ; tries++ {
		tree(t, dir, "gen/x3", "tmp/z3", "probe.gen", "a.py")
		b := w.next()
		if got := strings.Join(w.names(b), " "); strings.HasSuffix(got, "a.py ~gen/x3 ~tmp/z3") || got == "~a.py +gen/x3 +tmp/z3" {
			break
		} else if tries == 20 {
			t.Fatalf("changed: %s", got)
		}
	}
	tree(t, dir, "lib/y3", "a.gen")
	w.expectNone()
}

// What is built in can be had back, by the user and by a .gitignore; what docker
// ignores only by the user.
func TestIgnoredPlacesBroughtBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "build/x", "dist/x", "out/x", "other/build/x", "venv/x")
	write(t, filepath.Join(dir, ".gitignore"), "!dist\nvenv\n!out\n")
	write(t, filepath.Join(dir, ".dockerignore"), "out\nother\n")
	w := watch(t, dir, Tree{Ignore: []string{"!/build", "!other"}})
	tree(t, dir, "build/y", "dist/y", "out/y", "other/y", "other/build/y", "venv/y")
	w.expect("+build/y", "+dist/y", "+other/y")
	w.expectNone()
}
