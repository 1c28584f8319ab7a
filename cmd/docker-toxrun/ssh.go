package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/cli/cli/connhelper/ssh"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/client"
)

// sshScheme is how the address of an Engine begins that is reached by ssh.
const sshScheme = "ssh://"

// sshOptions are what docker.Endpoint.ClientOpts gives for the same host, but that its
// ssh shares a connection, and that its errors are ssh's own words.
func sshOptions(host string) ([]client.Opt, error) {
	to, err := ssh.ParseURL(host)
	if err != nil {
		return nil, err
	}
	control := openControlDir(to.Host)
	helper, err := connhelper.GetConnectionHelperWithSSHOpts(host, control.flags())
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := helper.Dialer(ctx, network, address)
		if err != nil {
			return nil, &unreachable{err, "install an OpenSSH client"}
		}
		return &sshConn{conn, to, control}, nil
	}
	return []client.Opt{
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: dial}}),
		client.WithHost(helper.Host),
		client.WithDialContext(dial),
		client.WithVersionFromEnv(),
		client.WithAPIVersionNegotiation(),
	}, nil
}

// An sshConn is a connection of docker's helper: an ssh. Its errors are what that ssh has
// said, and not the helper's, which are several lines long.
type sshConn struct {
	net.Conn
	to      *ssh.Spec
	control controlDir
}

func (c *sshConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.explain(err)
}

// Write takes what is for an ssh that has ended, as a socket would: Read tells why it has.
func (c *sshConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		return len(p), nil
	}
	return n, c.explain(err)
}

func (c *sshConn) CloseWrite() error { return c.Conn.(types.CloseWriter).CloseWrite() }

// explain makes an unreachable of the helper's error for an ssh that has ended.
func (c *sshConn) explain(err error) error {
	if err == nil {
		return nil
	}
	_, ended, ok := strings.Cut(err.Error(), " has exited with ")
	status, _, _ := strings.Cut(ended, ",")
	_, stderr, said := strings.Cut(ended, "stderr=")
	if !ok || !said {
		return err
	}
	f := sshFailure{status, strings.FieldsFunc(stderr, func(r rune) bool { return r == '\n' || r == '\r' })}
	if f.forbidden() {
		c.control.end(c.to) // which has the groups that the user had at its begin
	}
	return &unreachable{errors.New(f.text(c.to)), f.hint(c.to)}
}
