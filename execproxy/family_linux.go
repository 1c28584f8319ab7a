package execproxy

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A family is the processes of a run as this machine sees them, where the Engine is on
// it: a process that carries the run's token is the run's, whatever the Engine's address
// may stand for, since nobody else knows the token. So are, as in signal.sh, descendants
// of one and all in a session that one leads. (Of another session it may be a guest.)
type family struct {
	token    string
	sessions map[int]bool // remembered after their leaders are gone
}

// A member is a process of a family.
type member struct {
	pid, parent, session int
	state                byte
	start                string // in ticks after the machine's; with pid it names the process
}

func (m member) leads() bool { return m.session == m.pid }

// signalHere does what signal.sh does, where that could not: the container has no shell,
// or no room for another process. left are the PIDs of what can't be ended. The error is
// errNotHere where no such process is to be seen.
func signalHere(ctx context.Context, a ask) (left string, err error) {
	number, ok := a.signal.(syscall.Signal)
	if !ok {
		return "", errNotHere
	}
	if Suspends(a.signal) {
		number = syscall.SIGSTOP
	}
	f := &family{token: a.token, sessions: map[int]bool{}}
	members := f.members()
	for limit := time.Now().Add(beginTime); len(members) == 0; members = f.members() {
		if a.begun || ctx.Err() != nil || time.Now().After(limit) {
			return "", errNotHere
		}
		time.Sleep(10 * time.Millisecond)
	}
	// The Engine starts each command in a session of its own, the first of the run's.
	leader := slices.MinFunc(members, func(a, b member) int { return a.session - b.session }).session
	if err := send(members, number, a.grace > 0); err != nil || a.grace == 0 {
		return "", err
	}
	end := time.Now().Add(a.grace)
	orphaned := end
	for members = f.members(); len(members) > 0; members = f.members() {
		now := time.Now()
		leads := slices.ContainsFunc(members, func(m member) bool { return m.pid == leader })
		switch {
		case now.After(end.Add(killTime)):
			var pids []string
			for _, m := range members {
				pids = append(pids, strconv.Itoa(m.pid))
			}
			return strings.Join(pids, " ") + " of this machine", nil
		case now.After(end):
			_ = send(members, syscall.SIGKILL, true) // what it can't reach is told after killTime
		case !leads && orphaned == end:
			orphaned = now.Add(followTime)
		case !leads && now.After(orphaned):
			_ = send(members, syscall.SIGTERM, true)
			orphaned = end.Add(killTime) // once
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "", nil
}

const (
	// beginTime is how long a command may take to be there after it was started.
	beginTime = 2 * time.Second

	// killTime is how long a process may take to be gone after SIGKILL.
	killTime = 2 * time.Second

	// followTime is how long what a command has left behind may take to follow it by
	// itself.
	followTime = 200 * time.Millisecond
)

// members returns who is alive of the family now.
func (f *family) members() []member {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var all, found []member
	for _, dir := range dirs {
		m, err := readMember(dir)
		if err != nil || m.state == 'Z' || m.state == 'X' {
			continue
		}
		environ, _ := os.ReadFile(dir + "/environ") // not to be read: another user's
		if bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+tokenVariable+"="+f.token+"\x00")) {
			found = append(found, m)
		} else {
			all = append(all, m)
		}
	}
	for _, m := range found {
		f.sessions[m.pid] = f.sessions[m.pid] || m.leads()
	}
	isFound := func(pid int) bool {
		return slices.ContainsFunc(found, func(m member) bool { return m.pid == pid })
	}
	for more := true; more; { // until no process has a parent that was added last
		more = false
		all = slices.DeleteFunc(all, func(m member) bool {
			if !f.sessions[m.session] && !isFound(m.parent) {
				return false
			}
			found = append(found, m)
			f.sessions[m.pid] = f.sessions[m.pid] || m.leads()
			more = true
			return true
		})
	}
	return found
}

// readMember reads what there is about a process in a directory of /proc.
func readMember(dir string) (member, error) {
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return member{}, err
	}
	m := member{}
	if m.pid, err = strconv.Atoi(filepath.Base(dir)); err != nil {
		return m, err
	}
	// After the name, which may hold anything: state, parent, group, session, and as the
	// 20th the start (proc_pid_stat(5)).
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return m, fmt.Errorf("%s/stat: %q", dir, text)
	}
	m.state, m.start = fields[0][0], fields[19]
	if m.parent, err = strconv.Atoi(fields[1]); err != nil {
		return m, err
	}
	m.session, err = strconv.Atoi(fields[3])
	return m, err
}

// send sends a signal to each of the members; with resume, one that is stopped has to go
// on as well. The error is that of a process that this user may not signal.
func send(members []member, sig syscall.Signal, resume bool) (err error) {
	for _, m := range members {
		if failure := m.send(sig); failure != nil {
			err = failure
		} else if resume && m.state == 'T' {
			_ = m.send(syscall.SIGCONT)
		}
	}
	return err
}

// send signals the process that m was read of, and no other that has its number now.
func (m member) send(sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(m.pid, 0)
	switch {
	case err == unix.ESRCH:
		return nil
	case err != nil:
		return err
	}
	defer unix.Close(fd)
	now, err := readMember(fmt.Sprintf("/proc/%d", m.pid))
	if err != nil || now.start != m.start {
		return nil // it has ended
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != unix.ESRCH {
		return err
	}
	return nil
}

// insidePID returns what PID a process of this machine has in its own PID namespace, the
// container's; 0 where there is no such process. Any user may ask.
func insidePID(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, text, _ = bytes.Cut(text, []byte("\nNSpid:"))
	line, _, _ := bytes.Cut(text, []byte("\n"))
	numbers := strings.Fields(string(line)) // one for each namespace, from this one inwards
	if len(numbers) == 0 {
		return 0
	}
	inside, _ := strconv.Atoi(numbers[len(numbers)-1])
	return inside
}
