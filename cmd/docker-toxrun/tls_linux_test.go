package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// An authority signs certificates.
type authority struct {
	testing.TB
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string, change func(*x509.Certificate)) *authority {
	t.Helper()
	a := &authority{TB: t}
	a.root = &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	signed := a.certificate(a.root, change)
	a.key, a.root = signed.PrivateKey.(*ecdsa.PrivateKey), signed.Leaf
	return a
}

// engine is the certificate of an Engine at 127.0.0.1.
func (a *authority) engine(change func(*x509.Certificate)) tls.Certificate {
	a.Helper()
	return a.certificate(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, change)
}

// client is that of its client.
func (a *authority) client(change func(*x509.Certificate)) tls.Certificate {
	a.Helper()
	return a.certificate(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, change)
}

// certificate makes one with a key of its own, after it is changed.
func (a *authority) certificate(c *x509.Certificate, change func(*x509.Certificate)) tls.Certificate {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if change != nil {
		change(c)
	}
	signer := a.key
	if signer == nil { // its own
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.root, &key.PublicKey, signer)
	if err != nil {
		a.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// admits is the configuration of an Engine whose clients have to have a certificate of a's.
func (a *authority) admits(engine tls.Certificate) *tls.Config {
	clients := x509.NewCertPool()
	clients.AddCert(a.root)
	return &tls.Config{Certificates: []tls.Certificate{engine}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
}

// files makes a directory as docker wants it: a's own certificate, and the client's.
func (a *authority) files(client tls.Certificate) (dir string) {
	a.Helper()
	dir = a.TempDir()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			a.Fatal(err)
		}
	}
	write("ca.pem", "CERTIFICATE", a.root.Raw)
	write("cert.pem", "CERTIFICATE", client.Certificate[0])
	der, err := x509.MarshalECPrivateKey(client.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		a.Fatal(err)
	}
	write("key.pem", "EC PRIVATE KEY", der)
	return dir
}

func overTLS(t testing.TB, e enginetest.Target) []string {
	a := newAuthority(t, "authority", nil)
	return []string{"DOCKER_HOST=" + serveTLS(t, e, a.admits(a.engine(nil))), "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=" + a.files(a.client(nil))}
}

// serveTLS returns an address of e. The fake serves TLS itself, the real Engine has a proxy
// in front.
func serveTLS(t testing.TB, e enginetest.Target, config *tls.Config) string {
	t.Helper()
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
	return "tcp://" + l.Addr().String()
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
}

// Where one side does not trust the other, or has nothing to show, the user is told which,
// why, and what to do.
func TestUntrusted(t *testing.T) {
	t.Parallel()
	const (
		no      = "toxrun: no docker engine answers: "
		date    = "2006-01-02 15:04 MST"
		another = "--tlscert FILE --tlskey FILE, or cert.pem and key.pem in DIR"
	)
	e := enginetest.Fake(t, enginetest.Container{})
	a, foreign := newAuthority(t, "authority", nil), newAuthority(t, "stranger", nil)
	then, soon := time.Now().Add(-time.Minute), time.Now().Add(30*time.Minute)
	expired := func(c *x509.Certificate) { c.NotAfter = then }
	early := func(c *x509.Certificate) { c.NotBefore = soon }
	old := newAuthority(t, "old authority", expired)
	without := func(dir string, names ...string) string {
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	mine := a.client(nil)
	for name, test := range map[string]struct {
		engine     tls.Certificate
		dir        string
		line, hint string // HOST and DIR in them
	}{
		"engine's expired": {a.engine(expired), a.files(mine),
			"the certificate of HOST has expired on " + then.Format(date), "the engine needs another one (dockerd --tlscert)"},
		"engine's too early": {a.engine(early), a.files(mine),
			"the certificate of HOST is not valid before " + soon.Format(date), "the engine needs another one (dockerd --tlscert)"},
		"engine's foreign": {foreign.engine(nil), a.files(mine),
			`the certificate of HOST is signed by "stranger", which is not the authority in DIR/ca.pem`, "--tlscacert FILE, or ca.pem in DIR"},
		"engine's name": {a.engine(func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(10, 0, 0, 1)}, []string{"box"}
		}), a.files(mine),
			"the certificate of HOST is for box, 10.0.0.1, not for 127.0.0.1", "use a name that it has, or let it have this one"},
		"authority expired": {old.engine(nil), old.files(old.client(nil)),
			`the certificate of the authority "old authority" has expired on ` + then.Format(date), "--tlscacert FILE, or ca.pem in DIR"},
		"client's missing": {a.engine(nil), without(a.files(mine), "cert.pem", "key.pem"),
			"HOST wants a certificate of its client, and there is none", another},
		"client's key missing": {a.engine(nil), without(a.files(mine), "key.pem"),
			"HOST wants a certificate of its client, and there is none", another},
		"client's expired": {a.engine(nil), a.files(a.client(expired)),
			"HOST refuses the certificate of its client: DIR/cert.pem has expired on " + then.Format(date), another},
		"client's foreign": {a.engine(nil), a.files(foreign.client(nil)),
			`HOST refuses the certificate of its client, DIR/cert.pem, which is signed by "stranger": tls: `, "one that the engine's own authority has signed (dockerd --tlscacert): " + another},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				config := a.admits(test.engine)
				config.MaxVersion = version
				host := serveTLS(t, e, config)
				p := start(t, with(in(t, e, "docker-toxrun", "exec", "true"), "DOCKER_HOST="+host, "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+test.dir))
				p.exits(t, 125)
				fill := strings.NewReplacer("HOST", host, "DIR", test.dir)
				lines := strings.Split(p.err.String(), "\n")
				if len(lines) != 3 || !strings.HasPrefix(lines[0], no+fill.Replace(test.line)) || lines[1] != "hint: "+fill.Replace(test.hint) {
					t.Errorf("stderr %q", p.err)
				}
			})
		}
	}

	at := serveTLS(t, e, a.admits(a.engine(nil)))
	nowhere := t.TempDir()
	for name, test := range map[string]struct {
		args, env  []string
		line, hint string
	}{
		"no authority": {[]string{"--tlsverify"}, []string{"DOCKER_CERT_PATH=" + nowhere},
			"toxrun: certificate of the authority: open " + nowhere + "/ca.pem: no such file or directory", "--tlscacert FILE, or ca.pem in DOCKER_CERT_PATH"},
		"no certificate": {[]string{"--tlsverify", "--tlscert", nowhere + "/c"}, []string{"DOCKER_CERT_PATH=" + a.files(mine)},
			"toxrun: certificate of the client: open " + nowhere + "/c: no such file or directory", "--tlscert FILE, or cert.pem in DOCKER_CERT_PATH"},
		"no key": {[]string{"--tlsverify", "--tlskey", nowhere + "/k"}, []string{"DOCKER_CERT_PATH=" + a.files(mine)},
			"toxrun: key of the client: open " + nowhere + "/k: no such file or directory", "--tlskey FILE, or key.pem in DOCKER_CERT_PATH"},
		"no TLS":       {nil, nil, "toxrun: the engine answers by TLS only", "--tlsverify, or DOCKER_TLS_VERIFY=1"},
		"nothing else": {[]string{"--tls"}, []string{"DOCKER_HOST=PLAIN", "DOCKER_CERT_PATH=" + a.files(mine)}, no + "PLAIN does not speak TLS", "no --tls, no --tlsverify and no DOCKER_TLS_VERIFY; or another port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := strings.TrimPrefix(overTCP(t, e)[0], "DOCKER_HOST=")
			cmd := with(in(t, e, append(append([]string{"docker-toxrun"}, test.args...), "exec", "true")...), "DOCKER_HOST="+at)
			for _, variable := range test.env {
				cmd.Env = append(cmd.Env, strings.Replace(variable, "PLAIN", plain, 1))
			}
			p := start(t, cmd)
			p.exits(t, 125)
			told(t, p.err, strings.Replace(test.line, "PLAIN", plain, 1), "hint: "+test.hint)
		})
	}
}
