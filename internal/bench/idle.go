package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	// quiet is longer than a keeper takes to make its next spare, 60 to 100 ms.
	quiet = 120 * time.Millisecond

	// After that the processors have to be idle for a window, of so many of the
	// kernel's ticks that one of them is no majority.
	window = 50 * time.Millisecond

	// longest is when it goes on all the same: the machine has something else to do.
	longest = 400 * time.Millisecond
)

// idle waits until nothing is left to do of what has run.
func idle(ctx context.Context) error {
	if err := sleep(ctx, quiet); err != nil {
		return err
	}
	for end := time.Now().Add(longest); time.Now().Before(end); {
		before, known := readTicks()
		if err := sleep(ctx, window); err != nil {
			return err
		}
		if after, _ := readTicks(); !known || after.busy-before.busy <= (after.all-before.all)/4 {
			return nil
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ticks are what the processors have spent since the start of the machine.
type ticks struct{ busy, all int }

// readTicks knows them on Linux only.
func readTicks() (t ticks, known bool) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t, false
	}
	return parseTicks(string(stat))
}

// parseTicks takes them from the first line of proc_stat(5).
func parseTicks(stat string) (t ticks, ok bool) {
	line, _, _ := strings.Cut(stat, "\n")
	var user, nice, system, idle, iowait, irq, softirq, steal int
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return t, false
	}
	t.busy = user + nice + system + irq + softirq + steal
	t.all = t.busy + idle + iowait
	return t, true
}
