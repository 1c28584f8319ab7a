package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/docker/cli/cli-plugins/metadata"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/toxrun/docker-toxrun/compose"
)

// pluginName is the word after docker, and programName this program's file.
const (
	pluginName  = "toxrun"
	programName = "docker-" + pluginName
)

// newRoot is the command tree, with the options it fills.
func newRoot(std stdio) (*cobra.Command, *options) {
	o := newOptions()
	root := &cobra.Command{
		Use:   pluginName + " [OPTIONS] [-- ARG...]",
		Short: "Run a command in a Compose service's container as if it were local",
		Long: `Run the command of a Compose service, tox unless configured otherwise, in the
service's running container, as if it ran here: its stdout and stderr stay
apart, stdin, signals and the exit status are passed through.`,
		Example: `  docker toxrun -- -e py39                 # tox -e py39 in the service's container
  docker toxrun exec pytest -x tests       # any command
  docker toxrun shell                      # bash, or what other shell there is
  docker toxrun -s tests --timeout 5m --   # another service, five minutes at most
  docker toxrun --context a,b --all --     # in all containers of it, in two engines
  docker toxrun target                     # what would run where`,
		Args: func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash > 0 || dash < 0 && len(args) > 0 {
				return unknownWord(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.execute(cmd.Context(), std, serviceCommand(args))
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			o.all = cmd.Flags()
			return o.complete()
		},
		ValidArgsFunction:          o.completeArgs,
		SuggestionsMinimumDistance: 2,

		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	if os.Getenv(metadata.ReexecEnvvar) != "" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "docker " + pluginName}
	} else {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: programName}
	}
	for _, set := range []*pflag.FlagSet{o.targetFlags, o.runFlags, o.dockerFlags} {
		root.PersistentFlags().AddFlagSet(set)
	}
	root.PersistentFlags().SortFlags = false
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(o.usage)
	root.AddCommand(newWatch(o, std), newExec(o, std), newShell(o, std), newDo(o, std), newAlias(std), newShim(o, std), newPs(o, std), newCancel(o, std), newPing(o, std), newTarget(o, std), newStandby(std), newKeeper(std))
	return root, o
}

// withoutPluginName takes the plugin's own name out of args, where docker has
// put it: behind docker's options, `help` or `__complete`. Started by hand there
// is none.
func withoutPluginName(args []string, o *options) []string {
	rest := pflag.NewFlagSet("docker", pflag.ContinueOnError)
	rest.SetInterspersed(false)
	rest.ParseErrorsWhitelist.UnknownFlags = false
	rest.Usage = func() {}
	o.dockerFlags.VisitAll(func(f *pflag.Flag) {
		skip := *f
		skip.Value = &ignored{f.Value.Type()}
		rest.AddFlag(&skip)
	})
	if rest.Parse(args) != nil {
		return args
	}
	at := len(args) - rest.NArg()
	for at < len(args) {
		switch args[at] {
		case "help", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
			at++
		case pluginName:
			return append(args[:at:at], args[at+1:]...)
		default:
			return args
		}
	}
	return args
}

// An ignored is the value of an option that is only skipped.
type ignored struct{ kind string }

func (i *ignored) Set(string) error { return nil }
func (i *ignored) String() string   { return "" }
func (i *ignored) Type() string     { return i.kind }

// unknownWord is the error for a word that is neither an option nor a command.
func unknownWord(cmd *cobra.Command, word string) error {
	name := cmd.CommandPath()
	hint := fmt.Sprintf("%s exec %s runs it; %[1]s -- %[2]s passes it on to the service's command", name, compose.CommandLine([]string{word}))
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s %s? %s", name, near[0], hint)
	}
	return usage(fmt.Sprintf("%q is not a command of %s", word, name), hint)
}

// flagError is the error for an option that is not there. Most often it was
// meant for the command.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	if !strings.HasPrefix(text, "unknown ") {
		return usage(text, "")
	}
	given := os.Args[1:]
	for i, arg := range given {
		if arg == pluginName {
			given = given[i+1:]
			break
		}
	}
	if cmd.HasParent() {
		return usage(text, cmd.CommandPath()+" --help")
	}
	return usage(text, fmt.Sprintf("did you mean: %s -- %s", cmd.CommandPath(), compose.CommandLine(given)))
}

// usage prints the options in groups.
func (o *options) usage(cmd *cobra.Command) error {
	out := cmd.OutOrStderr()
	fmt.Fprintf(out, "Usage:  %s\n", strings.Replace(cmd.UseLine(), " [flags]", "", 1))
	if cmd.HasExample() {
		fmt.Fprintf(out, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\nCommands:\n")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() && sub.Name() != "help" {
				fmt.Fprintf(out, "  %-10s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	own := pflag.NewFlagSet("own", pflag.ContinueOnError)
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if o.runFlags.Lookup(f.Name) == nil && o.dockerFlags.Lookup(f.Name) == nil {
			own.AddFlag(f)
		}
	})
	short := func(set *pflag.FlagSet) *pflag.FlagSet { // with cmd's own short forms
		as := pflag.NewFlagSet("run", pflag.ContinueOnError)
		set.SortFlags = false
		set.VisitAll(func(f *pflag.Flag) { as.AddFlag(cmd.Flag(f.Name)) })
		return as
	}
	groups := []struct {
		title string
		flags *pflag.FlagSet
	}{
		{"Options", own},
		{"Where to run", o.targetFlags},
		{"How to run", short(o.runFlags)},
		{"Docker's own", short(o.dockerFlags)},
	}
	for _, group := range groups {
		if group.flags.HasAvailableFlags() {
			group.flags.SortFlags = false
			fmt.Fprintf(out, "\n%s:\n%s", group.title, group.flags.FlagUsages())
		}
	}
	fmt.Fprintf(out, "\nEach option but Compose's and docker's has a variable too: --stop-grace is TOXRUN_STOP_GRACE.\n")
	return nil
}

// services are the project's, none where they can't be found out.
func (o *options) services(ctx context.Context) []string {
	engine, err := o.firstEngine()
	if err != nil {
		return nil
	}
	query, err := o.query(engine.host)
	if err != nil {
		return nil
	}
	services, _ := o.finder(engine, messages{quiet: true}).Services(ctx, query)
	return services
}

// messages is where toxrun speaks, as the options have it.
func (o *options) messages(to *os.File) messages {
	return messages{Writer: to, quiet: o.quiet, ending: "\n"}
}
