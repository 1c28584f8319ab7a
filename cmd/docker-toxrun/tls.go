package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/docker/cli/cli/flags"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/compose"
)

// A tlsSource is where the certificates of TLS are from: a docker context, or files.
type tlsSource struct {
	context       string
	ca, cert, key string // empty: not given, or the context's
}

// tlsSourceOf is that of a context. Where it is the default one, or none, docker's options
// and variables name the files.
func tlsSourceOf(o *flags.ClientOptions, context string) tlsSource {
	switch {
	case context != "" && context != defaultContext:
		return tlsSource{context: context}
	case o.TLSOptions == nil:
		return tlsSource{}
	}
	return tlsSource{ca: o.TLSOptions.CAFile, cert: o.TLSOptions.CertFile, key: o.TLSOptions.KeyFile}
}

// unread is the error for one of the files, which has been given or is in its usual place.
func (s tlsSource) unread(err error) error {
	file, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return err
	}
	what, hint := "certificate of the authority", "--tlscacert FILE, or ca.pem in DOCKER_CERT_PATH"
	switch file.Path {
	case s.cert:
		what, hint = "certificate of the client", "--tlscert FILE, or cert.pem in DOCKER_CERT_PATH"
	case s.key:
		what, hint = "key of the client", "--tlskey FILE, or key.pem in DOCKER_CERT_PATH"
	}
	return hinted(fmt.Errorf("%s: %w", what, err), hint)
}

// name is what one of the files is called, given the name that it has in a context.
func (s tlsSource) name(file, inContext string) string {
	if s.context != "" {
		return fmt.Sprintf("%s of context %s", inContext, s.context)
	}
	return cmp.Or(file, inContext)
}

// others is how to have other certificates taken: these options, or files of these names.
func (s tlsSource) others(options, names string) string {
	switch {
	case s.context != "":
		return fmt.Sprintf("docker context update %s --docker host=ADDRESS,ca=FILE,cert=FILE,key=FILE", compose.CommandLine([]string{s.context}))
	case s.ca != "":
		return fmt.Sprintf("%s, or %s in %s", options, names, filepath.Dir(s.ca))
	}
	return options
}

func (s tlsSource) otherAuthority() string { return s.others("--tlscacert FILE", "ca.pem") }
func (s tlsSource) otherClient() string {
	return s.others("--tlscert FILE --tlskey FILE", "cert.pem and key.pem")
}

// explainTLS is an option of a client whose errors of TLS say what is wrong with whose
// certificate.
func (e engine) explainTLS(c *client.Client) error {
	transport, ok := c.HTTPClient().Transport.(*http.Transport)
	if !ok || transport.TLSClientConfig == nil {
		return nil
	}
	dial := transport.DialContext
	transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		plain, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		config := transport.TLSClientConfig.Clone()
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, err
		}
		conn := tls.Client(plain, config)
		if err = conn.HandshakeContext(ctx); err != nil {
			plain.Close()
		}
		return e.trusting(conn, err)
	}
	return nil
}

// trusting has the errors of what a dialer has returned say what explainTLS does.
func (e engine) trusting(conn net.Conn, err error) (net.Conn, error) {
	switch {
	case !e.tls():
		return conn, err
	case err != nil:
		return nil, e.untrusted(err)
	}
	return &tlsConn{Conn: conn, engine: e}, nil
}

// A tlsConn is a connection whose other side may still refuse the client's certificate:
// since TLS 1.3 it tells so in place of its first answer.
type tlsConn struct {
	net.Conn
	engine   engine
	accepted bool // something has been read
}

func (c *tlsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !c.accepted {
		return n, c.engine.untrusted(err)
	}
	c.accepted = true
	return n, err
}

func (c *tlsConn) CloseWrite() error { return c.Conn.(types.CloseWriter).CloseWrite() }

// untrusted says why one side does not trust the other, if err is about that.
func (e engine) untrusted(err error) error {
	authority, foreign := errors.AsType[x509.UnknownAuthorityError](err)
	name, misnamed := errors.AsType[x509.HostnameError](err)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	theirs := "the certificate of " + e.host
	because := func(hint, format string, args ...any) error {
		return &unreachable{fmt.Errorf(format, args...), hint}
	}
	switch {
	case foreign:
		return because(e.tlsFrom.otherAuthority(), "%s is signed by %q, which is not the authority in %s",
			theirs, authority.Cert.Issuer.CommonName, e.tlsFrom.name(e.tlsFrom.ca, "ca.pem"))
	case misnamed:
		return because("use a name that it has, or let it have this one", "%s is for %s, not for %s", theirs, namesIn(name.Certificate), name.Host)
	case isInvalid && invalid.Reason == x509.Expired && invalid.Cert.IsCA:
		return because(e.tlsFrom.otherAuthority(), "the certificate of the authority %q %s", invalid.Cert.Subject.CommonName, validity(invalid.Cert))
	case isInvalid && invalid.Reason == x509.Expired:
		return because("the engine needs another one (dockerd --tlscert)", "%s %s", theirs, validity(invalid.Cert))
	case plain:
		return because("no --tls, no --tlsverify and no DOCKER_TLS_VERIFY; or another port", "%s does not speak TLS", e.host)
	}
	return e.refused(err)
}

// refused says what is wrong with the certificate of the client, if err is that the Engine
// has not taken it. The connection may break before the reason has come: then only what
// can be seen here is one.
func (e engine) refused(err error) error {
	alert, told := errors.AsType[*net.OpError](err)
	told = told && alert.Op == "remote error" // as crypto/tls names it
	if !told && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	file := e.tlsFrom.name(e.tlsFrom.cert, "cert.pem")
	own := e.ownCertificate()
	switch {
	case own == nil:
		return &unreachable{fmt.Errorf("%s wants a certificate of its client, and there is none", e.host), e.tlsFrom.otherClient()}
	case !valid(own):
		return &unreachable{fmt.Errorf("%s refuses the certificate of its client: %s %s", e.host, file, validity(own)), e.tlsFrom.otherClient()}
	case !told:
		return err
	}
	return &unreachable{fmt.Errorf("%s refuses the certificate of its client, %s, which is signed by %q: %w", e.host, file, own.Issuer.CommonName, alert.Err),
		"one that the engine's own authority has signed (dockerd --tlscacert): " + e.tlsFrom.otherClient()}
}

// ownCertificate is that of the client; nil: it has none.
func (e engine) ownCertificate() *x509.Certificate {
	if e.endpoint.TLSData == nil || e.endpoint.TLSData.Key == nil {
		return nil
	}
	block, _ := pem.Decode(e.endpoint.TLSData.Cert)
	if block == nil {
		return nil
	}
	own, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return own
}

func valid(c *x509.Certificate) bool {
	now := time.Now()
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

// validity is since when, or from when on, c is not, or will be valid.
func validity(c *x509.Certificate) string {
	const day = "2006-01-02 15:04 MST"
	if time.Now().Before(c.NotBefore) {
		return "is not valid before " + c.NotBefore.Local().Format(day)
	}
	return "has expired on " + c.NotAfter.Local().Format(day)
}

// namesIn are the hosts that c is for.
func namesIn(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return cmp.Or(strings.Join(names, ", "), "no host")
}
