package enginetest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Process is a process of the machine. Zombies are none.
type Process struct {
	PID, Parent, Group, Session int

	// Args and Env are empty where they can't be read.
	Args []string
	Env  []string

	state byte // as ps shows it: R, S, T, Z
}

// Contains tells whether token is in a word of the command line or in a variable.
func (p Process) Contains(token string) bool {
	has := func(s string) bool { return strings.Contains(s, token) }
	return slices.ContainsFunc(p.Args, has) || slices.ContainsFunc(p.Env, has)
}

// members returns the processes of a container that live.
func (b *box) members() ([]Process, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	at := make(map[int]Process, len(all))
	for _, p := range all {
		at[p.PID] = p
	}

	// A session's ID is the process ID of its leader and stays taken while the
	// session has members. Where a process has that ID though ours is gone,
	// the ID is a stranger's.
	sessions := make(map[int]bool)
	b.engine.mu.Lock()
	for _, x := range b.leaders {
		if _, exists := at[x.pid]; !exists || !x.reaped {
			sessions[x.pid] = true
		}
	}
	b.engine.mu.Unlock()

	ours := make(map[int]bool)
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !ours[p.PID] && (ours[p.Parent] || sessions[p.Session] || slices.Contains(p.Env, marker+"="+b.id)) {
				ours[p.PID] = true
				grown = true
			}
		}
	}
	return slices.DeleteFunc(all, func(p Process) bool { return !ours[p.PID] || p.state == 'Z' }), nil
}

// kill ends every process of the container.
func (b *box) kill() error {
	if b.Simulated != nil {
		b.killSimulated()
		return nil
	}
	return b.until("die", func(list []Process) bool {
		for _, p := range list {
			killProcess(p.PID)
		}
		return len(list) == 0
	})
}

// freeze stops every process of the container, thaw lets them go on.
func (b *box) freeze() error {
	stopped := func(p Process) bool { return p.state == 'T' }
	tries, calm := 0, 0
	return b.until("stop", func(list []Process) bool {
		running := slices.DeleteFunc(slices.Clone(list), stopped)
		for _, p := range running {
			stopProcess(p.PID)
		}
		// A parent that waits for a stopped child in vfork does not stop
		// itself: let the child get on a little.
		if tries++; len(running) > 0 && tries%20 == 0 {
			for _, p := range list {
				continueProcess(p.PID)
			}
		}
		// Of what starts during a look at the processes, the next one tells.
		if calm++; len(running) > 0 {
			calm = 0
		}
		return calm == 2
	})
}

func (b *box) thaw() error {
	return b.until("go on", func(list []Process) bool {
		n := 0
		for _, p := range list {
			if p.state == 'T' {
				continueProcess(p.PID)
				n++
			}
		}
		return n == 0
	})
}

// until calls f with the container's processes until it returns true: while it
// looks at them, they may have children.
func (b *box) until(what string, f func([]Process) bool) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		list, err := b.members()
		if err != nil || f(list) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("container %s: processes do not %s: %v", b.Name, what, list)
		}
	}
}
