package watch

import (
	"strings"
	"unicode/utf8"
)

// translate turns a glob of git's into one of doublestar's. They differ in braces,
// which git does not know, in what a bracket may hold, in whether a bracket matches
// a slash, and in dir/**, which to doublestar is dir, too. whole says that the glob
// is for a path, where a slash is special; it reports false for a glob that matches
// nothing.
func translate(glob string, whole bool) (string, bool) {
	glob = bytewise(strings.ReplaceAll(glob, `\/`, `/`))
	var b strings.Builder
	for i := 0; i < len(glob); {
		switch c := glob[i]; c {
		case '*':
			end := i
			for end < len(glob) && glob[end] == '*' {
				end++
			}
			switch elements := end-i > 1 && whole && (i == 0 || glob[i-1] == '/'); {
			case elements && end == len(glob):
				b.WriteString("**/*") // something in it, at any depth
			case elements && glob[end] == '/':
				b.WriteString("**")
			default:
				b.WriteByte('*')
			}
			i = end
		case '?':
			b.WriteByte('?')
			i++
		case '[':
			length, ok := bracket(&b, glob[i:])
			if !ok {
				return "", false
			}
			i += length
		case '\\':
			if i+1 == len(glob) {
				return "", false
			}
			b.WriteByte('\\')
			b.WriteByte(glob[i+1])
			i += 2
		case '{', '}':
			b.WriteByte('\\')
			b.WriteByte(c)
			i++
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String(), true
}

// bytewise returns s with a character for each byte. Git compares bytes, so that its
// ? is half an é; doublestar compares characters.
func bytewise(s string) string {
	for i := range len(s) {
		if s[i] < utf8.RuneSelf {
			continue
		}
		runes := make([]rune, len(s))
		for i := range len(s) {
			runes[i] = rune(s[i])
		}
		return string(runes)
	}
	return s
}

// bracket writes the bracket expression that s starts with in doublestar's terms,
// and returns its length in s. It reports false for one that has no end.
func bracket(b *strings.Builder, s string) (length int, ok bool) {
	i := 1
	negated := i < len(s) && (s[i] == '!' || s[i] == '^')
	if negated {
		i++
	}
	var set strings.Builder
	first := true
	for ; ; first = false {
		if i >= len(s) {
			return 0, false
		}
		if s[i] == ']' && !first {
			break
		}
		if name, rest, found := strings.Cut(s[i:], "]"); found && strings.HasPrefix(name, "[:") && strings.HasSuffix(name, ":") && len(name) > 2 {
			class, known := classes[name[2:len(name)-1]]
			if !known {
				return 0, false
			}
			set.WriteString(class)
			i = len(s) - len(rest)
			continue
		}
		low, n := char(s[i:])
		if n == 0 {
			return 0, false
		}
		i += n
		high := low
		if i+1 < len(s) && s[i] == '-' && s[i+1] != ']' {
			high, n = char(s[i+1:])
			if n == 0 {
				return 0, false
			}
			i += 1 + n
		}
		span(&set, low, high)
	}
	switch {
	case negated:
		b.WriteString("[^/" + set.String() + "]") // no bracket matches a slash
	case set.Len() == 0:
		return 0, false // nothing is in it
	default:
		b.WriteString("[" + set.String() + "]")
	}
	return i + 1, true
}

// char returns the character that s starts with, of which a backslash may be part,
// and its length in s, 0 at the end.
func char(s string) (rune, int) {
	escape := 0
	if s != "" && s[0] == '\\' {
		escape = 1
	}
	r, n := utf8.DecodeRuneInString(s[escape:])
	if n == 0 {
		return 0, 0
	}
	return r, escape + n
}

// span writes the characters from low to high, less the slash. Where high comes
// first, git has low.
func span(set *strings.Builder, low, high rune) {
	if low > high {
		high = low
	}
	if low <= '/' && '/' <= high {
		if low < '/' {
			span(set, low, '/'-1)
		}
		if '/' < high {
			span(set, '/'+1, high)
		}
		return
	}
	set.WriteByte('\\')
	set.WriteRune(low)
	if low < high {
		set.WriteString(`-\`)
		set.WriteRune(high)
	}
}

// classes are the character classes of a bracket, [[:digit:]] and so on, which to
// git are those of ASCII.
var classes = map[string]string{
	"alnum":  "0-9A-Za-z",
	"alpha":  "A-Za-z",
	"blank":  " \t",
	"cntrl":  "\x00-\x1f\x7f",
	"digit":  "0-9",
	"graph":  `\!-.0-~`,
	"lower":  "a-z",
	"print":  ` -.0-~`,
	"punct":  "\\!-.:-@\\[-`{-~",
	"space":  " \t\n\v\f\r",
	"upper":  "A-Z",
	"xdigit": "0-9A-Fa-f",
}
