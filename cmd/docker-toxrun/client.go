package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// clientName is this process as a command's environment has it: USER@HOST PID START,
// where START tells it from another process with its number, as far as that is known.
func clientName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return fmt.Sprintf("%s@%s %d %s", userName(), host, os.Getpid(), startOf(os.Getpid()))
}

// A starter is the client that has started a run.
type starter struct {
	user, host string
	pid        int
	start      string
}

func parseClient(name string) starter {
	who, process, _ := strings.Cut(name, " ")
	var c starter
	c.user, c.host, _ = strings.Cut(who, "@")
	pid, start, _ := strings.Cut(process, " ")
	c.pid, _ = strconv.Atoi(pid)
	c.start = start
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
	if here, err := os.Hostname(); err != nil || here != c.host || c.pid <= 0 {
		return ""
	}
	if startOf(c.pid) == c.start && c.start != "" {
		return "alive"
	}
	return "orphaned"
}
