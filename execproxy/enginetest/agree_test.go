package enginetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/pkg/stdcopy"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An inspection is exec inspect with its null kept.
type inspection struct {
	Running  bool
	ExitCode *int
	Pid      int
}

// String leaves out the process ID but for whether there is one.
func (i inspection) String() string {
	code, pid := "null", "0"
	if i.ExitCode != nil {
		code = fmt.Sprint(*i.ExitCode)
	}
	if i.Pid != 0 {
		pid = "set"
	}
	return fmt.Sprintf("running %v, exit code %s, pid %s", i.Running, code, pid)
}

// get asks the engine what the client has no call for.
func get(t *testing.T, e Target, path string, into any) error {
	t.Helper()
	hc := e.Client.HTTPClient()
	resp, err := hc.Get("http://engine/v" + e.Client.ClientVersion() + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%d %s", resp.StatusCode, strings.TrimSpace(string(b)))
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func inspect(t *testing.T, e Target, id string) inspection {
	t.Helper()
	var i inspection
	if err := get(t, e, "/exec/"+id+"/json", &i); err != nil {
		t.Fatal(err)
	}
	return i
}

// waitFor calls f until it returns true.
func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := Deadline(t); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func create(t *testing.T, e Target, opts container.ExecOptions) string {
	t.Helper()
	x, err := e.Client.ContainerExecCreate(t.Context(), e.Container, opts)
	if err != nil {
		t.Fatal(err)
	}
	return x.ID
}

func attach(t *testing.T, e Target, id string, tty bool) types.HijackedResponse {
	t.Helper()
	a, err := e.Client.ContainerExecAttach(t.Context(), id, container.ExecAttachOptions{Tty: tty})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	a.Conn.SetDeadline(Deadline(t))
	return a
}

// output attaches both outputs of a command without a terminal.
func output(cmd ...string) container.ExecOptions {
	return container.ExecOptions{Cmd: cmd, AttachStdout: true, AttachStderr: true}
}

func shell(script string) container.ExecOptions { return output("sh", "-c", script) }

func withInput(o container.ExecOptions) container.ExecOptions { o.AttachStdin = true; return o }
func withTTY(o container.ExecOptions) container.ExecOptions   { o.Tty = true; return withInput(o) }

// TestAgree runs commands on the fake and the real Engine and wants the same
// from both.
func TestAgree(t *testing.T) {
	t.Parallel()
	const runtime = "OCI runtime exec failed: exec failed: unable to start container process: "
	tests := []struct {
		name   string
		opts   container.ExecOptions
		input  string // followed by the end of input, unless on a terminal
		stdout string
		stderr string
		want   string // of inspect afterwards
	}{
		{name: "success", opts: shell("exit 0"), want: "0"},
		{name: "exit status", opts: shell("exit 7"), want: "7"},
		{name: "killed", opts: shell("kill -TERM $$"), want: "143"},
		{name: "two streams", opts: shell("echo out; echo err >&2"), stdout: "out\n", stderr: "err\n", want: "0"},
		{name: "only stdout attached", opts: container.ExecOptions{Cmd: []string{"sh", "-c", "echo out; echo err >&2"}, AttachStdout: true},
			stdout: "out\n", want: "0"},
		{name: "nothing attached to stdin", opts: shell("cat; echo end"), stdout: "end\n", want: "0"},
		{name: "stdin reaches EOF", opts: withInput(shell("cat; echo end")), input: "a\nb", stdout: "a\nbend\n", want: "0"},
		{name: "empty stdin reaches EOF", opts: withInput(shell("cat; echo end")), stdout: "end\n", want: "0"},
		{name: "stdin not read to its end", opts: withInput(shell("read a; echo $a")), input: "a\n" + strings.Repeat("b", 1<<20), stdout: "a\n", want: "0"},
		{name: "a terminal has one stream", opts: withTTY(shell("echo out; echo err >&2; test -t 0 && test -t 1 && test -t 2 && exit 9")),
			stdout: "out\r\nerr\r\n", want: "9"},
		{name: "a terminal echoes", opts: withTTY(shell("read a; echo \"got $a\"")), input: "x\n", stdout: "x\r\ngot x\r\n", want: "0"},
		{name: "session leader", opts: shell(`ps -o pid,sid 2>/dev/null | grep "^ *$$ *$$\$" >/dev/null || test "$(cut -d' ' -f6 /proc/$$/stat)" = $$`), want: "0"},

		{name: "environment", opts: container.ExecOptions{Cmd: []string{"sh", "-c", "echo $A-$B-$PATH-${HOSTNAME:+host}-$HOME-$TERM"}, AttachStdout: true, AttachStderr: true,
			Env: []string{"A=1", "B=2", "HOME=/x"}}, stdout: "1-2-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin-host-/x-\n", want: "0"},
		{name: "environment of a terminal", opts: withTTY(shell("echo $TERM")), stdout: "xterm\r\n", want: "0"},
		{name: "a variable without a value is removed", opts: container.ExecOptions{Cmd: []string{"sh", "-c", "echo ${TERM-none}"},
			Tty: true, AttachStdout: true, Env: []string{"TERM"}}, stdout: "none\r\n", want: "0"},
		{name: "uid and gid", opts: container.ExecOptions{Cmd: []string{"sh", "-c", "id -u; id -g; id -G; echo $HOME"}, AttachStdout: true, User: "12345:23456"},
			stdout: "12345\n23456\n23456\n/\n", want: "0"},
		{name: "uid alone", opts: container.ExecOptions{Cmd: []string{"sh", "-c", "id -u; id -g"}, AttachStdout: true, User: "12345"},
			stdout: "12345\n0\n", want: "0"},
		{name: "working directory", opts: container.ExecOptions{Cmd: []string{"pwd"}, AttachStdout: true, WorkingDir: "/tmp"}, stdout: "/tmp\n", want: "0"},
		{name: "no working directory", opts: output("pwd"), stdout: "/\n", want: "0"},

		// What does not start is told on stdout, whichever streams there are.
		{name: "missing program", opts: output("nope"), stdout: runtime + "exec: \"nope\": executable file not found in $PATH: unknown\r\n", want: "missing"},
		{name: "missing program on a terminal", opts: withTTY(output("nope")),
			stdout: runtime + "exec: \"nope\": executable file not found in $PATH: unknown\r\n", want: "missing"},
		{name: "missing file", opts: output("/no/pe"), stdout: runtime + "exec: \"/no/pe\": stat /no/pe: no such file or directory: unknown\r\n", want: "missing"},
		{name: "no right to execute", opts: output("/etc/passwd"), stdout: runtime + "exec: \"/etc/passwd\": permission denied: unknown\r\n", want: "no right"},
		{name: "a directory", opts: output("/etc"), stdout: runtime + "exec: \"/etc\": permission denied: unknown\r\n", want: "no right"},
		{name: "missing directory", opts: container.ExecOptions{Cmd: []string{"true"}, AttachStdout: true, WorkingDir: "/no/pe"},
			stdout: runtime + "chdir to cwd (\"/no/pe\") set in config.json failed: no such file or directory: unknown\r\n", want: "missing"},
		{name: "a file as directory", opts: container.ExecOptions{Cmd: []string{"true"}, AttachStdout: true, WorkingDir: "/etc/passwd"},
			stdout: runtime + "chdir to cwd (\"/etc/passwd\") set in config.json failed: not a directory: unknown: Are you trying to mount a directory onto a file " +
				"(or vice-versa)? Check if the specified host path exists and is the expected type\r\n", want: "missing"},
		{name: "relative directory", opts: container.ExecOptions{Cmd: []string{"true"}, AttachStdout: true, WorkingDir: "tmp"},
			stdout: "OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown\r\n", want: "no right"},
		{name: "unknown user", opts: container.ExecOptions{Cmd: []string{"true"}, AttachStdout: true, User: "no-such"},
			stdout: "unable to find user no-such: no matching entries in passwd file\r\n", want: "no right"},
		{name: "unknown group", opts: container.ExecOptions{Cmd: []string{"true"}, AttachStdout: true, User: "0:no-such"},
			stdout: "unable to find group no-such: no matching entries in group file\r\n", want: "no right"},
		{name: "impossible uid", opts: container.ExecOptions{Cmd: []string{"true"}, AttachStdout: true, User: "99999999999"},
			stdout: "uids and gids must be in range 0-2147483647\r\n", want: "no right"},
	}
	Each(t, func(t *testing.T, e Target) {
		if e.Engine != nil && os.Getuid() != 0 {
			t.Skip("only root can become another user")
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				id := create(t, e, test.opts)
				if got := inspect(t, e, id).String(); got != "running false, exit code null, pid 0" {
					t.Errorf("before the start: %s", got)
				}
				a := attach(t, e, id, test.opts.Tty)
				if test.opts.AttachStdin {
					go func() {
						// Blocks where the process does not read it, until the end of the test.
						if _, err := io.WriteString(a.Conn, test.input); err == nil && !test.opts.Tty {
							a.CloseWrite()
						}
					}()
				}
				var stdout, stderr bytes.Buffer
				var err error
				if test.opts.Tty {
					_, err = io.Copy(&stdout, a.Reader)
				} else {
					_, err = stdcopy.StdCopy(&stdout, &stderr, a.Reader)
				}
				if err != nil {
					t.Error(err)
				}
				if stdout.String() != test.stdout {
					t.Errorf("stdout %q, want %q", stdout.String(), test.stdout)
				}
				if stderr.String() != test.stderr {
					t.Errorf("stderr %q, want %q", stderr.String(), test.stderr)
				}
				want := "running false, exit code " + test.want + ", pid set"
				switch new := versions.GreaterThanOrEqualTo(e.Client.ClientVersion(), "1.48"); {
				case test.want == "missing" && new:
					want = "running false, exit code 127, pid 0"
				case test.want == "missing", test.want == "no right":
					want = "running false, exit code 126, pid 0"
				}
				if got := inspect(t, e, id).String(); got != want {
					t.Errorf("afterwards: %s, want %s", got, want)
				}
				waitFor(t, "the exec leaves the container's list", func() bool { return e.ExecIDs(t) == nil })
			})
		}
	})
}
