package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// A way is how an Engine is reached: the variables that say so.
type way func(t testing.TB, e enginetest.Target) []string

// Over every way to an Engine the streams are whole, the end of stdin arrives, the
// status comes back and a signal leaves nothing.
func TestEveryWayToTheEngine(t *testing.T) {
	t.Parallel()
	for name, reach := range map[string]way{"unix": overUnix, "tcp": overTCP, "tls": overTLS, "ssh": overSSH} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.Real(t, enginetest.DefaultImage)
			env := reach(t, e)
			command := func(args ...string) *exec.Cmd {
				cmd := in(t, e, append([]string{"docker-toxrun", "exec"}, args...)...)
				cmd.Env = append(cmd.Env, env...)
				return cmd
			}

			cmd := command("sh", "-c", "cat; echo err >&2; exit 7")
			cmd.Stdin = strings.NewReader("hi")
			p := start(t, cmd)
			p.exits(t, 7)
			if out, err := p.out.String(), p.err.String(); out != "hi" || err != "err\n" {
				t.Errorf("stdout %q, stderr %q", out, err)
			}

			data := make([]byte, 100<<20)
			rand.Read(data)
			cmd = command("cat")
			sum := sha256.New()
			cmd.Stdin, cmd.Stdout = bytes.NewReader(data), sum
			p = start(t, cmd)
			p.exits(t, 0)
			if want := sha256.Sum256(data); !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Error("what comes back from cat is not what went in")
			}

			token := number()
			cmd = command("sh", "-c", family, "sh", token)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			p = start(t, cmd)
			p.out.expect(t, "ready\n")
			e.Sleeps(t, token, 5)
			syscall.Kill(-p.Process.Pid, syscall.SIGINT) // as ^C does: an ssh must not die of it
			p.out.expect(t, "trapped\n")
			p.exits(t, 3)
			nothingLeft(t, e, token)

			token = number()
			start(t, command("--timeout", "1s", "sleep", token)).exits(t, 124)
			nothingLeft(t, e, token)

			screen := openScreen(t)
			screen.start(t, command("sh", "-c", "stty size; exit 4")).exits(t, 4)
			screen.end()
			if shown := screen.out.String(); shown != "40 120\r\n" {
				t.Errorf("at a terminal %q", shown)
			}
		})
	}
}

// Over every way to an Engine the container is remembered, and a watch runs again.
func TestWatchByEveryWay(t *testing.T) {
	t.Parallel()
	for name, reach := range map[string]way{"tcp": overTCP, "tls": overTLS, "ssh": overSSH} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "echo begun; cat a.py; exec sleep 1$0", true)
			b.env = append(b.env, reach(t, b.Target)...)
			b.put("a.py", "one\n")
			w := b.watch()
			w.expect("run-started")
			w.err.expect(t, "begun\none\n")
			b.put("a.py", "two\n")
			w.expect("changed a.py", "run-ended canceled", "run-started")
			w.err.expect(t, "begun\ntwo\n")
			w.interrupt(130)
			nothingLeft(t, b.Target, b.token)

			cmd := exec.Command("docker-toxrun", "-v", "exec", "-n", "true")
			cmd.Dir, cmd.Env = b.src, b.env
			p := start(t, cmd)
			p.exits(t, 0)
			if said := p.err.String(); !strings.Contains(said, "from the cache") {
				t.Errorf("stderr %q", said)
			}
		})
	}
}

func overUnix(t testing.TB, e enginetest.Target) []string { return nil }

func overTCP(t testing.TB, e enginetest.Target) []string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	forward(t, l, func() string { return e.Host })
	return []string{"DOCKER_HOST=tcp://" + l.Addr().String()}
}

// switchable is an address with one of the hosts behind it: that of the last turn.
func switchable(t testing.TB, hosts ...string) (address string, turn func(int)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var current atomic.Int32
	forward(t, l, func() string { return hosts[current.Load()] })
	return l.Addr().String(), func(i int) { current.Store(int32(i)) }
}

// forward takes connections to the unix socket of host, and the end of what is
// sent on each side to the other.
func forward(t testing.TB, l net.Listener, host func() string) {
	t.Helper()
	if !strings.HasPrefix(host(), "unix://") {
		needed(t, "the Engine is at %s, not at a unix socket", host())
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer from.Close()
				to, err := net.Dial("unix", strings.TrimPrefix(host(), "unix://"))
				if err != nil {
					return
				}
				defer to.Close()
				var halves sync.WaitGroup
				halves.Go(func() { half(to, from) })
				halves.Go(func() { half(from, to) })
				halves.Wait()
			})
		}
	})
	t.Cleanup(func() { l.Close() }) // the connections end with those who hold them
}

func half(to, from net.Conn) {
	io.Copy(to, from)
	to.(interface{ CloseWrite() error }).CloseWrite()
}
