package main

import (
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// elsewhere calls f, whose processes and sockets are in a network of their own: a machine
// with the loopback addresses and 10.9.8.7.
func elsewhere(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and its thread ends with it
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Errorf("a network of its own: %v", err)
			return
		}
		for _, args := range []string{"link set lo up", "address add 10.9.8.7/32 dev lo"} {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				t.Errorf("ip %s: %v: %s", args, err, out)
				return
			}
		}
		f()
	}()
	<-done
}

// The user is warned once of each address to which everything goes as it is, and of none
// that is this machine's own.
func TestUnencryptedIsToldOnce(t *testing.T) {
	t.Parallel()
	needProgram(t, "ip")
	if unix.Getuid() != 0 {
		needed(t, "only root makes networks")
	}
	e := enginetest.Fake(t, enginetest.Container{})
	env := environment(t, "", "TOXRUN_CONTAINER="+e.Container)
	elsewhere(t, func() {
		listen := func(address string) string {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Error(err)
				return ""
			}
			forward(t, l, func() string { return e.Host })
			return "tcp://" + l.Addr().String()
		}
		run := func(host string, args ...string) string {
			cmd := exec.Command("docker-toxrun", append(append([]string{"-H", host}, args...), "exec", "true")...)
			cmd.Env = env
			p := start(t, cmd)
			p.exits(t, 0)
			return p.err.String()
		}
		one, other, own := listen("10.9.8.7:0"), listen("10.9.8.7:0"), listen("127.0.0.1:0")
		warning := func(host string) string {
			return "toxrun: the connection to " + host + " is not encrypted, and whoever gets at it can run commands there: ssh:// and TLS are safe (this is said once)\n"
		}
		for i, step := range []struct {
			host string
			args []string
			want string
		}{
			{one, []string{"--quiet"}, ""},
			{one, nil, warning(one)}, // not told yet
			{one, nil, ""},
			{other, []string{"--no-cache"}, warning(other)},
			{one, []string{"--no-cache"}, ""},
			{own, nil, ""},
			{strings.Replace(own, "127.0.0.1", "localhost", 1), nil, ""},
		} {
			if said := run(step.host, step.args...); said != step.want {
				t.Errorf("%d: stderr %q, want %q", i, said, step.want)
			}
		}
	})
}
