//go:build unix && !linux

package enginetest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

func outputPipe() (r, w *os.File, err error) { return os.Pipe() }

// processes returns every process of the machine. ps does not keep words and
// variables apart: they are all in Args and in Env, cut at spaces.
func processes() ([]Process, error) {
	out, err := exec.Command("ps", "-A", "-E", "-ww", "-o", "pid=,ppid=,pgid=,state=,command=").Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	var all []Process
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		var p Process
		if _, err := fmt.Sscan(strings.Join(f[:3], " "), &p.PID, &p.Parent, &p.Group); err != nil {
			continue
		}
		p.Session, _ = unix.Getsid(p.PID)
		p.state = f[3][0]
		p.Args, p.Env = f[4:], f[4:]
		all = append(all, p)
	}
	return all, nil
}
