package watch

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// repository returns the top directory of the git repository that dir is in, dir
// itself where it is in none.
func repository(dir string) string {
	for top := dir; ; {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			return top
		}
		up := filepath.Dir(top)
		if up == top {
			return dir
		}
		top = up
	}
}

// gitDir returns the git directory of the working tree whose top is dir, "" where
// there is none. In a linked working tree, .git is a file that names it.
func gitDir(dir string) string {
	git := filepath.Join(dir, ".git")
	info, err := os.Stat(git)
	if err != nil || info.IsDir() {
		if err != nil {
			return ""
		}
		return git
	}
	text, err := os.ReadFile(git)
	to, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
	if err != nil || !ok {
		return ""
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(dir, to)
	}
	return to
}

// busy reports that git is changing the working tree: it holds the lock of its index
// for as long. One that a crash has left behind counts no longer than a burst.
func (v *view) busy() bool {
	for _, git := range v.git {
		info, err := os.Stat(filepath.Join(git, "index.lock"))
		if err == nil && time.Since(info.ModTime()) < maxBurst {
			return true
		}
	}
	return false
}
