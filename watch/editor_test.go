package watch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A real vim saves a file in each of the ways it has, with a swap file.
func TestASaveOfVimIsOneBatch(t *testing.T) {
	t.Parallel()
	vim, err := exec.LookPath("vim")
	if err != nil {
		vim, err = exec.LookPath("vi")
	}
	if err != nil {
		t.Fatal("vim is needed: ", err)
	}
	for _, options := range []string{
		"nobackup nowritebackup",
		"nobackup writebackup backupcopy=no",
		"nobackup writebackup backupcopy=yes",
		"nobackup writebackup backupcopy=auto",
		"backup writebackup backupcopy=no",
		"backup writebackup backupcopy=yes",
		"backup backupext=.bak backupcopy=no undofile",
		"backup backupdir=. fsync",
	} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tree(t, dir, "a.py", "b.py")
			w := watch(t, dir, Tree{})
			cmd := exec.Command(vim, "-Nu", "NONE", "-i", "NONE", "-es", "-c", "set swapfile directory=. backupskip= "+options,
				"-c", "normal Goanother line", "-c", "write", "-c", "quit!", "a.py")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("vim: %v: %s", err, out)
			}
			if options == "backup backupext=.bak backupcopy=no undofile" {
				w.expect("~a.py", "+a.py.bak") // no rule knows this name
			} else {
				w.expect("~a.py")
			}
			w.expectNone()
		})
	}
}

// checkout is a repository with two branches, which differ in so many files.
func checkout(t testing.TB, files int) string {
	dir := bigDir(t)
	git(t, dir, "init", "-q", "-b", "one")
	for i := range files {
		tree(t, dir, fmt.Sprintf("d%d/e%d/f%d.py", i%7, i%50, i))
	}
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "one")
	git(t, dir, "checkout", "-q", "-b", "two")
	sh(t, dir, `find . -name '*.py' -not -path './.git/*' | xargs sed -i s/py/PY/`)
	git(t, dir, "commit", "-qam", "two")
	return dir
}

func TestACheckoutIsOneBatch(t *testing.T) {
	t.Parallel()
	const files = 3000
	dir := checkout(t, files)
	for _, tree := range []Tree{{Debounce: patient}, {Debounce: patient, Poll: 50 * time.Millisecond}} {
		w := watch(t, dir, tree)
		for _, branch := range []string{"one", "two"} {
			git(t, dir, "checkout", "-q", branch)
			b := w.next()
			if b.Count != files || len(b.Changes) != MaxChanges {
				t.Errorf("%s: checkout of %s: %d changes, %d of them named", w.Mode(), branch, b.Count, len(b.Changes))
			}
			w.expectNone()
		}
		w.Close()
	}
}

// An editor that truncates a file and writes it in pieces may be seen at work, but
// its last piece is.
func TestTheLastPieceIsSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, "a.py")
	w := watch(t, dir, Tree{})
	sh(t, dir, "{ for i in 1 2 3 4 5; do echo $i; sleep 0.05; done; } >a.py")
	info, err := os.Stat(filepath.Join(dir, "a.py"))
	must(t, err)
	for w.expect("~a.py").Last.Add(tick).Before(info.ModTime()) {
	}
	w.expectNone()
}
