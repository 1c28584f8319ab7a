package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/toxrun/docker-toxrun/compose"
)

// A splitJob is one of the commands of a split run.
type splitJob struct {
	name string
	args []string
}

// words are those of --each, or the lines of --each-file, or none.
func (s *splitOptions) words() ([]string, error) {
	if s.eachFile == "" {
		return strings.Fields(s.each), nil
	}
	text, err := os.ReadFile(s.eachFile)
	if err != nil {
		return nil, usage(fmt.Sprintf("--each-file: %v", err), "")
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			words = append(words, line)
		}
	}
	if len(words) == 0 {
		return nil, usage(fmt.Sprintf("--each-file %s: there is no line in it", s.eachFile), "")
	}
	return words, nil
}

// jobs are the commands that the command is split in: one for each word of --each, or
// for each tox environment that args name, or that tox itself lists.
func (o *options) jobs(ctx context.Context, l lane, args []string) ([]splitJob, error) {
	words, err := o.split.words()
	switch {
	case err != nil:
		return nil, err
	case len(words) > 0:
		if !slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, "{}") }) {
			return nil, usage("--each: there is no {} in the command to put the words in", "")
		}
		return distinct(words, func(word string) []string {
			filled := make([]string, len(args))
			for i, arg := range args {
				filled[i] = strings.ReplaceAll(arg, "{}", word)
			}
			return filled
		})
	}
	if !slices.ContainsFunc(args, func(arg string) bool { return path.Base(arg) == "tox" }) {
		return nil, usage(fmt.Sprintf("--split: %s is not tox, whose environments would be dealt", compose.CommandLine(args)),
			"words for any command: --split --each 'a b' exec COMMAND {}")
	}
	at, names := environments(args)
	if len(at.at) == 0 {
		if names, err = o.listEnvironments(ctx, l, args); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		return nil, usage("--split: -e names no environment", "")
	}
	return distinct(names, func(name string) []string { return at.with(args, name) })
}

// distinct makes a job of each name, which must be there once.
func distinct(names []string, args func(name string) []string) (jobs []splitJob, err error) {
	there := make(map[string]bool, len(names))
	for _, name := range names {
		if there[name] {
			return nil, usage(fmt.Sprintf("--split: %s is there twice", name), "")
		}
		there[name] = true
		jobs = append(jobs, splitJob{name, args(name)})
	}
	return jobs, nil
}

// envArgs is where a command line of tox names environments.
type envArgs struct {
	at  []int // of the arguments, the values of -e among them
	end int   // where tox's own arguments end
}

// environments finds the environments that a command line of tox names: -e a,b and -ea,
// however often, before a --.
func environments(args []string) (at envArgs, names []string) {
	at.end = len(args)
	if dash := slices.Index(args, "--"); dash >= 0 {
		at.end = dash
	}
	for i := 1; i < at.end; i++ {
		value, short := strings.CutPrefix(args[i], "-e")
		switch {
		case !short:
			continue
		case value == "" && i+1 < at.end:
			at.at = append(at.at, i, i+1)
			i++
			value = args[i]
		default:
			at.at = append(at.at, i)
		}
		names = append(names, strings.FieldsFunc(value, func(r rune) bool { return r == ',' })...)
	}
	return at, names
}

// with is args with one environment in place of those that they name.
func (a envArgs) with(args []string, name string) []string {
	var own []string
	for i, arg := range args[:a.end] {
		if !slices.Contains(a.at, i) {
			own = append(own, arg)
		}
	}
	return slices.Concat(own, []string{"-e", name}, args[a.end:])
}

// listEnvironments asks tox for the environments that it would run.
func (o *options) listEnvironments(ctx context.Context, l lane, args []string) ([]string, error) {
	at, _ := environments(args)
	var out strings.Builder
	l.out, l.in = &out, nil
	list := append(slices.Clone(args[:at.end]), "-l")
	if err := o.run(ctx, l, command{args: func(compose.Config) []string { return list }}); err != nil {
		return nil, hinted(fmt.Errorf("%s has not listed its environments: %w", compose.CommandLine(list), err),
			"name them with -e a,b, or words for any other command with --each")
	}
	names := readEnvironments(out.String())
	if len(names) == 0 {
		return nil, fmt.Errorf("%s lists no environments", compose.CommandLine(list))
	}
	return names, nil
}

// readEnvironments makes a list of what tox prints with -l or -a.
func readEnvironments(output string) (names []string) {
	for line := range strings.Lines(output) {
		if name := strings.TrimSpace(line); name != "" && !strings.ContainsAny(name, " :") {
			names = append(names, name)
		}
	}
	return names
}
