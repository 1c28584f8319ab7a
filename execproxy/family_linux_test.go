package execproxy

import (
	"crypto/rand"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// bystander starts a process with a variable, in a session of its own.
func bystander(t *testing.T, variable string) (pid int) {
	t.Helper()
	cmd := exec.Command("sleep", "1000000")
	cmd.Env = []string{variable}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func runs(pid int) bool {
	m, err := readMember("/proc/" + strconv.Itoa(pid))
	return err == nil && m.state != 'Z'
}

// Only who carries the very token is signaled.
func TestNobodyElseIsSignaled(t *testing.T) {
	t.Parallel()
	token := rand.Text()
	for _, env := range []string{
		tokenVariable + "=" + token + "x", tokenVariable + "=" + token[1:], "X" + tokenVariable + "=" + token, tokenVariable + "=",
	} {
		pid := bystander(t, env)
		left, err := signalHere(t.Context(), ask{token: token, signal: syscall.SIGKILL, grace: time.Hour, begun: true})
		if left != "" || err != errNotHere {
			t.Errorf("%s: signalHere() = %q, %v", env, left, err)
		}
		if !runs(pid) {
			t.Errorf("%s: was killed", env)
		}
	}
}

// Of a session that another process leads only the process with the token is signaled.
func TestSessionOfOthersIsLeftAlone(t *testing.T) {
	t.Parallel()
	token := rand.Text()
	cmd := exec.Command("sh", "-c", tokenVariable+"="+token+" sleep 1000000 & echo $!; exec sleep 1000000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	if left, err := signalHere(t.Context(), ask{token: token, signal: syscall.SIGTERM, grace: time.Hour}); left != "" || err != nil {
		t.Errorf("signalHere() = %q, %v", left, err)
	}
	if runs(child) {
		t.Error("the process with the token still runs")
	}
	if !runs(cmd.Process.Pid) {
		t.Error("its session's leader was killed")
	}
}

// A PID that another process has by now is not signaled.
func TestReusedPIDIsNotSignaled(t *testing.T) {
	t.Parallel()
	pid := bystander(t, "A=b")
	m, err := readMember("/proc/" + strconv.Itoa(pid))
	if err != nil {
		t.Fatal(err)
	}
	before := m
	before.start += "0"
	if err := before.send(syscall.SIGKILL); err != nil {
		t.Errorf("send() = %v", err)
	}
	if !runs(pid) {
		t.Fatal("it was killed")
	}
	if err := m.send(syscall.SIGKILL); err != nil {
		t.Errorf("send() = %v", err)
	}
}

// A process has its own PID where there is no other namespace.
func TestInsidePID(t *testing.T) {
	t.Parallel()
	pid := bystander(t, "A=b")
	if got := insidePID(pid); got != pid {
		t.Errorf("insidePID(%d) = %d", pid, got)
	}
	if got := insidePID(0); got != 0 {
		t.Errorf("insidePID(0) = %d", got)
	}
}
