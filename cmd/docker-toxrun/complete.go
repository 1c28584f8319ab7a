package main

import (
	"context"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// nothing offers no more than what comes with it, and none of this machine's files.
const nothing = cobra.ShellCompDirectiveNoFileComp

// completeTime is how long a person who has pressed Tab waits at most. What the container
// is asked has less.
const completeTime = 5 * time.Second

// addCompletion says what the options of root take.
func (o *options) addCompletion(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(nothing)
	// The error is for an option that is not there, or has a function already.
	_ = root.RegisterFlagCompletionFunc("service", o.completeService)
	_ = root.RegisterFlagCompletionFunc("workdir", o.completeWorkdir)
	for _, name := range []string{"file", "env-file", "each-file", "report", "tlscacert", "tlscert", "tlskey"} {
		_ = root.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault))
	}
	for _, name := range []string{"project-directory", "logs", "config"} {
		_ = root.MarkPersistentFlagDirname(name)
	}
}

// completes prepares root for a command line that is to be completed, and takes in its
// words, if args ask for that. Behind -- there are no commands.
func (o *options) completes(root *cobra.Command, args []string) {
	if len(args) < 2 || args[0] != cobra.ShellCompRequestCmd && args[0] != cobra.ShellCompNoDescRequestCmd {
		return
	}
	o.typed = args[1:]
	o.addCompletion(root)
	for _, set := range []*pflag.FlagSet{o.targetFlags, o.dockerFlags} {
		set.VisitAll(func(f *pflag.Flag) { f.Value = &parsedTwice{f.Value, map[string]bool{}} })
	}
	dash := slices.Index(o.typed[:len(o.typed)-1], "--")
	if dash < 0 {
		return
	}
	if cmd, _, err := root.Find(o.typed[:dash]); err == nil && cmd == root {
		root.ResetCommands()
	}
}

// completing prepares o for an answer about the command line that cmd is given. It tells
// whether there can be one.
func (o *options) completing(cmd *cobra.Command) bool {
	o.all = cmd.Flags()
	if len(o.typed) == 0 || o.complete() != nil {
		return false
	}
	o.service, _, _ = strings.Cut(o.service, ",")
	o.every, o.split = false, splitOptions{}
	o.tty, o.quiet, o.verbose = false, true, false
	o.envFiles = nil // one may be a pipe, whose content is the run's
	// An ssh that has to ask for a password fails: there is a prompt on the terminal already.
	os.Setenv("SSH_ASKPASS", "false")
	os.Setenv("SSH_ASKPASS_REQUIRE", "force")
	return true
}

// A parsedTwice is an option's value that is not set again to what it was set to before: to
// complete, cobra parses all options twice.
type parsedTwice struct {
	pflag.Value
	seen map[string]bool
}

func (p *parsedTwice) Set(text string) error {
	if p.seen[text] {
		return nil
	}
	p.seen[text] = true
	return p.Value.Set(text)
}

// offer answers with what f finds in time.
func offer(cmd *cobra.Command, f func(context.Context) []string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTime)
	defer cancel()
	list, _ := untilDone(ctx, func() ([]string, error) { return f(ctx), nil })
	directive := nothing
	if slices.ContainsFunc(list, func(text string) bool { return strings.HasSuffix(text, "/") }) {
		directive |= cobra.ShellCompDirectiveNoSpace // the path goes on
	}
	return list, directive
}

// completeService offers the services of the project.
func (o *options) completeService(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if !o.completing(cmd) {
		return nil, nothing
	}
	return offer(cmd, func(ctx context.Context) []string {
		return slices.DeleteFunc(o.services(ctx), func(name string) bool { return !fit(name) })
	})
}

// completeWorkdir offers directories of the container.
func (o *options) completeWorkdir(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	o.workdir = "" // half of it
	if !o.completing(cmd) {
		return nil, nothing
	}
	return offer(cmd, func(ctx context.Context) []string {
		if word == "" {
			word = "/"
		}
		in, err := o.inside(ctx)
		if err != nil || !path.IsAbs(word) {
			return nil
		}
		return in.paths(ctx, word, directories)
	})
}

// completeExec offers the container's commands, and behind one what it may take.
func (o *options) completeExec(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if !o.completing(cmd) {
		return nil, nothing
	}
	words, word := o.typedWords(args)
	return offer(cmd, func(ctx context.Context) []string {
		in, err := o.inside(ctx)
		switch {
		case err != nil:
			return nil
		case len(words) > 0:
			return in.arguments(ctx, words[:1], words[1:], word)
		case strings.Contains(word, "/"):
			return in.paths(ctx, word, directories+programs)
		}
		return in.commands(ctx, word)
	})
}

// completeArgs offers what the service's command may take, behind --.
func (o *options) completeArgs(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if !o.completing(cmd) {
		return nil, nothing
	}
	last := len(o.typed) - 1
	dash := slices.Index(o.typed[:last], "--")
	if dash < 0 {
		return nil, nothing
	}
	return offer(cmd, func(ctx context.Context) []string {
		in, err := o.inside(ctx)
		if err != nil {
			return nil
		}
		return in.arguments(ctx, serviceCommand(nil).args(in.target.Config), o.typed[dash+1:last], o.typed[last])
	})
}

// completeDo offers the names of commands, behind one its parameters, and behind -- paths.
func (o *options) completeDo(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if !o.completing(cmd) {
		return nil, nothing
	}
	words, word := o.typedWords(args)
	return offer(cmd, func(ctx context.Context) []string {
		named, err := o.named(ctx)
		if err != nil || !slices.Contains(words, "--") {
			return named.completions(words)
		}
		c, ok := named.commands[words[0]]
		if !ok {
			return nil
		}
		o.runsIn(c, named)
		in, err := o.inside(ctx)
		if err != nil {
			return nil
		}
		return in.arguments(ctx, c.Command, words[slices.Index(words, "--")+1:], word)
	})
}

// typedWords are the words of a command and the one that is being typed. Where these two
// look like an option of ours with its value, cobra has taken the option, or cut it off.
func (o *options) typedWords(args []string) (words []string, word string) {
	last := len(o.typed) - 1
	if n := len(args); n > 0 && args[n-1] != o.typed[last-1] {
		args = append(slices.Clip(args), o.typed[last-1])
	}
	return args, o.typed[last]
}

// The kinds of files, as listScript tells them; a list of them is what is wanted.
const (
	directories = "d"
	programs    = "x"
	anything    = "dxf"
)

// arguments offers what a command may take behind words: environments where it is tox,
// else paths.
func (in *inside) arguments(ctx context.Context, command, words []string, word string) []string {
	tox, options := toxOf(command)
	if tox == nil || slices.Contains(words, "--") {
		return in.paths(ctx, word, anything)
	}
	start, names := "", word
	if n := len(words); n == 0 || words[n-1] != "-e" {
		var attached bool
		if names, attached = strings.CutPrefix(word, "-e"); !attached || names == "" {
			return in.paths(ctx, word, anything)
		}
		start = "-e"
	}
	at := strings.LastIndexByte(names, ',') + 1
	before, taken := start+names[:at], strings.Split(names[:at], ",")
	var list []string
	for _, name := range in.environments(ctx, append(tox, toxConfig(append(options, words...))...)) {
		if strings.HasPrefix(name, names[at:]) && !slices.Contains(taken, name) {
			list = append(list, before+name)
		}
	}
	return list
}

// toxOf is what starts tox in a command that does nothing else, and tox's own words; nil
// where it is another one.
func toxOf(command []string) (tox, options []string) {
	n := 1
	if len(command) > 2 && strings.HasPrefix(path.Base(command[0]), "python") && command[1] == "-m" {
		n = 3
	}
	if len(command) < n || path.Base(command[n-1]) != "tox" {
		return nil, nil
	}
	return slices.Clone(command[:n]), slices.Clone(command[n:])
}

// toxConfig are those of tox's options that say what file names its environments. No other
// word that somebody is typing is for tox to see.
func toxConfig(words []string) []string {
	options := pflag.NewFlagSet("tox", pflag.ContinueOnError)
	options.ParseErrorsAllowlist.UnknownFlags = true
	options.Usage = func() {}
	file := options.StringP("conf", "c", "", "")
	if options.Parse(words) != nil || *file == "" {
		return nil
	}
	return []string{"-c", *file}
}

// paths offers those in the container that begin as word does, or as its value does where
// it is an option with one; what follows the = is what is offered then.
func (in *inside) paths(ctx context.Context, word, kinds string) []string {
	if strings.HasPrefix(word, "-") {
		_, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil
		}
		word = value
	}
	dir, start := path.Split(word)
	var list []string
	for _, file := range in.files(ctx, dir) {
		kind, name := file[:1], file[1:]
		switch {
		case !strings.Contains(kinds, kind), !strings.HasPrefix(name, start):
		case strings.HasPrefix(name, ".") && start == "":
		case kind == directories:
			list = append(list, dir+name+"/")
		default:
			list = append(list, dir+name)
		}
	}
	return list
}

// commands offers those on the container's PATH that begin as word does.
func (in *inside) commands(ctx context.Context, word string) []string {
	names := in.programs(ctx)
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, word) })
}

// fit tells whether a name can be offered: shells get them a line each, with nothing at
// their ends.
func fit(name string) bool {
	return name != "" && visible(name) == name && strings.TrimSpace(name) == name
}
