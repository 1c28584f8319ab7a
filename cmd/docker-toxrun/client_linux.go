package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// startOf is when a process of this machine was started, in ticks since the machine was,
// or empty where there is none.
func startOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The 20th after the name, which may hold anything (proc_pid_stat(5)).
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}
