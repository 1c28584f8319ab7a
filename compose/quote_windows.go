package compose

// separator is what paths have besides the slash.
const separator = `\`

// quote makes one word of s for cmd.exe and PowerShell. No file name on
// Windows has a double quote in it.
func quote(s string) string {
	return `"` + s + `"`
}
