package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/toxrun/docker-toxrun/compose"
)

func newDo(o *options, std stdio) *cobra.Command {
	do := &cobra.Command{
		Use:   "do [OPTIONS] [NAME [--PARAMETER VALUE...] [-- ARG...]]",
		Short: "Run a command that x-toxrun.commands names, or list them",
		Long: `Run a command that the service's x-toxrun.commands names, or list them all.

{name} in a command is a parameter that --name VALUE gives, {name:value} one that
need not be given. {{ stands for a { where no parameter is meant.`,
		Example: "  docker toxrun do\n  docker toxrun do lint\n  docker toxrun do db --name test -- --quiet",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			named, err := o.named(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return named.print(std)
			}
			c, ok := named.commands[args[0]]
			if !ok {
				return named.unknown(args[0])
			}
			call := cmd.CommandPath() + " " + args[0]
			words, err := fillIn(call, c.Command, args[1:])
			if errors.Is(err, pflag.ErrHelp) {
				_, err = fmt.Fprintf(std.out, "Usage:  %s\n\n%s\n", visible(form(call, c.Command)), visible(oneLine(c.Description)))
				return err
			}
			if err != nil {
				return err
			}
			o.runsIn(c, named)
			return o.execute(cmd.Context(), std, command{
				args:        func(compose.Config) []string { return words },
				interactive: c.TTY,
				mapped:      true,
				env:         c.Env,
			})
		},
		ValidArgsFunction: o.completeDo,
	}
	o.addExecHabits(do)
	do.Flags().SetInterspersed(false) // what follows NAME is the command's
	return do
}

// A namedCommands is what a service's x-toxrun.commands holds.
type namedCommands struct {
	service  string
	commands map[string]compose.Command
}

// named reads the commands of the service that is meant.
func (o *options) named(ctx context.Context) (namedCommands, error) {
	received, stop := receiveSignals()
	defer stop()
	switch {
	case o.container != "":
		return namedCommands{}, usage("do runs a service's commands: --container does not go with it", "")
	case strings.Contains(o.service, ","):
		return namedCommands{}, usage("do runs one service's commands: several services don't go with it", "")
	}
	return until(received, func() (namedCommands, error) {
		engine, err := o.firstEngine()
		if err != nil {
			return namedCommands{}, err
		}
		query, err := o.query(engine.host)
		if err != nil {
			return namedCommands{}, err
		}
		service, config, err := o.finder(engine, messages{quiet: true}).Config(ctx, query)
		return namedCommands{service, config.Commands}, err
	})
}

// runsIn has o mean the service that a named command runs in.
func (o *options) runsIn(c compose.Command, n namedCommands) {
	o.service = cmp.Or(c.Service, o.service, n.service)
}

func (n namedCommands) names() []string { return slices.Sorted(maps.Keys(n.commands)) }

func (n namedCommands) unknown(name string) error {
	hint := "the commands are " + strings.Join(n.names(), ", ")
	if len(n.commands) == 0 {
		hint = "name it in x-toxrun.commands of this service, or another service with -s"
	}
	return usage(fmt.Sprintf("service %q has no command %q", n.service, name), hint)
}

func (n namedCommands) print(std stdio) error {
	if len(n.commands) == 0 {
		return hinted(fmt.Errorf("service %q has no commands", n.service), "name them in x-toxrun.commands")
	}
	table := tabwriter.NewWriter(std.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tSERVICE\tDESCRIPTION")
	for _, name := range n.names() {
		c := n.commands[name]
		what := cmp.Or(c.Description, compose.CommandLine(c.Command))
		fmt.Fprintf(table, "%s\t%s\t%s\n", visible(name+forms(c.Command)), visible(cmp.Or(c.Service, n.service)), visible(oneLine(what)))
	}
	return table.Flush()
}

// completions are the names, with what they are, or behind a name its parameters.
func (n namedCommands) completions(args []string) (list []string) {
	if len(args) == 0 {
		for _, name := range n.names() {
			list = append(list, cobra.CompletionWithDesc(visible(name), visible(oneLine(n.commands[name].Description))))
		}
		return list
	}
	for _, p := range parameters(n.commands[args[0]].Command) {
		list = append(list, "--"+p.name)
	}
	return list
}

// A parameter is a place in a command that is filled in.
type parameter struct {
	name, value string
	optional    bool // it has a value of its own
}

// places are what may be a parameter in a word: {name} or {name:value}, but not behind
// a dollar, which is a shell's, and not behind another brace, which makes it none.
var places = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{\{|\$\{|\{([a-z][a-z0-9_-]*)(?::([^{}]*))?\}`) })

// parameters are those of a command, in their order.
func parameters(command []string) (list []parameter) {
	for _, word := range command {
		for _, at := range places().FindAllStringSubmatchIndex(word, -1) {
			if at[2] < 0 {
				continue
			}
			p := parameter{name: word[at[2]:at[3]], optional: at[4] >= 0}
			if p.optional {
				p.value = word[at[4]:at[5]]
			}
			if !slices.ContainsFunc(list, func(other parameter) bool { return other.name == p.name }) {
				list = append(list, p)
			}
		}
	}
	return list
}

// form is how a command is called.
func form(call string, command []string) string { return call + forms(command) + " [-- ARG...]" }

// forms shows how the parameters of a command are given.
func forms(command []string) string {
	var b strings.Builder
	for _, p := range parameters(command) {
		if p.optional {
			fmt.Fprintf(&b, " [--%s VALUE]", p.name)
		} else {
			fmt.Fprintf(&b, " --%s VALUE", p.name)
		}
	}
	return b.String()
}

// fillIn makes a command of its words and what was given behind its name. call is how
// the name was reached, for errors.
func fillIn(call string, command, given []string) ([]string, error) {
	options := pflag.NewFlagSet(call, pflag.ContinueOnError)
	options.Usage = func() {}
	options.SortFlags = false
	options.SetOutput(io.Discard)
	values := map[string]*string{}
	for _, p := range parameters(command) {
		values[p.name] = options.String(p.name, p.value, "")
	}
	if err := options.Parse(given); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil, err
		}
		return nil, usage(err.Error(), form(call, command))
	}
	if dash := options.ArgsLenAtDash(); dash > 0 || dash < 0 && options.NArg() > 0 {
		return nil, usage(fmt.Sprintf("%q: what the command gets comes after --", options.Arg(0)), form(call, command))
	}
	for _, p := range parameters(command) {
		if !p.optional && !options.Changed(p.name) {
			return nil, usage(fmt.Sprintf("--%s is missing", p.name), form(call, command))
		}
	}
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = places().ReplaceAllStringFunc(word, func(place string) string {
			switch place {
			case "{{":
				return "{"
			case "${":
				return place
			}
			name, _, _ := strings.Cut(strings.Trim(place, "{}"), ":")
			return *values[name]
		})
	}
	return append(words, options.Args()...), nil
}
