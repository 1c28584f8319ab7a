//go:build !windows

package compose

import "strings"

// separator is what paths have besides the slash.
const separator = ""

// quote makes one word of s for a POSIX shell: nothing is special between
// single quotes but their end.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
