package watch

import (
	"os"
	"path/filepath"
	"strings"
)

// Names of the files that hold rules.
const (
	gitignoreName    = ".gitignore"
	dockerignoreName = ".dockerignore"
)

// Rules say what is ignored in one directory. They don't change; directories
// without a .gitignore of their own share those of the one they are in.
type rules struct {
	common *common
	outer  *rules    // of the directory above, nil at the top
	dir    string    // what the patterns are relative to
	own    []pattern // of dir's .gitignore
}

// common are the rules of the whole tree.
type common struct {
	base    string    // the project's directory
	user    []pattern // relative to base
	builtin []pattern
	docker  *dockerignore // base's; nil where it has none
	top     string        // the top of the repository, or base
	exclude []pattern     // of its .git/info/exclude
}

// read reads those rules that are in files.
func (c *common) read() {
	c.docker = readDockerignore(c.base)
	c.exclude = readPatterns(filepath.Join(c.top, ".git", "info", "exclude"))
}

// ignores reports whether path, which is in the directory of the rules or below
// and in no ignored one, is ignored itself. The user's patterns come first; then
// .dockerignore; then .gitignore, the innermost first; then what is built in.
func (r *rules) ignores(path string, dir bool) bool {
	c, name := r.common, filepath.Base(path)
	switch judge(c.user, relative(c.base, path), name, dir) {
	case ignored:
		return true
	case wanted:
		return false
	}
	if c.docker.ignores(path, dir) {
		return true
	}
	for ; r != nil; r = r.outer {
		if v := judge(r.own, relative(r.dir, path), name, dir); v != silent {
			return v == ignored
		}
	}
	if v := judge(c.exclude, relative(c.top, path), name, dir); v != silent {
		return v == ignored
	}
	return judge(c.builtin, name, name, dir) == ignored
}

// within returns the rules for dir, one level below: r, unless it has a .gitignore,
// or the user wants what .dockerignore would have had, with all that is in it.
func (r *rules) within(dir string) *rules {
	c := r.common
	if c.docker.ignores(dir, true) && judge(c.user, relative(c.base, dir), filepath.Base(dir), true) == wanted {
		undocked := *c
		undocked.docker = nil
		r = &rules{common: &undocked, outer: r.outer, dir: r.dir, own: r.own}
	}
	if own := readPatterns(filepath.Join(dir, gitignoreName)); len(own) > 0 {
		return &rules{common: r.common, outer: r, dir: dir, own: own}
	}
	return r
}

// readPatterns reads a file of patterns. One that can't be read has none; nor has
// a link, as git does not follow it either.
func readPatterns(path string) []pattern {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return parsePatterns(string(text))
}

// relative returns path as seen from dir, with slashes; all of it where it is not
// below dir.
func relative(dir, path string) string {
	if below(dir, path) {
		path = strings.TrimLeft(path[len(dir):], string(filepath.Separator))
	}
	return filepath.ToSlash(path)
}

// below reports whether path is in dir, at any depth.
func below(dir, path string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && rest != "" && (os.IsPathSeparator(rest[0]) || os.IsPathSeparator(dir[len(dir)-1]))
}

// above returns the directories from top down to the one that dir is in; none
// where dir is not below top.
func above(top, dir string) []string {
	var dirs []string
	for dir != top {
		up := filepath.Dir(dir)
		if up == dir {
			return nil
		}
		dirs = append([]string{up}, dirs...)
		dir = up
	}
	return dirs
}
