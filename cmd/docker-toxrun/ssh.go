package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

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
	d := &sshDialer{helper: helper, to: to, control: control}
	return []client.Opt{
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: d.dial}}),
		client.WithHost(helper.Host),
		client.WithDialContext(d.dial),
		client.WithVersionFromEnv(),
		client.WithAPIVersionNegotiation(),
	}, nil
}

// An sshDialer makes connections by docker's helper.
type sshDialer struct {
	helper  *connhelper.ConnectionHelper
	to      *ssh.Spec
	control controlDir

	mu      sync.Mutex
	failure *unreachable // of the last connection that was asked something and never answered
	since   time.Time
}

// againTime is for how long what has failed is not tried again: docker's client makes its
// request even if the one before, for the API version, did not get there, and to wait for a
// host, or to be asked for a password, is for once.
const againTime = time.Second

func (d *sshDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil && time.Since(d.since) < againTime {
		return nil, d.failure
	}
	conn, err := d.helper.Dialer(ctx, network, address)
	if err != nil {
		return nil, &unreachable{err, "install an OpenSSH client"}
	}
	return &sshConn{Conn: conn, sshDialer: d}, nil
}

// An sshConn is a connection of docker's helper: an ssh. Its errors are what that ssh has
// said, and not the helper's, which are several lines long.
type sshConn struct {
	net.Conn
	*sshDialer
	asked  atomic.Bool // something has been written
	worked bool        // something has been read
}

func (c *sshConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.worked = c.worked || n > 0
	if err = c.explain(err); c.asked.Load() && !c.worked {
		c.fail(err)
	}
	return n, err
}

// Write takes what is for an ssh that has ended, as a socket would: Read tells why it has.
func (c *sshConn) Write(p []byte) (int, error) {
	c.asked.Store(true)
	n, err := c.Conn.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		return len(p), nil
	}
	return n, c.explain(err)
}

func (c *sshConn) CloseWrite() error { return c.Conn.(types.CloseWriter).CloseWrite() }

// explain makes an unreachable of the helper's error for an ssh that has ended.
func (d *sshDialer) explain(err error) error {
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
		d.control.end(d.to) // which has the groups that the user had at its begin
	}
	return &unreachable{errors.New(f.text(d.to)), f.hint(d.to)}
}

// fail keeps why there is no connection.
func (d *sshDialer) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if failure, ok := errors.AsType[*unreachable](err); ok {
		d.failure, d.since = failure, time.Now()
	}
}
