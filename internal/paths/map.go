// Package paths turns paths of one place into those of another where they stand in
// text: in the words of a command line, and in a stream of output. It knows nothing of
// Docker.
package paths

import (
	"net/url"
	"slices"
	"strings"
)

// A Pair is a directory, or file, that is in two places under two names. Both are
// absolute and clean. To is "" where what is below From is in no other place: it keeps
// its name then, also below another Pair's From.
type Pair struct{ From, To string }

// A Map is what a [Writer] looks for, and what it writes instead.
type Map struct {
	plain, inURL []Pair // the longest From first
	needle       []byte // what each From starts with
}

// NewMap returns a Map of these pairs, or nil where they change nothing.
func NewMap(pairs []Pair) *Map {
	m := &Map{}
	changes := false
	for _, p := range pairs {
		if p.From == "/" || p.From == "" {
			continue // each path starts so
		}
		if p.To == "" {
			p.To = p.From
		}
		changes = changes || p.To != p.From
		m.plain = append(m.plain, p)
		m.inURL = append(m.inURL, Pair{escape(p.From), escape(p.To)})
	}
	if !changes {
		return nil
	}
	for _, list := range [][]Pair{m.plain, m.inURL} {
		slices.SortStableFunc(list, func(a, b Pair) int { return len(b.From) - len(a.From) })
	}
	m.needle = []byte(m.plain[0].From)
	for _, p := range slices.Concat(m.plain, m.inURL) {
		common := 0
		for common < min(len(p.From), len(m.needle)) && p.From[common] == m.needle[common] {
			common++
		}
		m.needle = m.needle[:common]
	}
	return m
}

// escape is path as it is written in a file: URL (RFC 8089).
func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// find looks at text, which starts with what may be a path: it gives the pair whose From
// is there as a whole name. With more it can't tell before more has come; with last no
// more comes.
func find(pairs []Pair, text []byte, last bool) (found Pair, more bool) {
	for _, p := range pairs {
		switch {
		case len(text) > len(p.From):
			if string(text[:len(p.From)]) == p.From && endsName(text[len(p.From)]) {
				return p, false
			}
		case last && string(text) == p.From:
			return p, false
		case !last && strings.HasPrefix(p.From, string(text)):
			return Pair{}, true
		}
	}
	return Pair{}, false
}

// endsName tells whether a byte that follows a directory's name is none of the name's.
func endsName(b byte) bool {
	switch {
	case b >= 0x80, 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return false
	}
	return !strings.ContainsRune("_.-+~%@$#", rune(b))
}
