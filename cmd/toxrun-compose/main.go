// Command toxrun-compose reads Compose files for docker-toxrun, which starts it
// for that and finds it beside itself. What it is asked comes on stdin, the
// answer goes to stdout; see package loadexec. Its name is no "docker-...": of
// these docker takes each in its plugins' directory for a plugin.
package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/toxrun/docker-toxrun/compose/load"
	"github.com/toxrun/docker-toxrun/compose/loadexec"
)

func main() { os.Exit(run(os.Args[1:])) }

// run does what the program is for and returns the exit status.
func run(args []string) int {
	if len(args) > 0 || term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprintln(os.Stderr, "toxrun-compose: a part of docker-toxrun that reads Compose files for it; there is nothing to do with it by hand")
		return 2
	}
	if err := loadexec.Serve(context.Background(), os.Stdin, os.Stdout, load.Model); err != nil {
		fmt.Fprintln(os.Stderr, "toxrun-compose:", err)
		return 1
	}
	return 0
}
