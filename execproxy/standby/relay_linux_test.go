package standby_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

// A farEngine is an Engine whose connections only this process can go on with, as those of
// TLS and of a connection helper.
type farEngine struct {
	*execproxy.Client
	made   atomic.Int32 // connections
	broken atomic.Bool  // they end in an error instead of their end
}

type farConn struct {
	net.Conn // without its SyscallConn
	engine   *farEngine
}

func (c farConn) CloseWrite() error { return c.Conn.(*net.UnixConn).CloseWrite() }

func (c farConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF && c.engine.broken.Load() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func far(t testing.TB, e enginetest.Target) *farEngine {
	t.Helper()
	f := new(farEngine)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		f.made.Add(1)
		conn, err := new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(e.Host, "unix://"))
		if err != nil {
			return nil, err
		}
		return farConn{conn, f}, nil
	}
	c, err := client.NewClientWithOpts(client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: dial}}),
		client.WithHost("http://"+client.DummyHost), client.WithDialContext(dial), client.WithVersion(e.Client.ClientVersion()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	f.Client = &execproxy.Client{Client: c}
	return f
}

// relayed runs body with a keeper that relays its connections.
func relayed(t *testing.T, e enginetest.Target, body func(t *testing.T, k *keeper)) {
	k := keepWith(t, t.TempDir(), e, far(t, e), execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
	k.is("ready")
	body(t, k)
}

func eachRelayed(t *testing.T, body func(t *testing.T, k *keeper)) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) { relayed(t, e, body) })
}

// The streams of a relayed run are whole, both ways.
func TestRelayedStreams(t *testing.T) {
	eachRelayed(t, func(t *testing.T, k *keeper) {
		data := make([]byte, 20<<20)
		rand.Read(data)
		lease := k.take(true)
		var out, err bytes.Buffer
		c := k.sh("cat; echo err >&2; exit 5")
		c.Spare, c.Stdin, c.Stdout, c.Stderr = lease.Spare, bytes.NewReader(data), &out, &err
		if err := c.Run(t.Context()); err == nil || err.Error() != "exit status 5" {
			t.Errorf("Run() = %v", err)
		}
		if !bytes.Equal(out.Bytes(), data) || err.String() != "err\n" {
			t.Errorf("%d of %d bytes came back; stderr %q", out.Len(), len(data), &err)
		}
		lease.Done()
		if now := k.is("ready"); now.Hits != 1 {
			t.Errorf("%+v", now)
		}
	})
}

// A keeper that is told to stop takes in nobody any more, and relays to the end.
func TestStoppedKeeperRelaysToTheEnd(t *testing.T) {
	eachRelayed(t, func(t *testing.T, k *keeper) {
		lease := k.take(true)
		k.exitsWith5(lease, func() {
			if stopped, err := standby.Stop(k.dir, ""); len(stopped) != 1 || err != nil {
				t.Errorf("Stop() = %+v, %v", stopped, err)
			}
			if infos, err := standby.List(k.dir); len(infos) > 0 || err != nil {
				t.Errorf("List() = %+v, %v", infos, err)
			}
			select {
			case <-k.done:
				t.Error("the keeper has ended before the run")
			default:
			}
		})
		k.ends()
	})
}

// Output that was lost on its way to the keeper is missed, whatever the command's status.
func TestBrokenRelayIsNoSuccess(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		engine := far(t, e)
		k := keepWith(t, t.TempDir(), e, engine, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
		k.is("ready")
		lease := k.take(true)
		engine.broken.Store(true)
		c := k.sh("echo out")
		c.Spare = lease.Spare
		err := c.Run(t.Context())
		if _, lost := errors.AsType[*execproxy.LostError](err); !lost {
			t.Errorf("Run() = %v", err)
		}
		lease.Done()
	})
}

// That somebody asks for the state at the same time is no reason to miss output.
func TestWholeIsAskedWhileTheStateIs(t *testing.T) {
	e := enginetest.Fake(t, enginetest.Container{})
	answer := make(chan struct{})
	k := keepWith(t, t.TempDir(), e, slow{far(t, e), answer}, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
	k.is("ready")
	lease := k.take(true)
	c := k.sh("read line")
	in, end := io.Pipe()
	c.Spare, c.Stdin = lease.Spare, in
	state := lease.Spare.State
	ran := make(chan error, 1)
	go func() { ran <- c.Run(t.Context()) }()
	asked := make(chan struct{})
	go func() {
		close(asked)
		state(t.Context()) // while the command runs the Engine is asked, and takes its time
	}()
	<-asked
	whole := make(chan bool)
	go func() { whole <- lease.Spare.Whole(t.Context()) }()
	close(answer)
	<-whole // whatever it is while the command runs, it is an answer
	end.Close()
	if err := <-ran; err == nil || err.Error() != "exit status 1" {
		t.Errorf("Run() = %v", err)
	}
	lease.Done()
}

// That the Engine does not tell the state, or not in time, is no reason to miss output.
func TestWholeIsKnownWhereTheStateIsNot(t *testing.T) {
	for name, limit := range map[string]time.Duration{"not in time": 50 * time.Millisecond, "never": time.Minute} {
		t.Run(name, func(t *testing.T) {
			e := enginetest.Fake(t, enginetest.Container{})
			k := keepWith(t, t.TempDir(), e, slow{far(t, e), nil}, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
			k.is("ready")
			lease := k.take(true)
			state := lease.Spare.State
			k.exitsWith5(lease, func() {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				if got, err := state(ctx); err == nil {
					t.Errorf("the state is %+v", got)
				}
			})
		})
	}
}

// A client gets a connection that is there already, and where that has died a new one.
func TestKeeperGivesConnections(t *testing.T) {
	e := enginetest.Fake(t, enginetest.Container{})
	engine := far(t, e)
	k := keepWith(t, t.TempDir(), e, engine, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
	k.is("ready")
	ping := func() {
		t.Helper()
		conn, err := standby.Dial(t.Context(), k.dir, k.want)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET /_ping HTTP/1.0\r\n\r\n")
		if answer, err := io.ReadAll(conn); !strings.Contains(string(answer), "200 OK") || err != nil {
			t.Errorf("the Engine answers %q, %v", answer, err)
		}
	}
	for range 3 {
		ping()
	}
	if _, err := standby.Stop(k.dir, ""); err != nil {
		t.Error(err)
	}
	k.ends()
	if conn, err := standby.Dial(t.Context(), k.dir, k.want); err == nil {
		conn.Close()
		t.Error("without a keeper there is a connection")
	}
}

// A secret makes another keeper, and goes to nobody but the keeper that is spawned.
func TestSecretIsTheKeepersAlone(t *testing.T) {
	e := enginetest.Fake(t, enginetest.Container{})
	k := keep(t, e, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
	k.is("ready")
	want := k.want
	want.Secret = []byte("key")
	if lease, err := standby.Take(k.dir, want); lease != nil || err != nil {
		t.Errorf("Take() = %+v, %v", lease, err)
	}
}
