package paths

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// Words finds the paths in the words of a command line: those that name a file or a
// directory of this machine. A word is a path as a whole, or what is behind the = of
// --option=PATH or KEY=PATH, behind a short option's letter (-cPATH), or behind an @
// (@PATH, a file of arguments). A path may have ::NAME or :LINE[:COLUMN] behind it. A
// relative one has a slash in it, but with Bare: a word without one may mean anything.
type Words struct {
	// Dir is where relative paths start, absolute.
	Dir string

	// Bare says that a word without a slash is a path, too, where it is the whole name of a
	// file, not a directory, and not the value of an option.
	Bare bool

	// Translate gives what is put in a path's place, "" to leave it. name is as it
	// stands in the word; path is absolute and clean. An absolute one may name a file that
	// is not there, in a directory that is, where it is the value of an option: the command
	// may be about to make it.
	Translate func(name, path string) string
}

// Args is args with the paths in it translated. Nothing else changes, to the byte.
func (w Words) Args(args []string) []string {
	translated := make([]string, len(args))
	for i, arg := range args {
		value := i > 0 && strings.HasPrefix(args[i-1], "-") && !strings.Contains(args[i-1], "=") && args[i-1] != "--"
		translated[i] = w.word(arg, value)
	}
	return translated
}

// shortOption is an option of one letter with its value behind it.
var shortOption = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^-[a-zA-Z]/`) })

// word translates one word. value says that it stands behind an option.
func (w Words) word(word string, value bool) string {
	if w.Bare && !value && !strings.ContainsAny(word, "/\x00") && word != "" {
		if info, err := os.Stat(filepath.Join(w.Dir, word)); err == nil && info.Mode().IsRegular() {
			if to := w.file(word); to != "" {
				return to
			}
		}
	}
	if to := w.path(word, value); to != "" {
		return to
	}
	at := strings.IndexByte(word, '=') + 1
	switch {
	case at > 0 && !strings.ContainsAny(word[:at], "/ \t\n"):
	case shortOption().MatchString(word):
		at = 2
	case strings.HasPrefix(word, "@"):
		at = 1
	default:
		return word
	}
	if to := w.path(word[at:], word[0] == '-'); to != "" {
		return word[:at] + to
	}
	return word
}

// position is what may follow a file's name.
var position = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`::.*$|:[0-9]+(:[0-9]+)?:?$`) })

// path translates a path with what may follow it; "" where it is none.
func (w Words) path(text string, value bool) string {
	if !strings.Contains(text, "/") || strings.ContainsRune(text, 0) {
		return ""
	}
	if to := w.file(text); to != "" {
		return to
	}
	if at := position().FindStringIndex(text); at != nil {
		if to := w.file(text[:at[0]]); to != "" {
			return to + text[at[0]:]
		}
	}
	if !value || !filepath.IsAbs(text) || strings.HasSuffix(text, "/") {
		return ""
	}
	if _, err := os.Lstat(text); err == nil {
		return "" // and is to be left alone
	}
	if dir, err := os.Stat(filepath.Dir(text)); err != nil || !dir.IsDir() {
		return ""
	}
	return w.Translate(text, filepath.Clean(text))
}

// file translates the name of a file that is there.
func (w Words) file(name string) string {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	to := w.Translate(name, filepath.Clean(path))
	if to != "" && strings.HasSuffix(name, "/") && !strings.HasSuffix(to, "/") {
		to += "/"
	}
	return to
}
