package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// connect returns a client. With apiVersion, the one that was agreed on before,
// it asks the Engine nothing; with none it agrees on one at its first request.
// DOCKER_API_VERSION comes before both.
func (e engine) connect(apiVersion string) (*execproxy.Client, error) {
	// A client changes the transport that its options bring, so each needs its own.
	options, err := e.options()
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", e.host, err)
	}
	if e.dial != nil {
		if options, err = e.dialed(options); err != nil {
			return nil, fmt.Errorf("engine %s: %w", e.host, err)
		}
	}
	if len(e.headers) > 0 {
		options = append(options, client.WithHTTPHeaders(e.headers))
	}
	if apiVersion != "" && os.Getenv(client.EnvOverrideAPIVersion) == "" {
		options = append(options, client.WithVersion(apiVersion))
	}
	connected, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", e.host, err)
	}
	return &execproxy.Client{Client: connected, TLS: e.tls() && e.dial == nil, Header: e.headers}, nil
}

// dialed are the options of a client whose connections are e.dial's, or those of a client
// with options. What comes out of either is the Engine's, TLS and all done.
func (e engine) dialed(options []client.Opt) ([]client.Opt, error) {
	own, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		if conn, err := e.dial(ctx); err == nil {
			return conn, nil
		}
		conn, err := own.Dialer()(ctx)
		return e.trusting(conn, err)
	}
	return []client.Opt{
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: dial}}),
		client.WithHost("http://" + client.DummyHost), // as of a connection helper of docker's
		client.WithDialContext(dial),
		client.WithVersionFromEnv(), client.WithAPIVersionNegotiation(),
	}, nil
}

// options are those of docker's client for this Engine.
func (e engine) options() ([]client.Opt, error) {
	if strings.HasPrefix(e.host, sshScheme) {
		return sshOptions(e.host)
	}
	options, err := e.endpoint.ClientOpts()
	return append(options, e.explainTLS), err
}

// tls tells whether the Engine is reached by TLS, as docker.Endpoint decides it.
func (e engine) tls() bool {
	return !strings.HasPrefix(e.host, sshScheme) && (e.endpoint.TLSData != nil || e.endpoint.SkipTLSVerify)
}

// plain tells whether the Engine is reached by a connection that another process
// could go on with: neither TLS, whose state is this process's, nor ssh.
func (e engine) plain() bool {
	scheme, _, _ := strings.Cut(e.host, "://")
	return (scheme == "unix" || scheme == "tcp") && !e.tls()
}
