package load

// home is the variable that os.UserHomeDir, and so "~" in a path, comes from.
const home = "USERPROFILE"
