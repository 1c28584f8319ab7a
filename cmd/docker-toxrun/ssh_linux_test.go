package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// An sshHost is an ssh server for the user of the tests, on a port of its own, and what a
// client has to know of it.
type sshHost struct {
	dir     string
	user    string
	port    int
	server  *process
	known   string // file with its key
	key     string // file that lets the user in
	runtime string // where the client's private directory is
}

// An sshSetting is what may be different over there.
type sshSetting struct {
	path string // PATH, in place of the directory of docker and the usual ones
	more string // lines of sshd's configuration
}

// newSSHHost starts one for the Engine of e.
func newSSHHost(t testing.TB, e enginetest.Target, setting sshSetting) *sshHost {
	t.Helper()
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		needed(t, "no sshd: run scripts/tools.sh")
	}
	if setting.path == "" {
		setting.path = filepath.Dir(needProgram(t, "docker")) + ":/usr/bin:/bin"
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" { // where sshd, as root, takes its privileges off
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h := &sshHost{dir: t.TempDir(), user: me.Username, port: freePort(t)}
	// Not t.TempDir: a socket's address has room for 104 bytes.
	if h.runtime, err = os.MkdirTemp("", "ssh"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(h.runtime) })
	hostKey := h.newKey(t, "host")
	h.key = h.newKey(t, "user")
	h.known = h.knows(t, "known_hosts", hostKey)
	config := h.write(t, "sshd_config", fmt.Sprintf(`
ListenAddress 127.0.0.1
Port %d
HostKey %s
AuthorizedKeysFile %s.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
SetEnv DOCKER_HOST=%s PATH=%s HOME=%s
%s
`, h.port, hostKey, h.key, e.Host, setting.path, h.dir, setting.more), 0o600)
	h.server = start(t, exec.Command(sshd, "-D", "-e", "-f", config))
	h.server.err.expect(t, "Server listening on 127.0.0.1")
	t.Cleanup(func() {
		// A connection that is left would hold the server's stderr open; a keeper makes
		// itself another one at once.
		h.server.Process.Signal(syscall.SIGSTOP)
		h.endConnections(t)
	})
	return h
}

func (h *sshHost) write(t testing.TB, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// newKey makes a pair of keys in files of this name.
func (h *sshHost) newKey(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(h.dir, name)
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	return path
}

// knows makes a file of known hosts, in which this one has that key.
func (h *sshHost) knows(t testing.TB, name, key string) string {
	t.Helper()
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return h.write(t, name, fmt.Sprintf("[127.0.0.1]:%d %s", h.port, public), 0o600)
}

func (h *sshHost) address(port int) string { return fmt.Sprintf("ssh://%s@127.0.0.1:%d", h.user, port) }

// env are the variables of a client, whose ssh has these options besides. It is a script
// that gives them, since ssh has no variable for that.
func (h *sshHost) env(t testing.TB, options ...string) []string {
	t.Helper()
	bin := filepath.Join(h.dir, "bin"+number())
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	options = append(options, "UserKnownHostsFile="+h.known, "GlobalKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "IdentityAgent=none")
	if !slices.ContainsFunc(options, func(option string) bool { return strings.HasPrefix(option, "IdentityFile=") }) {
		options = append(options, "IdentityFile="+h.key) // all that are given are tried
	}
	script := "#!/bin/sh\nexec " + needProgram(t, "ssh") + " -o " + strings.Join(options, " -o ") + ` "$@"` + "\n"
	h.write(t, filepath.Join(filepath.Base(bin), "ssh"), script, 0o700)
	return []string{
		"DOCKER_HOST=" + h.address(h.port),
		"PATH=" + bin + ":" + os.Getenv("PATH"),
		"XDG_RUNTIME_DIR=" + h.runtime,
	}
}

// control asks the connection that the clients share.
func (h *sshHost) control(what string) *exec.Cmd {
	dir := controlDir(filepath.Join(h.runtime, "docker-toxrun"))
	return exec.Command("ssh", "-F", "none", "-S", dir.socket(), "-O", what, "-l", h.user, "-p", strconv.Itoa(h.port), "127.0.0.1")
}

// logins is how often the user was let in.
func (h *sshHost) logins() int { return strings.Count(h.server.err.String(), "Accepted publickey") }

// cut kills what serves the connections that there are.
func (h *sshHost) cut(t testing.TB) {
	t.Helper()
	if h.endConnections(t) == 0 {
		t.Fatal("there is no connection")
	}
}

// endConnections kills what serves each, and returns how many there were.
func (h *sshHost) endConnections(t testing.TB) (killed int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var state string
		var pid, parent int
		fmt.Sscan(string(stat), &pid)
		fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent)
		if parent == h.server.Process.Pid {
			syscall.Kill(pid, syscall.SIGKILL)
			killed++
		}
	}
	return killed
}

func overSSH(t testing.TB, e enginetest.Target) []string {
	return newSSHHost(t, e, sshSetting{}).env(t)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// with is a command line with more variables.
func with(cmd *exec.Cmd, env ...string) *exec.Cmd {
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// A run makes two connections at least. All runs share one of ssh, and none waits at its
// end for the ssh that stays.
func TestRunsShareAConnection(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		h := newSSHHost(t, e, sshSetting{})
		env := append(environment(t, "", "TOXRUN_CONTAINER="+e.Container), h.env(t)...)
		for range 6 {
			cmd := exec.Command("docker-toxrun", "exec", "sh", "-c", "cat; exit 3")
			cmd.Env, cmd.Stdin = env, strings.NewReader("in")
			p := start(t, cmd)
			p.exits(t, 3)
			if out, err := p.out.String(), p.err.String(); out != "in" || err != "" {
				t.Errorf("stdout %q, stderr %q", out, err)
			}
		}
		if n := h.logins(); n != 1 {
			t.Errorf("%d logins", n)
		}
		if out, err := h.control("check").CombinedOutput(); err != nil {
			t.Errorf("no connection is kept: %v, %s", err, out)
		}
	})
}

// Where the user's own configuration shares a connection, or does not want to, that is
// what is done.
func TestOwnControlConnection(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	h := newSSHHost(t, e, sshSetting{})
	for name, options := range map[string][]string{"none": {"ControlMaster=no"}, "no path": {"ControlPath=none"}} {
		before := h.logins()
		p := start(t, with(in(t, e, "docker-toxrun", "exec", "true"), h.env(t, options...)...))
		p.exits(t, 0)
		if n := h.logins() - before; n < 2 {
			t.Errorf("%s: %d logins", name, n)
		}
	}
	if h.control("check").Run() == nil {
		t.Error("a connection is kept")
	}
}

// ssh takes ours behind all that it would read without it, for each host that the user has
// said nothing else for.
func TestControlConfig(t *testing.T) {
	t.Parallel()
	needProgram(t, "ssh")
	for name, test := range map[string]struct{ users, host, want string }{
		"none": {"", "box", "controlmaster auto, controlpath /run/x/ssh-*, controlpersist 300, serveraliveinterval 10, clearallforwardings yes"},
		"own":  {"ControlMaster no\nControlPath /run/own\nControlPersist 9\nServerAliveInterval 1\nUser ann\nPort 99\nIdentityFile /run/key", "box", "controlmaster false, controlpath /run/own, controlpersist 9, serveraliveinterval 1, user ann, port 99, identityfile /run/key"},
		// What is for others ends with the file.
		"host":          {"Port 98\nHost other\nControlPath /run/own", "box", "controlmaster auto, controlpath /run/x/ssh-*, port 98"},
		"host's own":    {"Host box\nControlPath /run/own\nHostName real", "box", "controlpath /run/own, hostname real"},
		"match":         {"Match host other\nControlPath /run/own", "box", "controlmaster auto, controlpath /run/x/ssh-*"},
		"match's own":   {"Match host box exec true\nControlPath /run/own", "box", "controlpath /run/own"},
		"another match": {"Match originalhost other,thing\nPort 97", "box", "controlmaster auto, port 22"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			if test.users != "" {
				if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(home, ".ssh", "config"), []byte(test.users), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(home, "ours")
			if err := os.WriteFile(file, fmt.Appendf(nil, controlConfig, home, controlDir("/run/x").socket()), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("ssh", "-G", "-F", file, test.host).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			lines := strings.Split(string(out), "\n")
			for want := range strings.SplitSeq(test.want, ", ") {
				if !slices.ContainsFunc(lines, func(line string) bool { ok, _ := filepath.Match(want, line); return ok }) {
					t.Errorf("no %q in %s", want, out)
				}
			}
		})
	}
}

// There are no flags where ssh would refuse them or take them for something else.
func TestNoControlDir(t *testing.T) {
	for name, dir := range map[string]string{
		"too long":   "/" + strings.Repeat("x", 42),
		"two words":  "/run/a b",
		"a pattern":  "/run/[x]",
		"a token":    "/run/%h",
		"a variable": "/run/${HOME}",
		"a quote":    `/run/"`,
		"relative":   "run",
	} {
		if controlDir(dir).fits() {
			t.Errorf("%s: %s will do", name, dir)
		}
	}
	if !controlDir("/" + strings.Repeat("x", 40)).fits() {
		t.Error("40 characters are too many")
	}
	own, err := os.MkdirTemp("/tmp", "run") // with a name that is short enough
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(own) })
	t.Setenv("XDG_RUNTIME_DIR", own)
	t.Setenv("PATH", t.TempDir()) // no ssh to try it
	if d := openControlDir("box"); d != "" {
		t.Errorf("openControlDir() = %q", d)
	}
}

// Where the server lets no more sessions share the connection, ssh makes another.
func TestFewSessions(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	h := newSSHHost(t, e, sshSetting{more: "MaxSessions 2"})
	env := append(environment(t, "", "TOXRUN_CONTAINER="+e.Container), h.env(t)...)
	var all []*process
	var inputs []io.WriteCloser
	for range 6 {
		cmd := exec.Command("docker-toxrun", "exec", "--parallel", "sh", "-c", "echo ready; cat")
		cmd.Env = env
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		all, inputs = append(all, start(t, cmd)), append(inputs, stdin)
	}
	for _, p := range all { // now all of them have their connections
		p.out.expect(t, "ready\n")
	}
	for i, p := range all {
		fmt.Fprint(inputs[i], "in")
		inputs[i].Close()
		p.exits(t, 0)
		if out, err := p.out.String(), p.err.String(); out != "in" || err != "" {
			t.Errorf("stdout %q, stderr %q", out, err)
		}
	}
	if n := h.logins(); n < 2 {
		t.Errorf("%d logins: sessions were not refused", n)
	}
}

// An ssh that does not get there is an error like any other: what it has said, on one line,
// and what to do.
func TestUnreachableOverSSH(t *testing.T) {
	t.Parallel()
	const no = "toxrun: no docker engine answers: "
	e := enginetest.Fake(t, enginetest.Container{})
	h := newSSHHost(t, e, sshSetting{})
	login := fmt.Sprintf("ssh -p %d %s@127.0.0.1", h.port, h.user)
	wrong := h.newKey(t, "wrong")
	none := freePort(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	silentPort := silent.Addr().(*net.TCPAddr).Port
	for name, test := range map[string]struct {
		env        []string
		line, hint string
	}{
		"nobody listens": {
			append(h.env(t), "DOCKER_HOST="+h.address(none)),
			fmt.Sprintf("ssh: connect to host 127.0.0.1 port %d: Connection refused", none),
			fmt.Sprintf("this has to work first: ssh -p %d %s@127.0.0.1", none, h.user),
		},
		"nobody answers": {
			append(h.env(t, "ConnectTimeout=1"), "DOCKER_HOST="+h.address(silentPort)),
			fmt.Sprintf("ssh: Connection to 127.0.0.1 port %d timed out", silentPort),
			fmt.Sprintf("this has to work first: ssh -p %d %s@127.0.0.1", silentPort, h.user),
		},
		"unknown key": {
			h.env(t, "UserKnownHostsFile=/dev/null"),
			"ssh: Host key verification failed.",
			"connect once, and compare the key: " + login,
		},
		"changed key": {
			h.env(t, "UserKnownHostsFile="+h.knows(t, "changed", wrong)),
			fmt.Sprintf("ssh: Host key verification failed: another key than the ED25519 key in %s:1", filepath.Join(h.dir, "changed")),
			fmt.Sprintf("if the host has a new one: ssh-keygen -f %s -R '[127.0.0.1]:%d'; then connect once: %s", filepath.Join(h.dir, "changed"), h.port, login),
		},
		"wrong key": {
			h.env(t, "IdentityFile="+wrong),
			"ssh: " + h.user + "@127.0.0.1: Permission denied (publickey).",
			"ssh-add the key, or name it as IdentityFile in ~/.ssh/config; this has to work first: " + login,
		},
		"no ssh": {
			append(h.env(t), "PATH="+h.dir),
			`exec: "ssh": executable file not found in $PATH`,
			"install an OpenSSH client",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := needProgram(t, "docker-toxrun")
			p := start(t, with(in(t, e, program, "exec", "true"), test.env...))
			p.exits(t, 125)
			told(t, p.err, no+test.line, "hint: "+test.hint)
		})
	}
}

// So is a docker over there that does not get to its Engine.
func TestUnreachableBehindSSH(t *testing.T) {
	t.Parallel()
	const no = "toxrun: no docker engine answers: 127.0.0.1: "
	docker := needProgram(t, "docker")
	nobody := t.TempDir()
	if err := os.WriteFile(filepath.Join(nobody, "docker"), fmt.Appendf(nil, "#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups %s \"$@\"\n", docker), 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		needed(t, "only root becomes another user")
	}
	for name, test := range map[string]struct {
		setting    sshSetting
		away       bool // the Engine
		line, hint string
	}{
		"no docker": {sshSetting{path: "/nowhere"}, false, "docker: ", "install the docker command there, where this finds it: LOGIN docker --version"},
		"no right":  {sshSetting{path: nobody + ":/usr/bin:/bin"}, false, "permission denied", "root there may let the user have it: usermod -aG docker USER"},
		"no Engine": {sshSetting{}, true, "no such file or directory", "this has to work first: LOGIN docker version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.Fake(t, enginetest.Container{})
			if test.away {
				e.Host = "unix:///nowhere"
			}
			h := newSSHHost(t, e, test.setting)
			p := start(t, with(in(t, e, "docker-toxrun", "exec", "true"), h.env(t)...))
			p.exits(t, 125)
			lines := strings.Split(p.err.String(), "\n")
			hint := strings.NewReplacer("LOGIN", fmt.Sprintf("ssh -p %d %s@127.0.0.1", h.port, h.user), "USER", h.user).Replace(test.hint)
			if len(lines) != 3 || !strings.HasPrefix(lines[0], no) || !strings.Contains(lines[0], test.line) || lines[1] != "hint: "+hint {
				t.Errorf("stderr %q", p.err)
			}
			if test.setting.path == "" || test.setting.path == "/nowhere" {
				return
			}

			// Who has been given the right need not wait for the end of a connection
			// that was made without it.
			if err := os.Remove(filepath.Join(nobody, "docker")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(docker, filepath.Join(nobody, "docker")); err != nil {
				t.Fatal(err)
			}
			before := h.logins()
			p = start(t, with(in(t, e, "docker-toxrun", "exec", "true"), h.env(t)...))
			p.exits(t, 0)
			if n := h.logins() - before; n != 1 {
				t.Errorf("%d logins", n)
			}
		})
	}
}

// A gate is an address with an ssh server behind it, while it is open; else nobody answers.
type gate struct {
	port   int
	closed atomic.Bool
}

func newGate(t testing.TB, to int) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	g := &gate{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			if g.closed.Load() {
				defer from.Close()
				continue
			}
			go func() {
				defer from.Close()
				to, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
				if err != nil {
					return
				}
				defer to.Close()
				go half(to, from)
				half(from, to)
			}()
		}
	}()
	return g
}

// Of a host that does not answer the user is told long before ssh gives it up, after 30
// seconds, and ^C ends the wait: in a first run, and in one that has found its container in
// the cache.
func TestSilentSSHHost(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"first run": {"exec", "--no-cache", "true"}, "warm run": {"exec", "true"}, "target": {"target", "--no-cache"}, "ps": {"ps"}, "watch": {"watch", "--no-cache"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.Fake(t, enginetest.Container{})
			h := newSSHHost(t, e, sshSetting{})
			g := newGate(t, h.port)
			env := append(environment(t, "", "TOXRUN_CONTAINER="+e.Container),
				h.env(t, fmt.Sprintf("HostKeyAlias=[127.0.0.1]:%d", h.port), "ControlPath=none")...)
			env = append(env, "DOCKER_HOST="+h.address(g.port))
			command := func(args ...string) *process {
				cmd := exec.Command("docker-toxrun", args...)
				cmd.Env = env
				return start(t, cmd)
			}
			command("exec", "true").exits(t, 0)
			g.closed.Store(true)
			began := time.Now()
			p := command(args...)
			p.err.expect(t, "does not answer")
			if after := time.Since(began); after > 15*time.Second {
				t.Errorf("the user is told after %v", after)
			}
			began = time.Now()
			p.Process.Signal(syscall.SIGINT)
			p.exits(t, 130)
			if after := time.Since(began); after > 5*time.Second {
				t.Errorf("it ends %v after ^C", after)
			}
		})
	}
}

// A connection that dies during a run is told in one line, and the status is not the
// command's. Nothing is left of it.
func TestSSHDiesDuringARun(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]string{"shared": nil, "alone": {"ControlPath=none"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.Real(t, enginetest.DefaultImage)
			h := newSSHHost(t, e, sshSetting{})
			token := number()
			p := start(t, with(in(t, e, "docker-toxrun", "exec", "sh", "-c", "echo ready; sleep $0; :", token), h.env(t, options...)...))
			p.out.expect(t, "ready\n")
			h.cut(t)
			p.exits(t, 125)
			if said := p.err.String(); !strings.HasPrefix(said, "toxrun: the connection to the engine broke (ssh") || strings.Count(said, "\n") != 1 {
				t.Errorf("stderr %q", said)
			}
			nothingLeft(t, e, token)
		})
	}
}

// Of connections that die at once, one that was not used yet does not tell that there is
// no way to the host: the run has to reach it again, to end its command.
func TestUnusedSSHConnectionDies(t *testing.T) {
	e := enginetest.Fake(t, enginetest.Container{})
	h := newSSHHost(t, e, sshSetting{})
	for _, setting := range h.env(t, "ControlPath=none") {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv(name, value)
	}
	options, err := sshOptions(h.address(h.port))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewClientWithOpts(options...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	unused, err := c.Dialer()(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	h.server.err.expect(t, "Accepted publickey")
	h.cut(t)
	if n, err := unused.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Fatalf("Read() = %d, %v", n, err)
	}
	if _, err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// The next run does without a connection that has died since the last one.
func TestSSHDiesBetweenRuns(t *testing.T) {
	t.Parallel()
	e := enginetest.Fake(t, enginetest.Container{})
	h := newSSHHost(t, e, sshSetting{})
	env := h.env(t)
	run := func(logins int) {
		t.Helper()
		p := start(t, with(in(t, e, "docker-toxrun", "exec", "echo", "works"), env...))
		p.exits(t, 0)
		if out, err := p.out.String(), p.err.String(); out != "works\n" || err != "" || h.logins() != logins {
			t.Errorf("stdout %q, stderr %q, %d logins", out, err, h.logins())
		}
	}
	run(1)
	h.cut(t)
	run(2)
	// What keeps it is killed, and leaves its socket.
	out, err := h.control("check").CombinedOutput()
	var pid int
	if fmt.Sscanf(string(out), "Master running (pid=%d)", &pid); err != nil || pid == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	run(3)
}
