package standby_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

func kill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

// socket is where the keeper listens.
func (k *keeper) socket() string {
	k.t.Helper()
	sockets, _ := filepath.Glob(filepath.Join(k.dir, "*.sock"))
	if len(sockets) != 1 {
		k.t.Fatalf("sockets %q", sockets)
	}
	return sockets[0]
}

func (k *keeper) connect() *net.UnixConn {
	k.t.Helper()
	conn, err := net.Dial("unix", k.socket())
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { conn.Close() })
	return conn.(*net.UnixConn)
}

// nothingRuns waits until nothing is left in the container of what has text in its
// arguments.
func (k *keeper) nothingRuns(text string) {
	k.t.Helper()
	for deadline := enginetest.Deadline(k.t); len(k.e.Processes(k.t, text)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			k.t.Fatalf("left in the container: %+v", k.e.Processes(k.t, text))
		}
	}
}

// Wherever a client is killed, nothing of it is left, and the next one gets a
// spare.
func TestKilledClientIsNoLoss(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		asking, err := json.Marshal(map[string]any{"Version": standby.Version, "Verb": "take", "Want": k.want})
		if err != nil {
			t.Fatal(err)
		}
		const script = `trap "" HUP; echo begun; sleep 1000$1`
		for name, die := range map[string]func(){
			"connected":         func() { k.connect().Close() },
			"in its question":   func() { c := k.connect(); c.Write(asking[:20]); c.Close() },
			"in nonsense":       func() { c := k.connect(); c.Write([]byte("GET / HTTP/1.1\n\n")); c.Close() },
			"having just asked": func() { c := k.connect(); c.Write(append(asking, '\n')); c.Close() },
			"having an answer": func() {
				c := k.connect()
				c.Write(append(asking, '\n'))
				c.Read(make([]byte, 1)) // the descriptor goes with it
				c.Close()
			},
			"having a spare": func() { lease := k.take(true); lease.Spare.Close(); standby.Abandon(lease) },
			"in a run": func() {
				lease := k.take(true)
				c := k.sh(script, name4(lease.Token))
				c.Spare = lease.Spare
				k.begin(c)
				c.Spare.Close() // as the kernel does
				standby.Abandon(lease)
				k.nothingRuns(name4(lease.Token))
			},
			"in a plain run": func() {
				lease := k.take(true)
				other := k.take(false)
				c := k.sh(script, name4(other.Token))
				c.Token = other.Token
				k.begin(c)
				standby.Abandon(other)
				k.nothingRuns(name4(other.Token))
				lease.Spare.Close()
				lease.Done()
			},
		} {
			t.Run(name, func(t *testing.T) {
				before := k.is("ready")
				die()
				if strings.HasPrefix(name, "having") { // it may not have been heard yet
					k.until(func(i standby.Info) bool { return i.Hits+i.Misses > before.Hits+before.Misses })
				}
				k.is("ready")
				if now := k.is("ready"); now.Hits > before.Hits && (name == "having just asked" || name == "having an answer") {
					t.Errorf("who gives up is no hit: %+v", now)
				}
				lease := k.take(true)
				c := k.sh("exit 5")
				c.Spare = lease.Spare
				if err := c.Run(t.Context()); err == nil || err.Error() != "exit status 5" {
					t.Errorf("the next run: %v", err)
				}
				lease.Done()
				k.is("ready")
			})
		}
	})
}

func name4(token string) string { return token[:4] }

// A keeper that was killed leaves its socket. It is as none.
func TestSocketOfAKilledKeeperIsAsNone(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		socket := k.socket()
		if _, err := standby.Stop(k.dir, ""); err != nil {
			t.Fatal(err)
		}
		k.ends()
		left, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		left.SetUnlinkOnClose(false)
		left.Close()
		if lease, err := standby.Take(k.dir, k.want); lease != nil || err != nil {
			t.Errorf("Take() = %+v, %v", lease, err)
		}
		k.start()
		k.is("ready")
		k.take(true).Spare.Close()
		left.Close()
	})
}

func TestListRemovesTheSocketOfAKilledKeeper(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	dir, err := standby.Dir()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "0123456789abcdef.sock")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	if infos, err := standby.List(dir); len(infos) > 0 || err != nil {
		t.Errorf("List() = %v, %v", infos, err)
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// One that does not answer holds nobody up for good, and is not mistaken for none:
// a second keeper would not help.
func TestKeeperThatHangsHoldsNoRunUp(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		socket := k.socket()
		standby.Stop(k.dir, "")
		k.ends()
		hung, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer hung.Close()
		if lease, err := standby.Take(k.dir, k.want); lease != nil || err == nil {
			t.Errorf("Take() = %+v, %v", lease, err)
		}
	})
}

func TestKeeperOfAnotherVersionMakesRoom(t *testing.T) {
	each(t, func(t *testing.T, k *keeper) {
		c := k.connect()
		c.Write([]byte(`{"Version":99,"Verb":"take"}` + "\n"))
		k.ends()
	})
}

// begin runs c until it has said something, and goes on without waiting for it.
func (k *keeper) begin(c *execproxy.Cmd) {
	k.t.Helper()
	said := make(chan struct{})
	c.Stdout = first{said}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Run(context.Background()) // its connection breaks, or its command is killed
	}()
	k.t.Cleanup(func() { <-ended })
	select {
	case <-said:
	case <-enginetest.Late(k.t):
		k.t.Fatal("the command has not begun")
	}
}

// A first closes a channel at the first Write.
type first struct{ said chan struct{} }

func (f first) Write(p []byte) (int, error) {
	select {
	case <-f.said:
	default:
		close(f.said)
	}
	return len(p), nil
}
