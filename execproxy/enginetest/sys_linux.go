package enginetest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// outputPipe has the room of the two that the real Engine has between a process
// and itself: what is in them is lost when a client reads too late.
func outputPipe() (r, w *os.File, err error) {
	r, w, err = os.Pipe()
	if err == nil {
		// Refused where the user has too many: then there is less room.
		unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 2*64<<10)
	}
	return r, w, err
}

// processes returns every process of the machine.
func processes() ([]Process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, ok := readProcess(pid); ok {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// readProcess reads one from /proc. ok is false if it has gone.
func readProcess(pid int) (p Process, ok bool) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return p, false
	}
	// The name, in parentheses, may contain anything.
	i := bytes.LastIndexByte(stat, ')')
	p = Process{PID: pid}
	if _, err := fmt.Sscanf(string(stat[i+1:]), " %c %d %d %d", &p.state, &p.Parent, &p.Group, &p.Session); err != nil {
		return p, false
	}
	p.Args = readWords(dir + "cmdline")
	p.Env = readWords(dir + "environ")
	return p, true
}

func readWords(file string) []string {
	b, err := os.ReadFile(file)
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}
