package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// delay is how much later arrives what the other machine sends, and so a round trip.
const delay = 20 * time.Millisecond

// measureRemote measures the shortest command on another machine, which is reached by ssh.
func (b *bench) measureRemote(ctx context.Context) (_ []*result, err error) {
	p, err := b.up(ctx, service("tests", "busybox")+"    x-toxrun: {command: [\"true\"]}\n")
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	m, err := b.machine(ctx)
	if m != nil {
		defer func() { err = errors.Join(err, m.close()) }()
	}
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
		text: fmt.Sprintf("The other machine is a network namespace with an sshd, before the same Engine; what it sends arrives %v later. "+
			"*Two round trips* are those of connections to it, made and refused, and 15 ms.", delay),
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

// A machine is a network namespace with an sshd.
type machine struct {
	name    string // of the namespace
	address string
	environ []string // of those who reach its Engine
	sshd    *exec.Cmd
}

// machine makes one, as root. It is also to be closed where it is not whole.
func (b *bench) machine(ctx context.Context) (*machine, error) {
	m := &machine{name: filepath.Base(b.tmp), address: "169.254.213.2"}
	dir := filepath.Join(b.tmp, "machine")
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		return m, err
	}
	docker, err := exec.LookPath("docker")
	if err != nil {
		return m, err
	}
	for _, line := range []string{
		"ip netns add " + m.name,
		"ip link add toxrun-bench type veth peer name far netns " + m.name,
		"ip addr add 169.254.213.1/30 dev toxrun-bench",
		"ip link set toxrun-bench up",
		"ip -n " + m.name + " addr add " + m.address + "/30 dev far",
		"ip -n " + m.name + " link set far up",
		fmt.Sprintf("tc -n %s qdisc add dev far root netem delay %dms", m.name, delay.Milliseconds()),
		"ssh-keygen -q -t ed25519 -N  -f " + dir + "/host",
		"ssh-keygen -q -t ed25519 -N  -f " + dir + "/user",
		"mkdir -p /run/sshd",
	} {
		args := strings.Split(line, " ")
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return m, fmt.Errorf("%s: %w\n%s", line, err, out)
		}
	}
	host, err := os.ReadFile(dir + "/host.pub")
	if err != nil {
		return m, err
	}
	key, err := os.ReadFile(dir + "/user.pub")
	if err != nil {
		return m, err
	}
	for name, text := range map[string]string{
		"authorized": string(key),
		"known":      m.address + " " + string(host),
		"bin/ssh":    fmt.Sprintf("#!/bin/sh\nexec /usr/bin/ssh -o UserKnownHostsFile=%s/known -o IdentityFile=%[1]s/user -o IdentitiesOnly=yes -o BatchMode=yes \"$@\"\n", dir),
		"config": fmt.Sprintf("ListenAddress %s\nHostKey %s/host\nAuthorizedKeysFile %[2]s/authorized\nPidFile none\nStrictModes no\nUsePAM no\n"+
			"PasswordAuthentication no\nPermitRootLogin prohibit-password\nSetEnv DOCKER_HOST=unix://%[3]s PATH=%[4]s:/usr/bin:/bin\n", m.address, dir, b.socket, filepath.Dir(docker)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			return m, err
		}
	}
	m.environ = []string{"DOCKER_HOST=ssh://root@" + m.address, "PATH=" + dir + "/bin:" + os.Getenv("PATH")}
	m.sshd = exec.Command("nsenter", "--net=/run/netns/"+m.name, "/usr/sbin/sshd", "-D", "-e", "-f", dir+"/config")
	said, err := m.sshd.StderrPipe()
	if err != nil {
		return m, err
	}
	if err := m.sshd.Start(); err != nil {
		m.sshd = nil
		return m, err
	}
	var log bytes.Buffer
	for line := make([]byte, 1024); !strings.Contains(log.String(), "listening"); {
		n, err := said.Read(line)
		if log.Write(line[:n]); err != nil {
			return m, fmt.Errorf("sshd: %w\n%s", err, log.String())
		}
	}
	go io.Copy(io.Discard, said)
	return m, nil
}

// close ends the sshd, its connections and the namespace.
func (m *machine) close() error {
	if m.sshd != nil {
		m.sshd.Process.Kill()
		m.sshd.Wait()
	}
	// The links go with the namespace, and the connections with them.
	if out, err := exec.Command("ip", "netns", "del", m.name).CombinedOutput(); err != nil {
		return fmt.Errorf("ip netns del %s: %w\n%s", m.name, err, out)
	}
	return nil
}

// trips is the time of two round trips, and 15 ms.
func (m *machine) trips(ctx context.Context) (float64, error) {
	begin := time.Now()
	for range 2 {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.address+":9")
		if err == nil {
			conn.Close()
			return 0, errors.New("something listens on port 9")
		}
	}
	return milliseconds(time.Since(begin)) + 15, nil
}
