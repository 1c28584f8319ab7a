// Command docker-toxrun is the Docker CLI plugin `docker toxrun`: it runs a
// command in the container of a Compose service as if it ran here.
//
// What happens to a command line is a line itself, each step's result the next
// one's argument:
//
//	argv -> options -> engines -> plan -> runs -> exit status
//
// This package holds the ends of the line: the options, this machine's terminal
// and signals, and the exit status. Finding the target is package compose, the
// run is package execproxy.
package main

import (
	"context"
	"io"
	"log"
	"os"

	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	toxrun "github.com/toxrun/docker-toxrun"
)

func main() {
	std := stdio{os.Stdin, os.Stdout, os.Stderr}
	called, err := findShim(os.Args[0])
	switch {
	case err != nil:
		os.Exit(status(err, messages{Writer: std.err, ending: "\n"}))
	case called != nil:
		os.Exit(called.run(os.Args[1:], std))
	}
	os.Exit(run(os.Args[1:], std))
}

// A stdio is the program's three standard streams.
type stdio struct {
	in, out, err *os.File
}

// run does what args say and returns the exit status.
func run(args []string, std stdio) int {
	if len(args) == 1 && args[0] == metadata.MetadataSubcommandName {
		_, _ = std.out.Write(toxrun.PluginJSON)
		return 0
	}
	root, options := newRoot(std)
	return execute(root, options, withoutPluginName(args, options), std)
}

// execute does what args say to root, which fills options.
func execute(root *cobra.Command, options *options, args []string, std stdio) int {
	// What libraries log is not for the user, net/http's "Unsolicited response received
	// on idle HTTP channel", say, or what docker's ssh client can't close.
	log.SetOutput(io.Discard)
	logrus.SetOutput(io.Discard)
	holdPipe()
	options.completes(root, args)
	root.SetArgs(args)
	return status(root.ExecuteContext(context.Background()), options.messages(std.err))
}
