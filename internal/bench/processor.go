package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An account is the processor's time that the runs of a group have taken, in seconds: the
// client's and the Engine's, which moves the same bytes for every client. What others
// have the Engine do meanwhile is in it.
type account struct {
	client, engine map[string][]float64 // by key of the contender, one a round
}

// keep has the group keep an account, and say at its end what was in it.
func keep(g *group) *account {
	a := new(account)
	g.begin = func(context.Context) error { // what came before does not count
		a.client, a.engine = map[string][]float64{}, map[string][]float64{}
		return nil
	}
	g.end = func(context.Context) (string, error) {
		var texts []string
		for _, c := range g.contenders {
			texts = append(texts, fmt.Sprintf("%.2f s of the client and %.2f s of the Engine with %s", spreadOf(a.client[c.key]).median, spreadOf(a.engine[c.key]).median, c.name))
		}
		last := g.contenders[len(g.contenders)-1].key
		return fmt.Sprintf("The processor's time, medians: %s. The ratios of the second to the first are %.2f and %.2f.", strings.Join(texts, ", "),
			spreadOf(ratios(a.client[last], a.client[g.base])).median, spreadOf(ratios(a.engine[last], a.engine[g.base])).median), nil
	}
	return a
}

// add adds what one run has taken: the client's time, and the Engine's since before.
func (a *account) add(key string, client, before time.Duration) {
	if a.client == nil {
		return
	}
	a.client[key] = append(a.client[key], client.Seconds())
	a.engine[key] = append(a.engine[key], (engineTime() - before).Seconds())
}

// engineTime is the processor's time that all processes of the Engine have taken so far; 0
// where it can't be seen.
func engineTime() (sum time.Duration) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		name, rest, _ := strings.Cut(string(text), ") ")
		_, name, _ = strings.Cut(name, "(")
		fields := strings.Fields(rest)
		// The kernel cuts names at 15 bytes: containerd-shim-runc-v2 is one.
		if !slices.Contains([]string{"dockerd", "containerd", "containerd-shim"}, name) || len(fields) < 13 {
			continue
		}
		for _, ticks := range fields[11:13] { // utime and stime (proc_pid_stat(5))
			var n int64
			_, _ = fmt.Sscan(ticks, &n)
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}
