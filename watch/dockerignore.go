package watch

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// A dockerignore is the project's .dockerignore file. nil ignores nothing.
type dockerignore struct {
	dir     string
	matcher *patternmatcher.PatternMatcher
}

// readDockerignore reads dir's .dockerignore, nil where it has none or one that
// docker would not take either.
func readDockerignore(dir string) *dockerignore {
	path := filepath.Join(dir, dockerignoreName)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	lines, err := ignorefile.ReadAll(file)
	if err != nil || len(lines) == 0 {
		return nil
	}
	matcher, err := patternmatcher.New(lines)
	if err != nil {
		return nil
	}
	return &dockerignore{dir: dir, matcher: matcher}
}

// ignores reports whether path is ignored. A directory is not while something in
// it may be an exception: unlike git, docker has those in ignored directories.
func (d *dockerignore) ignores(path string, dir bool) bool {
	if d == nil || !below(d.dir, path) {
		return false
	}
	path = relative(d.dir, path)
	if ignored, err := d.matcher.MatchesOrParentMatches(path); err != nil || !ignored {
		return false
	}
	return !dir || !d.excepts(path+"/")
}

// excepts reports whether an exception may match something below dir, which ends
// in a slash.
func (d *dockerignore) excepts(dir string) bool {
	for _, p := range d.matcher.Patterns() {
		if !p.Exclusion() {
			continue
		}
		fixed := filepath.ToSlash(p.String())
		if i := strings.IndexAny(fixed, `*?[\`); i >= 0 {
			fixed = fixed[:i]
		}
		if strings.HasPrefix(fixed, dir) || strings.HasPrefix(dir, fixed) {
			return true
		}
	}
	return false
}
