package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/atomicwriter"

	"github.com/toxrun/docker-toxrun/internal/lanes"
)

// durations are how long the jobs of a command took the last time. They are kept for the
// next deal; where they can't be kept nothing is lost but its order.
type durations struct {
	file         string // empty: nowhere
	Milliseconds map[string]int64
}

// openDurations reads those of the plan's project, service and command, in whichever
// engine they were: what takes longer takes longer there, too.
func openDurations(p plan) *durations {
	d := &durations{Milliseconds: map[string]int64{}}
	dir, err := cacheDir()
	if err != nil {
		return d
	}
	t := p.targets[0]
	sum := sha256.Sum256([]byte(strings.Join([]string{t.Project, t.Service, t.ProjectDir, p.what.args(t.Config)[0]}, "\x00")))
	// Finder removes what ends so when it is a month old.
	d.file = filepath.Join(dir, "durations-"+hex.EncodeToString(sum[:16])+".json")
	if text, err := os.ReadFile(d.file); err == nil && (json.Unmarshal(text, &d.Milliseconds) != nil || d.Milliseconds == nil) {
		d.Milliseconds = map[string]int64{} // damaged
	}
	return d
}

func (d *durations) last(job string) time.Duration {
	return time.Duration(d.Milliseconds[job]) * time.Millisecond
}

// keep keeps those of jobs that have ended by themselves: not by --timeout or a signal,
// as --fail-fast and ^C send it.
func (d *durations) keep(outcomes []lanes.Outcome) {
	if d.file == "" {
		return
	}
	for _, o := range outcomes {
		if o.State == lanes.Ended && o.Status < statusTimeout {
			d.Milliseconds[o.Job] = max(1, o.Took.Milliseconds())
		}
	}
	text, err := json.Marshal(d.Milliseconds)
	if err != nil || os.MkdirAll(filepath.Dir(d.file), 0o700) != nil {
		return
	}
	_ = atomicwriter.WriteFile(d.file, text, 0o600)
}
