package watch

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// limitOf returns the sysctl that err came from, with its value, and what to do.
func limitOf(err error) (limit, hint string) {
	name, enough := "max_user_watches", 524288
	if !errors.Is(err, syscall.ENOSPC) {
		name, enough = "max_user_instances", 512
	}
	value, _ := os.ReadFile("/proc/sys/fs/inotify/" + name)
	limit = "fs.inotify." + name
	if now, err := strconv.Atoi(strings.TrimSpace(string(value))); err == nil {
		limit += fmt.Sprintf(" is %d", now)
		enough = max(enough, 2*now)
	}
	return limit, fmt.Sprintf("sudo sysctl fs.inotify.%s=%d", name, enough)
}
