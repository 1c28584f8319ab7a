package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clientName is this process as a command's environment has it: USER@HOST PID START TIME,
// where START tells it from another process with its number, as far as that is known, and
// TIME, in seconds since 1970, is when it began the run.
func clientName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return fmt.Sprintf("%s@%s %d %s %d", userName(), host, os.Getpid(), startOf(os.Getpid()), time.Now().Unix())
}

// A starter is the client that has started a run.
type starter struct {
	user, host string
	pid        int
	start      string
	began      time.Time // the run; zero where it is not known
}

func parseClient(name string) starter {
	who, process, _ := strings.Cut(name, " ")
	var c starter
	c.user, c.host, _ = strings.Cut(who, "@")
	pid, start, _ := strings.Cut(process, " ")
	c.pid, _ = strconv.Atoi(pid)
	c.start, start, _ = strings.Cut(start, " ")
	if seconds, err := strconv.ParseInt(start, 10, 64); err == nil {
		c.began = time.Unix(seconds, 0)
	}
	return c
}

func (c starter) String() string {
	if c.user == "" {
		return ""
	}
	return c.user + "@" + c.host
}

// state tells whether the client is alive, orphaned where it is not: then nobody waits
// for the run. Of a client elsewhere it is not known, and empty.
func (c starter) state() string {
	if !c.here() {
		return ""
	}
	if startOf(c.pid) == c.start && c.start != "" {
		return "alive"
	}
	return "orphaned"
}

// here tells whether it is one of this machine's.
func (c starter) here() bool {
	here, err := os.Hostname()
	return err == nil && here == c.host && c.pid > 0
}

// age is that of the run, whose process is so old: it may have waited for it. The clock of
// another machine may be another one.
func (c starter) age(process time.Duration) time.Duration {
	if c.began.IsZero() || !c.here() {
		return process
	}
	return min(process, max(0, time.Since(c.began)))
}
