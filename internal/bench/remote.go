package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// delay is how much later arrives what the other machine sends, and so a round trip.
const delay = 20 * time.Millisecond

// measureRemote measures the shortest command on another machine, which is reached by ssh.
func (b *bench) measureRemote(ctx context.Context) ([]*result, error) {
	p, err := b.up(ctx, service("tests", "busybox")+"    x-toxrun: {command: [\"true\"]}\n")
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	m, err := b.machine(ctx)
	defer m.close()
	if err != nil {
		return nil, err
	}
	warm, err := b.user("warm", m.environ...)
	if err != nil {
		return nil, err
	}
	standby, err := p.standby(false)
	if err != nil {
		return nil, err
	}
	standby.user = append(standby.user, m.environ...)
	g := &group{
		title: "`true` over ssh", unit: "ms", variant: "state", rounds: b.pick(20, 5), base: "docker exec",
		text: fmt.Sprintf("The other machine is an sshd before the same Engine; what it sends arrives %v later. "+
			"*Two round trips* are those of a byte that is sent back, and 15 ms.", delay),
		promises: []promise{
			{"standby `docker-toxrun exec -n true` over ssh to `docker -H ssh:// exec ID true`", "standby", "docker exec", 0.2},
			{"the same to two round trips and 15 ms", "standby", "trips", 1},
		},
		contenders: []contender{
			{key: "trips", name: "two round trips and 15 ms", run: m.trips},
			{key: "docker exec", name: "`docker -H ssh://HOST exec ID true`", run: p.command(warm, "docker", "exec", p.container, "true").writes("")},
			{key: "warm", name: "`docker-toxrun exec -n true`", variant: "warm", run: p.command(warm, "docker-toxrun", "exec", "-n", "true").writes("")},
			{key: "standby", name: "`docker-toxrun exec -n true`", variant: "standby", before: standby.readyAgain, run: p.command(standby.user, "docker-toxrun", "exec", "-n", "true").writes("")},
		},
	}
	mustWake(g, waking{standby, 1})
	r, err := b.measure(ctx, g)
	if err == nil { // before ssh has nowhere to go
		_, err = p.command(standby.user, "docker-toxrun", "standby", "stop").output(ctx)
	}
	return []*result{r}, err
}

// A machine is an sshd of its own, which what this machine sends reaches at once, and whose
// answers take delay.
type machine struct {
	environ []string // of those who reach its Engine
	echo    net.Conn // to a program there that says what it is told
	closers []func()
}

// machine makes one. It is also to be closed where it is not whole.
func (b *bench) machine(ctx context.Context) (*machine, error) {
	m := new(machine)
	dir := filepath.Join(b.tmp, "machine")
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		return m, err
	}
	me, err := osuser.Current()
	if err != nil {
		return m, err
	}
	docker, err := exec.LookPath("docker")
	if err != nil {
		return m, err
	}
	here, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free
	if err != nil {
		return m, err
	}
	sshd := here.Addr().(*net.TCPAddr)
	here.Close()
	port, err := m.far(sshd.String())
	if err != nil {
		return m, err
	}
	for _, name := range []string{"host", "user"} {
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			return m, fmt.Errorf("ssh-keygen: %w\n%s", err, out)
		}
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		return m, err
	}
	key, err := os.ReadFile(filepath.Join(dir, "user.pub"))
	if err != nil {
		return m, err
	}
	for name, text := range map[string]string{
		"authorized": string(key),
		"known":      fmt.Sprintf("[127.0.0.1]:%d %s", port, host),
		"bin/ssh":    fmt.Sprintf("#!/bin/sh\nexec /usr/bin/ssh -o UserKnownHostsFile=%s/known -o IdentityFile=%[1]s/user -o IdentitiesOnly=yes -o BatchMode=yes \"$@\"\n", dir),
		"config": fmt.Sprintf("ListenAddress 127.0.0.1\nPort %d\nHostKey %s/host\nAuthorizedKeysFile %[2]s/authorized\nPidFile none\nStrictModes no\nUsePAM no\n"+
			"PasswordAuthentication no\nPermitRootLogin prohibit-password\nSetEnv DOCKER_HOST=unix://%[3]s PATH=%[4]s:/usr/bin:/bin\n", sshd.Port, dir, b.socket, filepath.Dir(docker)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			return m, err
		}
	}
	if me.Uid == "0" { // where sshd, as root, takes its privileges off
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return m, err
		}
	}
	m.environ = []string{fmt.Sprintf("DOCKER_HOST=ssh://%s@127.0.0.1:%d", me.Username, port), "PATH=" + dir + "/bin:" + os.Getenv("PATH")}
	if err := m.serve(exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "config"))); err != nil {
		return m, err
	}
	return m, m.listen()
}

// serve starts an sshd, and waits until it listens.
func (m *machine) serve(sshd *exec.Cmd) error {
	said, err := sshd.StderrPipe()
	if err != nil {
		return err
	}
	if err := sshd.Start(); err != nil {
		return err
	}
	m.closers = append(m.closers, func() {
		sshd.Process.Signal(syscall.SIGTERM)
		sshd.Wait()
	})
	var log bytes.Buffer
	for line := make([]byte, 1024); !strings.Contains(log.String(), "listening"); {
		n, err := said.Read(line)
		if log.Write(line[:n]); err != nil {
			return fmt.Errorf("sshd: %w\n%s", err, log.String())
		}
	}
	go io.Copy(io.Discard, said)
	return nil
}

// listen connects to a program on the machine that says what it is told.
func (m *machine) listen() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		defer l.Close()
		if conn, err := l.Accept(); err == nil {
			io.Copy(conn, conn)
			conn.Close()
		}
	}()
	port, err := m.far(l.Addr().String())
	if err == nil {
		m.echo, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	}
	if err != nil {
		l.Close()
		return err
	}
	m.closers = append(m.closers, func() { m.echo.Close() })
	return nil
}

// far is a port of this machine that leads to address, with the delay.
func (m *machine) far(address string) (port int, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	m.closers = append(m.closers, func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				far, err := net.Dial("tcp", address)
				if err != nil {
					return
				}
				defer far.Close()
				go func() {
					io.Copy(far, near)
					far.(*net.TCPConn).CloseWrite()
				}()
				late(near, far)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// late copies from to to, each byte as much later as the delay.
func late(to io.Writer, from io.Reader) {
	type piece struct {
		data []byte
		due  time.Time
	}
	pieces := make(chan piece, 1<<10)
	go func() {
		defer close(pieces)
		for {
			data := make([]byte, 32<<10)
			n, err := from.Read(data)
			if n > 0 {
				pieces <- piece{data[:n], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	for range pieces { // until the other side has ended, too
	}
}

// close ends the sshd and its connections.
func (m *machine) close() {
	for _, f := range slices.Backward(m.closers) {
		f()
	}
}

// trips is the time of two round trips, and 15 ms.
func (m *machine) trips(context.Context) (float64, error) {
	begin := time.Now()
	for range 2 {
		if _, err := m.echo.Write([]byte{0}); err != nil {
			return 0, err
		}
		if _, err := m.echo.Read(make([]byte, 1)); err != nil {
			return 0, err
		}
	}
	return milliseconds(time.Since(begin)) + 15, nil
}
