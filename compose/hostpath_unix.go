//go:build !windows

package compose

import "strings"

// hostPaths are the names a mount's source may have on this machine: the
// Engine's own; without the directory under which Docker Desktop shows the
// host to its virtual machine; and where WSL has the drives of Windows.
func hostPaths(source string) []string {
	names := []string{source}
	if rest, ok := strings.CutPrefix(source, "/host_mnt/"); ok {
		names = append(names, "/"+rest)
	}
	if rest, ok := strings.CutPrefix(source, "/run/desktop/mnt/host/"); ok {
		names = append(names, "/mnt/"+rest, "/"+rest)
	}
	return names
}
