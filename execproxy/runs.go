package execproxy

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed runs.sh
var runsText string

var runsScript = carriersText + runsText

// A RunInfo is a run in a container, as its processes show it.
type RunInfo struct {
	Run     string        // its token: Reap ends it, Start returns it
	PID     int           // of the command in the container, or of the oldest process that it has left
	Args    []string      // of that process; one text, with quotes as for a shell, if Told is set
	Told    bool          // the process has waited, and tells what it has become
	Age     time.Duration // since that process was started
	Client  string        // ClientVariable, as Cmd.Env had it; empty where it can't be known
	Started int           // how many processes have it in their environment
}

// Runs lists the runs in the container of c that the user of c may look at, the oldest
// first; spares that wait are none. It asks the container itself, so that it sees the
// runs of all clients, also of those that are gone.
//
// Anybody in there may have a variable that looks like a run's. What counts is a process
// of the user of c.
//
// The error is a [StartError] where the container has no shell, else one of Run's.
func (c *Cmd) Runs(ctx context.Context) ([]RunInfo, error) {
	var out bytes.Buffer
	look := &Cmd{
		Engine: c.Engine, Container: c.Container, Name: c.Name,
		Args: []string{"sh", "-c", runsScript, "runs.sh"},
		Dir:  "/", User: c.User, Privileged: c.Privileged,
		Stdout: &out, quiet: true,
	}
	err := look.Run(ctx)
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return nil, fmt.Errorf("container %s can't be looked at: exit status %d", cmp.Or(c.Name, short(c.Container)), exit.Code)
	}
	if err != nil {
		return nil, err
	}
	return readRuns(out.String())
}

// A carrier is a process that has a run's token.
type carrier struct {
	stat          string // as /proc has it
	args, environ []string
	own           bool // it is of the user who asks

	pid     int
	name    string // as ps has it
	started int    // in ticks since the machine was started
}

// ticks of /proc are hundredths of a second on every Linux (USER_HZ).
const tick = 10 * time.Millisecond

// readRuns makes sense of what runs.sh has printed.
func readRuns(text string) ([]RunInfo, error) {
	var up string
	var own []string
	carriers := map[string]*carrier{} // by their directories
	for _, record := range strings.Split(text, "\x00") {
		file, text, _ := strings.Cut(record, ":")
		switch file {
		case "up":
			up = text
			continue
		case "own":
			own = strings.Fields(text)
			continue
		}
		dir, name := path.Split(file)
		p := carriers[dir]
		if p == nil {
			p = new(carrier)
			carriers[dir] = p
		}
		switch name {
		case "stat":
			p.stat = text
		case "cmdline":
			p.args = append(p.args, text)
		case "environ":
			p.environ = append(p.environ, text)
		}
	}
	seconds, err := strconv.ParseFloat(up, 64)
	if err != nil {
		return nil, fmt.Errorf("the container's /proc can't be read: %.100q", text)
	}
	runs := map[string][]*carrier{}
	for _, p := range carriers {
		token := p.variable(tokenVariable)
		if token == "" || p.read() != nil {
			continue // it has ended meanwhile
		}
		p.own = slices.Contains(own, strconv.Itoa(p.pid))
		runs[token] = append(runs[token], p)
	}
	var list []RunInfo
	for token, processes := range runs {
		first := slices.MinFunc(processes, func(a, b *carrier) int {
			return cmp.Or(cmp.Compare(a.started, b.started), cmp.Compare(a.pid, b.pid))
		})
		if first.tool() || !slices.ContainsFunc(processes, func(p *carrier) bool { return p.own }) {
			continue
		}
		info := RunInfo{
			Run: token, PID: first.pid, Args: first.args, Started: len(processes),
			Age: max(0, time.Duration(seconds*float64(time.Second))-time.Duration(first.started)*tick),
		}
		for _, p := range processes {
			info.Client = cmp.Or(info.Client, strings.TrimSpace(p.variable(ClientVariable)))
		}
		info.Told = len(first.args) == 1 && strings.HasSuffix(first.variable(ClientVariable), " ")
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b RunInfo) int {
		return cmp.Or(-cmp.Compare(a.Age, b.Age), cmp.Compare(a.PID, b.PID))
	})
	return list, nil
}

// read reads the stat: the PID, the name in brackets, which may hold anything, and from
// there the 20th is the start (proc_pid_stat(5)).
func (p *carrier) read() (err error) {
	open, end := strings.IndexByte(p.stat, '('), strings.LastIndexByte(p.stat, ')')
	if open < 0 || end < open {
		return errors.New("no stat")
	}
	rest := strings.Fields(p.stat[end+1:])
	if len(rest) < 20 || rest[0] == "Z" || rest[0] == "X" {
		return errors.New("it has ended")
	}
	p.name = p.stat[open+1 : end]
	if p.pid, err = strconv.Atoi(strings.TrimSpace(p.stat[:open])); err != nil {
		return err
	}
	p.started, err = strconv.Atoi(rest[19])
	return err
}

func (p *carrier) variable(key string) string {
	for _, assignment := range p.environ {
		if value, ok := strings.CutPrefix(assignment, key+"="); ok {
			return value
		}
	}
	return ""
}

// tool tells whether the process is one of ours: a spare that has not become a command,
// or a script that looks or signals.
func (p *carrier) tool() bool {
	return p.name == spareName ||
		len(p.args) > 2 && slices.Contains(tools(), p.args[2])
}

// tools are the scripts of ours that a shell runs.
var tools = sync.OnceValue(func() []string {
	return []string{
		firstLine + waitScript, firstLine + waitTTYScript, preloadScript + waitScript, preloadScript + waitTTYScript,
		signalScript, runsScript,
	}
})

const (
	// ClientVariable is the variable in Cmd.Env by which a client names itself, in words
	// of its own, for RunInfo.Client.
	ClientVariable = "TOXRUN_CLIENT"

	// spareName is what preload/main.py calls its process while it waits.
	spareName = "toxrun-spare"
)
