package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// ^C reaches all that runs in a terminal. It ends toxrun as ever, whatever becomes
// of the program that reads the Compose files meanwhile, and that one too.
func TestInterruptWhileComposeFilesAreRead(t *testing.T) {
	t.Parallel()
	for _, kill := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		cmd := exec.Command(programName, "exec", "true")
		cmd.Dir, cmd.Env = t.TempDir(), environment(t, "unix:///nobody")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		file := filepath.Join(cmd.Dir, "compose.yaml")
		if err := syscall.Mkfifo(file, 0o600); err != nil {
			t.Fatal(err)
		}
		p := start(t, cmd)
		late := enginetest.Deadline(t)
		writer, err := os.OpenFile(file, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		for ; errors.Is(err, syscall.ENXIO) && time.Now().Before(late); time.Sleep(time.Millisecond) { // no reader yet
			writer, err = os.OpenFile(file, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer writer.Close()
		for _, child := range children(t, cmd.Process.Pid) {
			if group, err := syscall.Getpgid(child); err != nil || group == cmd.Process.Pid {
				t.Errorf("^C reaches process %d, too (%v)", child, err)
			}
		}
		if err := syscall.Kill(-cmd.Process.Pid, kill); err != nil {
			t.Fatal(err)
		}
		p.exits(t, 128+int(kill))
		if said := p.err.String(); said != "" {
			t.Errorf("%v: stderr %q", kill, said)
		}
		for err = nil; !errors.Is(err, syscall.EPIPE); _, err = writer.Write([]byte("#\n")) {
			if time.Now().After(late) {
				t.Fatalf("%v: compose.yaml is still being read", kill)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// children are those that a process has, one at least.
func children(t *testing.T, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	for _, list := range lists {
		content, _ := os.ReadFile(list) // a thread may have ended
		for _, number := range strings.Fields(string(content)) {
			child, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
	}
	if len(children) == 0 {
		t.Fatalf("process %d has no children", pid)
	}
	return children
}
