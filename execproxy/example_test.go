//go:build unix

package execproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// In place of enginetest a program makes a client of its own, with client.FromEnv and
// client.WithAPIVersionNegotiation, and has the ID or the name of a container.
func Example() {
	enginetest.Example(func(e enginetest.Target) {
		var problems bytes.Buffer
		c := execproxy.Command(e.Client, e.Container, "sh", "-c", "cat; echo one problem >&2; exit 3")
		c.Stdin = strings.NewReader("input\n")
		c.Stdout, c.Stderr = os.Stdout, &problems
		err := c.Run(context.Background())
		fmt.Print(&problems)
		if exit, ok := errors.AsType[*execproxy.ExitError](err); ok {
			fmt.Println("exit status", exit.Code)
		}
	})
	// Output:
	// input
	// one problem
	// exit status 3
}

// A program passes its signals on with signal.Notify(signals, os.Interrupt, ...). Here
// one is sent when the command is ready for it.
func ExampleCmd_signals() {
	enginetest.Example(func(e enginetest.Target) {
		signals := make(chan os.Signal, 1)
		output, stdout := io.Pipe()
		c := execproxy.Command(e.Client, e.Container, "sh", "-c",
			"trap 'echo cleaning up; exit 4' INT; echo ready; while :; do sleep 0.1; done")
		c.Signals = signals
		c.Stdout = stdout
		go func() {
			fmt.Println(c.Run(context.Background()))
			stdout.Close()
		}()
		for lines := bufio.NewScanner(output); lines.Scan(); {
			fmt.Println(lines.Text())
			if lines.Text() == "ready" {
				signals <- os.Interrupt
			}
		}
	})
	// Output:
	// ready
	// cleaning up
	// exit status 4
}

// A command that is left running is found again by what Start returns.
func ExampleCmd_Start() {
	enginetest.Example(func(e enginetest.Target) {
		c := execproxy.Command(e.Client, e.Container, "sleep", "1000000")
		run, err := c.Start(context.Background())
		fmt.Println("started:", err)

		c = execproxy.Command(e.Client, e.Container) // in another program, say
		fmt.Println("ended:", c.Reap(context.Background(), run))
	})
	// Output:
	// started: <nil>
	// ended: <nil>
}

// What takes the Engine longest, the start of an exec, is done beforehand.
func ExampleCmd_Prepare() {
	enginetest.Example(func(e enginetest.Target) {
		c := execproxy.Command(e.Client, e.Container, "echo", "hello")
		c.Stdout = os.Stdout
		spare, err := c.Prepare(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		// Later, when there is something to run:
		c.Spare = spare
		err = c.Run(context.Background())
		fmt.Println(err, spare.Woken)
	})
	// Output:
	// hello
	// <nil> true
}
