package watch

import (
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// A pattern is one line of a .gitignore file, as gitignore(5) has it. Whether a
// name matches a glob is doublestar's answer; what the line means is git's.
type pattern struct {
	glob    string // in doublestar's syntax, unless fixed or tail
	negated bool   // what matches is not ignored
	dirs    bool   // only directories match
	whole   bool   // the whole path is matched, not its last element
	fixed   bool   // glob is a name, not a pattern: most lines are
	tail    bool   // glob is what the name ends with, as in *.pyc
}

// parsePatterns takes the text of a .gitignore file apart. There are no errors:
// a line that git can't make sense of matches nothing.
func parsePatterns(text string) []pattern {
	var patterns []pattern
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if p, ok := parsePattern(line); ok {
			patterns = append(patterns, p)
		}
	}
	return patterns
}

// parsePattern parses one line that is no comment. It reports false for one that
// matches nothing.
func parsePattern(line string) (pattern, bool) {
	var p pattern
	line = trimSpaces(line)
	line, p.negated = strings.CutPrefix(line, "!")
	line, p.dirs = strings.CutSuffix(line, "/")
	p.whole = strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return p, false
	}
	if !strings.ContainsAny(line, `*?[\`) {
		p.glob, p.fixed = line, true
		return p, true
	}
	if !p.whole && line[0] == '*' && !strings.ContainsAny(line[1:], `*?[\`) {
		p.glob, p.tail = line[1:], true
		return p, true
	}
	var ok bool
	p.glob, ok = translate(line, p.whole)
	return p, ok
}

// trimSpaces cuts the spaces at the end that no backslash protects.
func trimSpaces(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' && i+1 < len(line) {
			i++
		} else if line[i] == ' ' {
			continue
		}
		end = i + 1
	}
	return line[:end]
}

// match reports whether path matches. path is relative to the directory that the
// pattern belongs to, name is its last element.
func (p *pattern) match(path, name string, dir bool) bool {
	if p.dirs && !dir {
		return false
	}
	if p.whole {
		name = path
	}
	switch {
	case p.fixed:
		return name == p.glob
	case p.tail:
		return strings.HasSuffix(name, p.glob)
	}
	return doublestar.MatchUnvalidated(p.glob, bytewise(name))
}

// A verdict is what patterns say of a path.
type verdict int8

const (
	silent  verdict = iota // none of them matches
	ignored                // the last that matches ignores it
	wanted                 // the last that matches is negated
)

// judge asks the patterns about one path, not about the directories it is in.
func judge(patterns []pattern, path, name string, dir bool) verdict {
	for i := len(patterns) - 1; i >= 0; i-- {
		if p := &patterns[i]; p.match(path, name, dir) {
			if p.negated {
				return wanted
			}
			return ignored
		}
	}
	return silent
}
