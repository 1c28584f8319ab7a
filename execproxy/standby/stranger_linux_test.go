package standby_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

// beStranger is what the test binary does as another user: it tries to reach the
// keeper in dir, and tells how that went.
func beStranger(dir, what string, want []byte) {
	var w standby.Want
	if err := json.Unmarshal(want, &w); err != nil {
		panic(err)
	}
	switch what {
	case "take":
		lease, err := standby.Take(dir, w)
		fmt.Printf("%v %v", lease != nil, err)
	case "list":
		infos, err := standby.List(dir)
		fmt.Printf("%d %v", len(infos), err)
	case "stop":
		stopped, err := standby.Stop(dir, "")
		fmt.Printf("%d %v", len(stopped), err)
	case "ask": // without our own looking at who answers
		sockets, _ := filepath.Glob(filepath.Join(dir, "*.sock"))
		conn, err := net.Dial("unix", sockets[0])
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(conn, `{"Version":%d,"Verb":"take","Want":%s}`+"\n", standby.Version, want)
		said, err := io.ReadAll(conn)
		fmt.Printf("%q %v", said, err)
	case "pose": // as a keeper
		listener, err := net.Listen("unix", os.Getenv("SOCKET"))
		if err != nil {
			panic(err)
		}
		os.Chmod(os.Getenv("SOCKET"), 0o777)
		fmt.Println("listens")
		listener.(*net.UnixListener).SetDeadline(time.Now().Add(10 * time.Minute))
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		said, _ := io.ReadAll(conn)
		fmt.Printf("heard %q", said)
	}
}

// asStranger runs beStranger as another user.
func (k *keeper) asStranger(what string, env ...string) *exec.Cmd {
	k.t.Helper()
	// The binary's own directory is not open to others.
	place, err := os.MkdirTemp("", "stranger")
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { os.RemoveAll(place) })
	program := filepath.Join(place, "program")
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		syscall.ForkLock.RLock() // a child that has the file open for writing would make it busy
		err = os.WriteFile(program, self, 0o755)
		syscall.ForkLock.RUnlock()
	}
	if err == nil {
		err = os.Chmod(program, 0o755) // whatever the umask
	}
	if err == nil {
		err = os.Chmod(place, 0o755)
	}
	want, failed := json.Marshal(k.want)
	if err != nil || failed != nil {
		k.t.Fatal(err, failed)
	}
	cmd := exec.Command(program)
	cmd.Env = append(env, "TOXRUN_TEST_STRANGER="+what, "DIR="+k.dir, "WANT="+string(want))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	return cmd
}

func TestStrangersDoNotReachAKeeper(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("becoming another user takes root")
	}
	base, err := os.MkdirTemp("", "keeper")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	e := enginetest.Fake(t, enginetest.Container{})
	k := keepIn(t, base, e, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
	k.is("ready")
	says := func(what string) string {
		out, err := k.asStranger(what).Output()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return string(out)
	}
	if said := says("take"); said != "false dial unix "+k.socket()+": connect: permission denied" {
		t.Errorf("take: %s", said)
	}
	if said := says("list"); said != "0 <nil>" { // it sees no socket
		t.Errorf("list: %s", said)
	}

	// Even with all doors open, each side looks who the other one is.
	for _, path := range []string{base, k.dir, k.socket()} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, what := range []string{"take", "list", "stop"} {
		if said := says(what); !strings.Contains(said, "the other end is user 0") || strings.HasPrefix(said, "true") {
			t.Errorf("%s with open doors: %s", what, said)
		}
	}
	if said := says("ask"); !strings.HasPrefix(said, `"" `) {
		t.Errorf("the keeper says %s", said)
	}
	if info := k.is("ready"); info.Hits != 0 || info.Misses != 0 {
		t.Errorf("%+v", info)
	}

	// And nobody can pass for a keeper of ours.
	socket := k.socket()
	if _, err := standby.Stop(k.dir, ""); err != nil {
		t.Fatal(err)
	}
	k.ends()
	pose := k.asStranger("pose", "SOCKET="+socket)
	out, err := pose.StdoutPipe()
	if err == nil {
		err = pose.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line := make([]byte, len("listens\n")); true {
		io.ReadFull(out, line)
	}
	lease, err := standby.Take(k.dir, k.want)
	if lease != nil || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the other end is user %d", stranger)) {
		t.Errorf("Take() = %+v, %v", lease, err)
	}
	heard, _ := io.ReadAll(out)
	if string(heard) != `heard ""` {
		t.Errorf("the stranger %s", heard)
	}
	if err := pose.Wait(); err != nil {
		t.Error(err)
	}
}
