package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"
	"github.com/moby/sys/atomicwriter"

	"github.com/toxrun/docker-toxrun/compose"
)

// A history is what has been typed in a service's shells, on this machine, so that it is
// there when their container is not. A shell gets a copy of it, and what it has added is
// kept at its end.
type history struct {
	file   string // where it is kept
	copy   string // the shell's, in a directory of its own
	before []byte // the copy, at first
}

// historyLines is how many lines a shell is given, and keeps. Twice as many are kept until
// the older ones are dropped.
const historyLines = 10_000

// openHistory opens the history of a target's service, which may be empty.
func openHistory(t *compose.Target) (*history, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(home, ".local", "state")
	}
	dir = filepath.Join(dir, programName, "history")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	h := &history{file: filepath.Join(dir, t.Project+"."+t.Service)} // no project has a dot in its name
	text, err := os.ReadFile(h.file)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	h.before = lastLines(text, historyLines)
	temp, err := os.MkdirTemp("", "docker-toxrun-history-*")
	if err != nil {
		return nil, err
	}
	h.copy = filepath.Join(temp, "history")
	if err := os.WriteFile(h.copy, h.before, 0o600); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *history) close() { os.RemoveAll(filepath.Dir(h.copy)) }

// environment has a shell use a file for its history: bash, zsh and busybox's.
func (h *history) environment(file string) []string {
	lines := fmt.Sprint(historyLines)
	return []string{"HISTFILE=" + file, "HISTSIZE=" + lines, "HISTFILESIZE=" + lines, "SAVEHIST=" + lines}
}

// keep keeps what the shell has added to its copy. Other shells may do so at the same time.
func (h *history) keep() error {
	now, err := os.ReadFile(h.copy)
	if err != nil {
		return err
	}
	added := addedLines(h.before, now)
	if len(added) == 0 {
		return nil
	}
	lock := flock.New(h.file + ".lock")
	if err := lock.Lock(); err != nil {
		return err
	}
	defer lock.Unlock()
	text, err := os.ReadFile(h.file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	text = append(text, added...)
	if bytes.Count(text, []byte("\n")) > 2*historyLines {
		text = lastLines(text, historyLines)
	}
	return atomicwriter.WriteFile(h.file, text, 0o600)
}

// lastLines is the last n lines of text.
func lastLines(text []byte, n int) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if last := len(lines) - 1; len(lines[last]) == 0 {
		lines = lines[:last]
	}
	return bytes.Join(lines[max(0, len(lines)-n):], nil)
}

// addedLines is what now has more than before. A shell writes its whole history at its end
// and may have dropped lines at its begin: what before ends with is what now begins with.
func addedLines(before, now []byte) []byte {
	if len(now) > 0 && now[len(now)-1] != '\n' {
		now = append(now[:len(now):len(now)], '\n')
	}
	old, lines := strings.SplitAfter(string(before), "\n"), strings.SplitAfter(string(now), "\n")
	old, lines = old[:len(old)-1], lines[:len(lines)-1]
	for drop := max(0, len(old)-len(lines)); drop < len(old); drop++ {
		if common := len(old) - drop; slices.Equal(old[drop:], lines[:common]) {
			return []byte(strings.Join(lines[common:], ""))
		}
	}
	return []byte(strings.Join(lines, ""))
}
