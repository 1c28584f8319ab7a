package compose

import "strings"

// CommandLine is argv as a person would type it into a shell, with spaces between the
// words and only those quoted that have to be: for a POSIX shell, or on Windows for
// cmd.exe and PowerShell. No words make an empty line.
func CommandLine(argv []string) string {
	words := make([]string, len(argv))
	for i, arg := range argv {
		words[i] = arg
		if arg == "" || strings.ContainsFunc(arg, special) {
			words[i] = quote(arg)
		}
	}
	return strings.Join(words, " ")
}

// special reports whether some shell may take r for more than itself. What is
// not known to be harmless counts: "~", "=" and "!" mean something in one or
// the other shell.
func special(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_./:,@+"+separator, r)
}
