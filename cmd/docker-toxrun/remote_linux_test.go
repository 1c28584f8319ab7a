package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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

			data := make([]byte, 10<<20)
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

// The fake serves TLS itself. The real Engine has a proxy in front.
func overTLS(t testing.TB, e enginetest.Target) []string {
	dir, config := certificates(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	if e.Engine != nil {
		server := &http.Server{Handler: e.Engine}
		done := make(chan struct{})
		go func() {
			server.Serve(l)
			close(done)
		}()
		t.Cleanup(func() {
			server.Close()
			<-done
		})
	} else {
		forward(t, l, func() string { return e.Host })
	}
	return []string{"DOCKER_HOST=tcp://" + l.Addr().String(), "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=" + dir}
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

// certificates makes an authority, and with it the certificates of an Engine at
// 127.0.0.1 and of its client, which dir has as docker wants it.
func certificates(t testing.TB) (dir string, server *tls.Config) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()),
			Subject:      pkix.Name{CommonName: name},
			NotBefore:    time.Now().Add(-time.Hour),
			NotAfter:     time.Now().Add(time.Hour),
			IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage:     x509.KeyUsageDigitalSignature,
			ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey, ca := key(), template("authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	sign := func(c *x509.Certificate, k *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &k.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	root := sign(ca, caKey)
	write("ca.pem", "CERTIFICATE", root)
	clientKey := key()
	write("cert.pem", "CERTIFICATE", sign(template("client"), clientKey))
	der, err := x509.MarshalECPrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	write("key.pem", "EC PRIVATE KEY", der)

	authority := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(root)
	if err != nil {
		t.Fatal(err)
	}
	authority.AddCert(parsed)
	serverKey := key()
	return dir, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{sign(template("engine"), serverKey)}, PrivateKey: serverKey}},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    authority,
	}
}

// overSSH starts an ssh server on a port of its own, for the user of the tests.
// ssh is a script that adds a configuration: it has no variable for that.
func overSSH(t testing.TB, e enginetest.Target) []string {
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		needed(t, "no sshd: run scripts/tools.sh")
	}
	ssh := needProgram(t, "ssh")
	docker := needProgram(t, "docker")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" { // where sshd, as root, takes its privileges off
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := func(name string) (path, public string) {
		path = filepath.Join(dir, name)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
		content, err := os.ReadFile(path + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		return path, string(content)
	}
	hostKey, host := key("host")
	userKey, public := key("user")
	port := freePort(t)
	config := write("sshd_config", fmt.Sprintf(`
ListenAddress 127.0.0.1
Port %d
HostKey %s
AuthorizedKeysFile %s
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
SetEnv DOCKER_HOST=%s PATH=%s
`, port, hostKey, write("authorized_keys", public, 0o600), e.Host, filepath.Dir(docker)+":/usr/bin:/bin"), 0o600)
	server := exec.Command(sshd, "-D", "-e", "-f", config)
	p := start(t, server)
	p.err.expect(t, "Server listening on 127.0.0.1")

	known := write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", port, host), 0o600)
	client := write("ssh_config", fmt.Sprintf(`
Host *
  UserKnownHostsFile %s
  IdentityFile %s
  IdentitiesOnly yes
  BatchMode yes
`, known, userKey), 0o600)
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	write("bin/ssh", fmt.Sprintf("#!/bin/sh\nexec %s -F %s \"$@\"\n", ssh, client), 0o700)
	return []string{
		fmt.Sprintf("DOCKER_HOST=ssh://%s@127.0.0.1:%d", me.Username, port),
		"PATH=" + bin + ":" + os.Getenv("PATH"),
	}
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

// The certificates are a context's, or those of docker's options.
func TestCertificates(t *testing.T) {
	t.Parallel()
	docker := needProgram(t, "docker")
	e := enginetest.Fake(t, enginetest.Container{})
	env := environment(t, "", "TOXRUN_CONTAINER="+e.Container)
	variables := overTLS(t, e)
	host, dir := variables[0][len("DOCKER_HOST="):], variables[2][len("DOCKER_CERT_PATH="):]
	create := exec.Command(docker, "context", "create", "secure", "--docker",
		fmt.Sprintf("host=%s,ca=%s/ca.pem,cert=%s/cert.pem,key=%s/key.pem", host, dir, dir, dir))
	create.Env = env
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	options := []string{"--tlsverify", "--tlscacert", dir + "/ca.pem", "--tlscert", dir + "/cert.pem", "--tlskey", dir + "/key.pem", "-H", host}
	for _, args := range [][]string{
		{"docker-toxrun", "--context", "secure"},
		{"docker", "--context", "secure", "toxrun"},
		append([]string{"docker-toxrun"}, options...),
		append(append([]string{"docker"}, options...), "toxrun"),
	} {
		cmd := exec.Command(args[0], append(args[1:], "exec", "cat")...)
		cmd.Env = env
		cmd.Stdin = strings.NewReader("secure")
		p := start(t, cmd)
		p.exits(t, 0)
		if out := p.out.String(); out != "secure" {
			t.Errorf("stdout %q", out)
		}
	}

	// Without them the Engine is not reached, and says why.
	cmd := exec.Command("docker-toxrun", "-H", host, "--tls", "exec", "cat")
	cmd.Env = env
	p := start(t, cmd)
	p.exits(t, 125)
	if said := p.err.String(); !strings.HasPrefix(said, "toxrun: ") || strings.Count(said, "\n") > 2 {
		t.Errorf("stderr %q", said)
	}
}

// An ssh that can't connect is an error like any other, on one line and a hint's.
func TestUnreachableOverSSH(t *testing.T) {
	t.Parallel()
	needProgram(t, "ssh")
	cmd := exec.Command("docker-toxrun", "-H", fmt.Sprintf("ssh://127.0.0.1:%d", freePort(t)), "--container", "any", "exec", "true")
	cmd.Env = environment(t, "")
	p := start(t, cmd)
	p.exits(t, 125)
	if said := p.err.String(); !strings.HasPrefix(said, "toxrun: no docker engine answers: ") || strings.Count(said, "\n") != 2 {
		t.Errorf("stderr %q", said)
	}
}
