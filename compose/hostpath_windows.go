package compose

import (
	"path/filepath"
	"strings"
)

// hostPaths are the names a mount's source may have on this machine: the
// Engine's own, or with the drive that Docker Desktop shows to its virtual
// machine as a directory.
func hostPaths(source string) []string {
	names := []string{source}
	for _, prefix := range []string{"/run/desktop/mnt/host/", "/host_mnt/", "/"} {
		rest, ok := strings.CutPrefix(source, prefix)
		if drive, rest, _ := strings.Cut(rest, "/"); ok && len(drive) == 1 {
			names = append(names, drive+`:\`+filepath.FromSlash(rest))
		}
	}
	return names
}
