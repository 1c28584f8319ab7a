package enginetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/pkg/stdcopy"
)

// drainLocks tells whether inspect waits while the Engine waits for output.
func drainLocks(e Target) bool {
	return versions.GreaterThanOrEqualTo(e.Client.ClientVersion(), "1.42")
}

// readAll reads a stream without a terminal to its end.
func readAll(t *testing.T, a types.HijackedResponse) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	if _, e := stdcopy.StdCopy(&out, &err, a.Reader); e != nil {
		t.Error(e)
	}
	return out.String(), err.String()
}

// wantLine reads one frame, or from a terminal.
func wantOutput(t *testing.T, a types.HijackedResponse, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(a.Reader, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v, want %q", b, err, want)
	}
}

// frame is what a line of stdout looks like on the wire.
func frame(s string) string { return "\x01\x00\x00\x00\x00\x00\x00" + string(rune(len(s))) + s }

// wantOpen fails if the stream ends within a moment.
func wantOpen(t *testing.T, a types.HijackedResponse) {
	t.Helper()
	a.Conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	b, err := a.Reader.Peek(1)
	if err, ok := err.(net.Error); !ok || !err.Timeout() {
		t.Errorf("read %q, %v from a stream that should be open and silent", b, err)
	}
	a.Conn.SetDeadline(Deadline(t))
}

// uptime is for how long this machine has been up, in seconds; its containers have
// the same clock.
func uptime(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	return firstNumber(t, string(text))
}

// firstNumber reads the first number of a text.
func firstNumber(t *testing.T, text string) (s float64) {
	t.Helper()
	if _, err := fmt.Sscan(text, &s); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s
}

func TestChildHoldsStream(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		id := create(t, e, shell("(sleep 3; echo late; exec sleep 1024) & cat /proc/uptime; exit 3"))
		a := attach(t, e, id, false)
		var ids []string
		var looked float64
		if !drainLocks(e) {
			waitFor(t, "inspect tells the end", func() bool { return !inspect(t, e, id).Running })
			ids, looked = e.ExecIDs(t), uptime(t)
		}
		out, _ := readAll(t, a)
		ended := firstNumber(t, out)
		if held := uptime(t) - ended; held < 1.9 {
			t.Errorf("the stream was held for %.2f s, want 2", held)
		}
		if looked > 0 && looked < ended+1.9 && len(ids) != 1 {
			t.Errorf("ExecIDs while the stream is held = %q", ids)
		}
		if got := inspect(t, e, id).String(); got != "running false, exit code 3, pid set" {
			t.Errorf("afterwards: %s", got)
		}
		waitFor(t, "the exec leaves the container's list", func() bool { return e.ExecIDs(t) == nil })
		waitFor(t, "the child has written and lives on", func() bool {
			return slices.ContainsFunc(e.Processes(t, "1024"), func(p Process) bool { return p.Args[0] == "sleep" })
		})
	})
}

// A process that closes its outputs but runs on does not end the stream.
func TestClosedOutputs(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		id := create(t, e, withInput(shell("echo hi; exec >&- 2>&-; exec sh -c 'read a; exit 4'")))
		a := attach(t, e, id, false)
		wantOutput(t, a, frame("hi\n"))
		waitFor(t, "the process has closed its outputs", func() bool {
			p := e.Processes(t, "read a; exit 4")
			return len(p) == 1 && p[0].Args[len(p[0].Args)-1] == "read a; exit 4"
		})
		wantOpen(t, a)
		if got := inspect(t, e, id).String(); got != "running true, exit code null, pid set" {
			t.Errorf("without outputs: %s", got)
		}
		io.WriteString(a.Conn, "\n")
		readAll(t, a)
		if got := inspect(t, e, id).String(); got != "running false, exit code 4, pid set" {
			t.Errorf("afterwards: %s", got)
		}
	})
}

func TestVanishedClient(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		t.Run("leaves the process", func(t *testing.T) {
			id := create(t, e, shell("echo hi; sleep 1001"))
			a := attach(t, e, id, false)
			wantOutput(t, a, frame("hi\n"))
			a.Close()
			wantLiving(t, e, "1001")
			if got := inspect(t, e, id).String(); got != "running true, exit code null, pid set" {
				t.Errorf("inspect: %s", got)
			}
		})
		t.Run("is the end of input", func(t *testing.T) {
			id := create(t, e, withInput(shell("echo hi; cat; exit 9")))
			a := attach(t, e, id, false)
			wantOutput(t, a, frame("hi\n"))
			a.Close()
			waitFor(t, "the process ends", func() bool { return !inspect(t, e, id).Running })
			if got := inspect(t, e, id).String(); got != "running false, exit code 9, pid set" {
				t.Errorf("inspect: %s", got)
			}
		})
		// The error of the write takes the place of the exit status.
		t.Run("and is written to", func(t *testing.T) {
			want := "running false, exit code 126, pid set"
			if versions.GreaterThanOrEqualTo(e.Client.ClientVersion(), "1.48") {
				want = "running false, exit code 9, pid set"
			}
			id := create(t, e, withInput(shell("echo hi; cat; echo out; echo out; exit 9")))
			a := attach(t, e, id, false)
			wantOutput(t, a, frame("hi\n"))
			a.Close()
			waitFor(t, "inspect tells "+want, func() bool { return inspect(t, e, id).String() == want })
		})
		t.Run("does not stop a process that writes", func(t *testing.T) {
			id := create(t, e, withInput(shell("echo hi; cat; head -c 10000000 /dev/zero; exec sleep 1002")))
			a := attach(t, e, id, false)
			wantOutput(t, a, frame("hi\n"))
			a.Close()
			waitFor(t, "10 MB are written", func() bool {
				p := e.Processes(t, "1002")
				return len(p) == 1 && p[0].Args[0] == "sleep"
			})
		})
		t.Run("with a terminal", func(t *testing.T) {
			id := create(t, e, withTTY(shell("echo hi; trap '' HUP; sleep 1003; exit 9")))
			a := attach(t, e, id, true)
			wantOutput(t, a, "hi\r\n")
			a.Close()
			wantLiving(t, e, "1003")
			if got := inspect(t, e, id).String(); got != "running true, exit code null, pid set" {
				t.Errorf("inspect: %s", got)
			}
		})
	})
}

// wantLiving fails if there is no process with token now and in a moment.
func wantLiving(t *testing.T, e Target, token string) {
	t.Helper()
	waitFor(t, "there is a process with "+token, func() bool { return len(e.Processes(t, token)) > 0 })
	for range 5 {
		if len(e.Processes(t, token)) == 0 {
			t.Fatalf("no process with %s", token)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The end of a terminal's input is the end of its output, not of the process.
func TestTerminalHalfClose(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		id := create(t, e, withTTY(shell("echo hi; cat; exit 5")))
		a := attach(t, e, id, true)
		wantOutput(t, a, "hi\r\n")
		a.CloseWrite()
		if b, err := io.ReadAll(a.Reader); len(b) > 0 || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
		if got := inspect(t, e, id).String(); got != "running true, exit code null, pid set" {
			t.Errorf("inspect: %s", got)
		}
		if ids := e.ExecIDs(t); len(ids) != 1 || ids[0] != id {
			t.Errorf("ExecIDs = %q, want %s", ids, id)
		}
	})
}

// A client that reads late loses what did not fit into the Engine's buffers but
// into the pipes before them: a process that has more to write has not ended.
func TestLateReader(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		type late struct {
			Target
			size int
			a    types.HijackedResponse
		}
		// Where the loss begins depends on the socket's buffer and on the pieces in
		// it: on the measured Engine between 1,230,000 and 1,450,000 bytes. It ends
		// 130,000 bytes later, so there are rounds in which all sizes miss it.
		for lost := 0; lost == 0; {
			var all []late
			// Each has its own container: in one, they would wait for each other.
			for size := 1_260_000; size <= 1_440_000; size += 60_000 {
				e := another(t, e)
				id := create(t, e, output("head", "-c", strconv.Itoa(size), "/dev/zero"))
				all = append(all, late{e, size, attach(t, e, id, false)})
			}
			// What is lost is lost 2 s after the end of the process; a process that
			// has more to write waits for a reader, for good.
			patience := time.Now().Add(4 * time.Second)
			for _, l := range all {
				for len(l.ExecIDs(t)) > 0 && time.Now().Before(patience) {
					time.Sleep(10 * time.Millisecond)
				}
			}
			for _, l := range all {
				out, _ := readAll(t, l.a)
				t.Logf("read %d of %d bytes", len(out), l.size)
				if len(out) < l.size {
					lost++
				}
				if len(out) < 1_000_000 || len(out) < l.size-200_000 {
					t.Fatalf("read %d of %d bytes: too few", len(out), l.size)
				}
			}
		}
	})
}

// another returns one more container on the same engine.
func another(t *testing.T, e Target) Target {
	t.Helper()
	if e.Engine == nil {
		return Real(t, DefaultImage)
	}
	return e.Engine.Target(e.Engine.Add(Container{}))
}

// The Engine handles what happens in a container one after the other: while it
// waits for an output that a child holds, no other exec of the container ends.
func TestHeldStreamHoldsOthers(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		id := create(t, e, withInput(shell("sleep 1021 & echo hi; read a; cat /proc/uptime; exit 3")))
		a := attach(t, e, id, false)
		wantOutput(t, a, frame("hi\n"))
		a.CloseWrite()
		waitFor(t, "the leader has ended", func() bool { return len(e.Processes(t, "read a")) == 0 })
		other := create(t, e, shell("exit 4"))
		readAll(t, attach(t, e, other, false))
		ended, _ := readAll(t, a)
		if held := uptime(t) - firstNumber(t, ended); held < 1.9 {
			t.Errorf("the other exec has ended %.2f s after the leader, want 2", held)
		}
		if got := inspect(t, e, other).String(); got != "running false, exit code 4, pid set" {
			t.Errorf("the other one: %s", got)
		}
	})
}

func TestBigStreams(t *testing.T) {
	t.Parallel()
	const size = 20_000_000
	Each(t, func(t *testing.T, e Target) {
		a := attach(t, e, create(t, e, withInput(shell("cat; exit 3"))), false)
		go func() {
			io.Copy(a.Conn, io.LimitReader(zeros{}, size))
			a.CloseWrite()
		}()
		var biggest, all int
		header := make([]byte, 8)
		for {
			if _, err := io.ReadFull(a.Reader, header); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			n := int(header[5])<<16 | int(header[6])<<8 | int(header[7])
			io.CopyN(io.Discard, a.Reader, int64(n))
			biggest, all = max(biggest, n), all+n
		}
		if all != size || biggest > 32<<10 {
			t.Errorf("read %d bytes in frames of up to %d, want %d of up to 32 KB", all, biggest, size)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// What a process does not read, nor will, is not read from the client either.
func TestUnwantedInput(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		id := create(t, e, withInput(shell("exec <&-; echo hi; exec sleep 1022")))
		a := attach(t, e, id, false)
		wantOutput(t, a, frame("hi\n"))
		a.Conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := io.Copy(a.Conn, io.LimitReader(zeros{}, 20_000_000))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d bytes, %v, want to be held up", n, err)
		}
	})
}

func TestTerminalSize(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		if versions.GreaterThanOrEqualTo(e.Client.ClientVersion(), "1.42") {
			t.Skip("has the size from its creation on")
		}
		o := withTTY(shell("stty size; read a; stty size; exit 3"))
		// The client does not even send it to such an engine.
		o.ConsoleSize = &[2]uint{11, 22}
		var created container.ExecCreateResponse
		body, _ := json.Marshal(o)
		resp, err := e.Client.HTTPClient().Post("http://engine/v"+e.Client.ClientVersion()+"/containers/"+e.Container+"/exec",
			"application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(resp.Body).Decode(&created)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		id := created.ID
		a := attach(t, e, id, true)
		first, err := a.Reader.ReadString('\n')
		if err != nil || strings.HasPrefix(first, "11 22") {
			t.Errorf("size at the start: %q, %v, want none", first, err)
		}
		if err := e.Client.ContainerExecResize(t.Context(), id, container.ResizeOptions{Height: 33, Width: 44}); err != nil {
			t.Error(err)
		}
		io.WriteString(a.Conn, "\n")
		wantOutput(t, a, "\r\n33 44\r\n")
	})
	t.Run("API 1.42", func(t *testing.T) {
		e := startFake(t, "1.42", Container{})
		o := withTTY(output("stty", "size"))
		o.ConsoleSize = &[2]uint{11, 22}
		wantOutput(t, attach(t, e, create(t, e, o), true), "11 22\r\n")
	})
}

// startFake starts an Engine of another API version.
func startFake(t *testing.T, version string, c Container) Target {
	t.Helper()
	e := &Engine{APIVersion: version}
	e.Start(t)
	return e.Target(e.Add(c))
}

func TestNothingAttached(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, e Target) {
		id := create(t, e, container.ExecOptions{Cmd: []string{"sh", "-c", "echo hi; exec sleep 1004"}})
		a := attach(t, e, id, false)
		if out, _ := readAll(t, a); out != "" {
			t.Errorf("read %q", out)
		}
		if got := inspect(t, e, id).String(); got != "running true, exit code null, pid set" {
			t.Errorf("inspect: %s", got)
		}
	})
}

// The temporary directory of the engine is short enough for any test's socket.
func TestSocketIsShort(t *testing.T) {
	e := startFake(t, "", Container{})
	if path := strings.TrimPrefix(e.Host, "unix://"); len(path) > 90 {
		t.Errorf("socket %s has %d bytes", path, len(path))
	} else if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
