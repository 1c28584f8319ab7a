package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
)

// A command is what to run, once the target is known.
type command struct {
	args func(compose.Config) []string
	// interactive commands take a terminal where there is one; the others only
	// with --tty, so that their streams stay apart.
	interactive bool
	env         []string // as o.env, and before it
	// queued commands take turns in a container.
	queued bool
	// mapped commands are a person's or a program's of this machine, whose paths are
	// mapped as --map-paths has it; toxrun's own are not.
	mapped bool
	// history is kept for a shell, where x-toxrun has it so.
	history bool
}

// serviceCommand is the service's own command with args, `toxrun -- ARG...`.
func serviceCommand(args []string) command {
	return command{queued: true, mapped: true, args: func(c compose.Config) []string {
		if len(c.Command) == 0 {
			return append([]string{"tox"}, args...)
		}
		return append(c.Command[:len(c.Command):len(c.Command)], args...)
	}}
}

func newExec(o *options, std stdio) *cobra.Command {
	exec := &cobra.Command{
		Use:   "exec [OPTIONS] COMMAND [ARG...]",
		Short: "Run any command",
		Example: `  docker toxrun exec ls -la
  docker toxrun exec -u root apt-get update
  docker toxrun exec sh -c 'cat > /tmp/data' < data`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("exec needs a command", cmd.CommandPath()+" ls -la")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.execute(cmd.Context(), std, command{
				args:        func(compose.Config) []string { return args },
				interactive: true,
				mapped:      true,
			})
			return o.serviceMeant(cmd, args, err)
		},
	}
	exec.ValidArgsFunction = o.completeExec
	exec.Flags().SetInterspersed(false) // all behind COMMAND is the command's
	o.addExecHabits(exec)
	exec.Flags().BoolVarP(&o.detach, "detach", "d", false, "start the command, print its run ID and leave it running")
	return exec
}

// serviceMeant adds a hint to the error of a program that is not there, where its
// name is a service's: docker compose exec has the service there.
func (o *options) serviceMeant(cmd *cobra.Command, args []string, err error) error {
	start, ok := errors.AsType[*execproxy.StartError](err)
	if !ok || start.Code != 127 || o.container != "" {
		return err
	}
	received, stop := receiveSignals()
	defer stop()
	services, _ := until(received, func() ([]string, error) { return o.services(cmd.Context()), nil })
	if !slices.Contains(services, args[0]) {
		return err
	}
	hint := cmd.CommandPath() + " -s " + compose.CommandLine(args)
	if len(args) == 1 {
		hint = cmd.Parent().CommandPath() + " shell -s " + compose.CommandLine(args)
	}
	return hinted(err, hint)
}

// findShell becomes the first shell that is there, with its arguments.
const findShell = `for s in bash zsh ash; do command -v $s >/dev/null 2>&1 && exec $s "$@"; done; exec sh "$@"`

func newShell(o *options, std stdio) *cobra.Command {
	var login bool
	shell := &cobra.Command{
		Use:     "shell [OPTIONS]",
		Short:   "Open a shell: bash, else zsh, ash or sh",
		Example: "  docker toxrun shell\n  docker toxrun shell -l\n  docker toxrun shell -u root -w /",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.oneOnly(cmd); err != nil {
				return err
			}
			var options []string
			if login {
				options = []string{"-l"} // which all of them know
			}
			return o.execute(cmd.Context(), std, command{
				args: func(c compose.Config) []string {
					if c.Shell != "" {
						return append([]string{c.Shell}, options...)
					}
					return append([]string{"sh", "-c", findShell, "sh"}, options...)
				},
				interactive: true,
				mapped:      o.mapPaths != "",
				history:     true,
			})
		},
	}
	o.addExecHabits(shell)
	level := o.dockerFlags.Lookup("log-level") // whose -l is needed here
	shell.Flags().Var(level.Value, level.Name, level.Usage)
	shell.Flags().BoolVarP(&login, "login", "l", false, "start it as a login shell")
	return shell
}

func noArgs(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return nil
	case 1: // a service most likely, as docker compose has it there
		return usage(cmd.Name()+" takes no arguments", cmd.CommandPath()+" -s "+compose.CommandLine(args))
	}
	return usage(cmd.Name()+" takes no arguments", cmd.Parent().CommandPath()+" exec "+compose.CommandLine(args))
}

// A report is what `target` prints.
type report struct {
	Engine        string   `json:"engine"`
	APIVersion    string   `json:"apiVersion"`
	Project       string   `json:"project"`
	Service       string   `json:"service"`
	Container     string   `json:"container"`
	ContainerName string   `json:"containerName"`
	Workdir       string   `json:"workdir"`
	User          string   `json:"user"`
	Command       []string `json:"command"`
	Cached        bool     `json:"cached"`
}

func newTarget(o *options, std stdio) *cobra.Command {
	var format string
	target := &cobra.Command{
		Use:     "target [OPTIONS]",
		Short:   "Show what would be run where",
		Example: "  docker toxrun target\n  docker toxrun target --format json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(onlyJSON(format), o.oneOnly(cmd), o.noRun(cmd)); err != nil {
				return err
			}
			received, stop := receiveSignals()
			defer stop()
			engines, err := until(received, o.engines)
			if err != nil {
				return err
			}
			engine := engines[0]
			target, err := until(received, func() (*compose.Target, error) {
				target, err := o.find(cmd.Context(), engine, std)
				if err == nil && target.Cached && !engine.runs(cmd.Context(), target) {
					target, err = o.refind(cmd.Context(), engine, std)
				}
				return target, err
			})
			if err != nil {
				return err
			}
			where, err := o.place(target)
			if err != nil {
				return err
			}
			r := report{
				Engine: engine.host, APIVersion: target.APIVersion,
				Project: target.Project, Service: target.Service,
				Container: target.Container, ContainerName: target.ContainerName,
				Workdir: where.dir, User: where.user,
				Command: serviceCommand(nil).args(target.Config), Cached: target.Cached,
			}
			r.Workdir = cmp.Or(r.Workdir, target.Workdir, "/")
			r.User = cmp.Or(r.User, target.User, "root")
			if format == "json" {
				encoder := newJSON(std.out)
				encoder.SetIndent("", "  ")
				return encoder.Encode(r)
			}
			return r.print(std)
		},
	}
	target.Flags().StringVar(&format, "format", "", "`json`, or a table if left out")
	return target
}

// onlyJSON is the error of a --format that is neither json nor left out.
func onlyJSON(format string) error {
	if format == "" || format == "json" {
		return nil
	}
	return usage(fmt.Sprintf("--format %s: there is only json", format), "")
}

func (r report) print(std stdio) error {
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"engine", r.Engine + " (API " + r.APIVersion + ")"},
		{"project", r.Project},
		{"service", r.Service},
		{"container", r.ContainerName + " (" + r.Container[:min(12, len(r.Container))] + ")"},
		{"user", r.User},
		{"workdir", r.Workdir},
		{"command", compose.CommandLine(r.Command)},
		{"cached", strconv.FormatBool(r.Cached)},
	} {
		if row[1] == "" {
			row[1] = "-"
		}
		fmt.Fprintf(table, "%s\t%s\n", row[0], visible(row[1]))
	}
	return table.Flush()
}
