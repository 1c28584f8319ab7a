//go:build !windows

package compose

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// separator is what paths have besides the slash.
const separator = ""

// quote makes one word of s for a POSIX shell: nothing is special between
// single quotes but their end. What a terminal would not show is left to printf,
// in octal, but in a word that ends in a line feed, which a shell would drop there.
func quote(s string) string {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	if (strings.ContainsFunc(s, hidden) || !utf8.ValidString(s)) && !strings.HasSuffix(s, "\n") {
		var b strings.Builder
		for len(s) > 0 {
			r, size := utf8.DecodeRuneInString(s)
			if hidden(r) || r == utf8.RuneError || strings.ContainsRune(`'\%-`, r) {
				for _, c := range []byte(s[:size]) {
					fmt.Fprintf(&b, `\%03o`, c)
				}
			} else {
				b.WriteRune(r)
			}
			s = s[size:]
		}
		return `"$(printf '` + b.String() + `')"`
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
