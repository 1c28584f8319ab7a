//go:build linux || darwin

package standby_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

// The keeper is a goroutine here. A program leaves one behind with Spawn, as a process
// that calls Keep, and has its directory from Dir.
func Example() {
	enginetest.Example(func(e enginetest.Target) {
		parent, err := os.MkdirTemp("", "standby")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(parent)
		dir := filepath.Join(parent, "keepers")
		if err := os.Mkdir(dir, 0o700); err != nil {
			panic(err)
		}

		c := execproxy.Command(e.Client, e.Container, "echo", "hello")
		c.Stdout = os.Stdout
		want := standby.WantFor(c, e.Host, e.Client.ClientVersion(), time.Minute)
		ended := make(chan error)
		go func() {
			ended <- standby.Keep(context.Background(), dir, e.Client, want, log.New(io.Discard, "", 0))
		}()
		for ready := false; !ready; time.Sleep(time.Millisecond) {
			keepers, _ := standby.List(dir)
			ready = len(keepers) == 1 && keepers[0].State == "ready"
		}

		lease, err := standby.Take(dir, want)
		if err != nil {
			panic(err)
		}
		c.Spare, c.Token = lease.Spare, lease.Token
		fmt.Println(c.Run(context.Background()), c.Spare.Woken)
		lease.Done()

		stopped, _ := standby.Stop(dir, e.Container)
		fmt.Println("stopped:", len(stopped), <-ended)
	})
	// Output:
	// hello
	// <nil> true
	// stopped: 1 <nil>
}
