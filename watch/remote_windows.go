package watch

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// remote returns "smb" if path is on another machine, "" otherwise.
func remote(path string) string {
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(path) + `\`)
	if err == nil && windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "smb"
	}
	return ""
}
