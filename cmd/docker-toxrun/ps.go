package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
)

// A runRow is a run as `ps` prints it; its fields are those of --format.
type runRow struct {
	Run       string
	PID       int
	Command   string
	Engine    string // context, or address
	Container string
	Client    string // USER@HOST; empty where it is not known
	State     string // of the client: alive or orphaned; empty where it is not known
	Created   string // RFC 3339
	Age       string

	in *execproxy.Cmd // what Reap needs
}

// rowHeads is what stands above the columns of a runRow's fields.
var rowHeads = map[string]string{
	"Run": "RUN", "PID": "PID", "Command": "COMMAND", "Engine": "ENGINE", "Container": "CONTAINER",
	"Client": "CLIENT", "State": "STATE", "Created": "CREATED", "Age": "AGE",
}

// visibleTabs is visible but for tabs and line feeds, which a template may have.
func visibleTabs(text string) string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(strings.NewReplacer("\t", "\x00\t\x00", "\n", "\x00\n\x00").Replace(text), func(r rune) bool { return r == 0 }) {
		if part != "\t" && part != "\n" {
			part = visible(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

func newPs(o *options, std stdio) *cobra.Command {
	var format string
	ps := &cobra.Command{
		Use:   "ps [OPTIONS]",
		Short: "List the runs in the container",
		Long: `List the runs in the container, by whomever and from wherever they were started. The
container itself is asked, as the user that commands run as: it shows that user's runs.
Of several engines (--context a,b) it is one container in each, or all with --all.

With -q only the run IDs are printed; --format has the fields Run, PID, Command, Engine,
Container, Client, State, Created and Age. A run whose client is gone is orphaned: one
that was started with exec -d, or whose toxrun was killed. Of clients on other machines
that is not known.`,
		Example: `  docker toxrun ps
  docker toxrun ps --format 'table {{.Run}}\t{{.Age}}\t{{.Command}}'
  docker toxrun ps --all -q
  docker toxrun ps --format '{{.Run}} {{.Command}}'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, err := rowWriter(format, o.quiet)
			if err := cmp.Or(err, o.noRun(cmd)); err != nil {
				return err
			}
			received, stop := receiveSignals()
			defer stop()
			list, err := until(received, func() (runList, error) {
				list, err := o.listRuns(cmd.Context(), std)
				list.close()
				return list, err
			})
			if err == nil {
				err = write(std.out, list)
			}
			if err == nil && len(list.left) > 0 {
				err = list.left
			}
			return err
		},
	}
	ps.Flags().StringVar(&format, "format", "", "`table`, json, or a Go template for each run")
	return ps
}

// A runList has the runs of several containers.
type runList struct {
	rows []runRow
	open []io.Closer  // connections, which the runs' in needs
	left enginesError // the engines, of several, that have not been asked

	several bool // engines were to be asked
}

func (l *runList) close() {
	for _, c := range l.open {
		c.Close()
	}
}

// listRuns asks the containers that are meant for their runs, in all engines at the same
// time. The list has to be closed, whatever the error.
func (o *options) listRuns(ctx context.Context, std stdio) (list runList, err error) {
	engines, err := findEngines(o.docker)
	if err != nil {
		return list, err
	}
	each := func(e engine) (runList, error) {
		list, err := o.listRunsIn(ctx, e, std)
		if err != nil {
			list.close()
		}
		return list, err
	}
	lists, left, err := gather(engines, each)
	if err != nil {
		if engines, err = o.nodes(ctx, engines, err); err == nil {
			lists, left, err = gather(engines, each)
		}
	}
	list.left, list.several = left, len(engines) > 1
	for _, one := range lists {
		list.open = append(list.open, one.open...)
		for _, r := range one.rows {
			// An engine may have several addresses.
			if !slices.ContainsFunc(list.rows, func(other runRow) bool { return other.Run == r.Run }) {
				list.rows = append(list.rows, r)
			}
		}
	}
	return list, err
}

func (o *options) listRunsIn(ctx context.Context, e engine, std stdio) (list runList, err error) {
	targets, err := o.findIn(ctx, e, std, o.refind)
	if err != nil {
		return list, err
	}
	for _, t := range targets {
		connected, err := e.connect(t.APIVersion)
		if err != nil {
			return list, err
		}
		list.open = append(list.open, connected)
		where, err := o.place(t.Target)
		if err != nil {
			return list, err
		}
		c := execproxy.Command(connected, t.Container)
		c.Name, c.User, c.Privileged = t.ContainerName, where.user, o.privileged
		c.StopSignal, c.StopGrace = o.stop, cmp.Or(o.stopGrace, t.Config.StopGrace)
		runs, err := c.Runs(ctx)
		if start, ok := errors.AsType[*execproxy.StartError](err); ok && start.Code == 127 {
			err = fmt.Errorf("container %s has no shell to look with", t.ContainerName)
			err = hinted(err, compose.CommandLine([]string{"docker", "top", t.ContainerName}))
		}
		if err != nil {
			return list, err
		}
		for _, r := range runs {
			by := parseClient(r.Client)
			age, line := by.age(r.Age), compose.CommandLine(r.Args)
			if r.Told {
				line = r.Args[0]
			}
			list.rows = append(list.rows, runRow{
				Run: r.Run, PID: r.PID, Command: line, Engine: e.name, Container: t.ContainerName,
				Client: by.String(), State: by.state(),
				Created: time.Now().Add(-age).Format(time.RFC3339), Age: short(age), in: c,
			})
		}
	}
	return list, nil
}

// rowWriter is how the rows are printed.
func rowWriter(format string, ids bool) (func(io.Writer, runList) error, error) {
	if ids && format != "" {
		return nil, usage("-q and --format exclude each other", "")
	}
	switch format {
	case "", "table":
		if !ids {
			return writeTable, nil
		}
		format = "{{.Run}}"
	case "json":
		return func(out io.Writer, list runList) error {
			for _, r := range list.rows {
				if err := newJSON(out).Encode(r); err != nil {
					return err
				}
			}
			return nil
		}, nil
	}
	format, tabled := strings.CutPrefix(format, "table ")
	format = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(format) // as docker has it
	each, err := template.New("--format").Funcs(template.FuncMap{"json": func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	}}).Parse(format)
	if err == nil {
		err = each.Execute(io.Discard, runRow{}) // a field that there is not
	}
	if err != nil {
		return nil, usage(err.Error(), "")
	}
	return func(out io.Writer, list runList) error {
		table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		to := out
		if tabled {
			to = table
			if err := each.Execute(to, rowHeads); err != nil {
				return err
			}
			fmt.Fprintln(to)
		}
		for _, r := range list.rows {
			var line strings.Builder
			if err := each.Execute(&line, r); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(to, visibleTabs(line.String())); err != nil {
				return err
			}
		}
		return table.Flush()
	}, nil
}

func writeTable(out io.Writer, list runList) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	engine := func(name string) string { // a column of its own, where there are several
		if !list.several {
			return ""
		}
		return name + "\t"
	}
	fmt.Fprintf(table, "RUN\t%sCONTAINER\tPID\tAGE\tCLIENT\tSTATE\tCOMMAND\n", engine("ENGINE"))
	for _, r := range list.rows {
		fmt.Fprintf(table, "%s\t%s%s\t%d\t%s\t%s\t%s\t%s\n", visible(r.Run), engine(visible(r.Engine)), visible(r.Container), r.PID, r.Age,
			visible(cmp.Or(r.Client, "-")), cmp.Or(r.State, "-"), visible(ellipsis(oneLine(r.Command))))
	}
	return table.Flush()
}

// ellipsis cuts a command for a table.
func ellipsis(text string) string {
	const width = 60
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}
