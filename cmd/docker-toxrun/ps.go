package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	Container string
	Client    string // USER@HOST; empty where it is not known
	State     string // of the client: alive or orphaned; empty where it is not known
	Created   string // RFC 3339
	Age       string

	in *execproxy.Cmd // what Reap needs
}

// rowHeads is what stands above the columns of a runRow's fields.
var rowHeads = map[string]string{
	"Run": "RUN", "PID": "PID", "Command": "COMMAND", "Container": "CONTAINER",
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

With -q only the run IDs are printed; --format has the fields Run, PID, Command,
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
			rows, err := until(received, func() ([]runRow, error) {
				rows, done, err := o.listRuns(cmd.Context(), std)
				done()
				return rows, err
			})
			if err != nil {
				return err
			}
			return write(std.out, rows)
		},
	}
	ps.Flags().StringVar(&format, "format", "", "`table`, json, or a Go template for each run")
	return ps
}

// listRuns asks the containers that are meant for their runs. done ends the connections,
// which the runs' in needs.
func (o *options) listRuns(ctx context.Context, std stdio) (rows []runRow, done func(), err error) {
	var open []io.Closer
	done = func() {
		for _, c := range open {
			c.Close()
		}
	}
	e, err := findEngine(o.docker)
	if err != nil {
		return nil, done, err
	}
	p, err := o.plan(ctx, e, std, command{}, o.refind)
	if err != nil {
		return nil, done, err
	}
	for _, t := range p.targets {
		connected, err := e.connect(t.APIVersion)
		if err != nil {
			return nil, done, err
		}
		open = append(open, connected)
		where, err := o.place(t)
		if err != nil {
			return nil, done, err
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
			return nil, done, err
		}
		for _, r := range runs {
			by := parseClient(r.Client)
			rows = append(rows, runRow{
				Run: r.Run, PID: r.PID, Command: compose.CommandLine(r.Args), Container: t.ContainerName,
				Client: by.String(), State: by.state(),
				Created: time.Now().Add(-r.Age).Format(time.RFC3339), Age: short(r.Age), in: c,
			})
		}
	}
	return rows, done, nil
}

// rowWriter is how the rows are printed.
func rowWriter(format string, ids bool) (func(io.Writer, []runRow) error, error) {
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
		return func(out io.Writer, rows []runRow) error {
			for _, r := range rows {
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
	return func(out io.Writer, rows []runRow) error {
		table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		to := out
		if tabled {
			to = table
			if err := each.Execute(to, rowHeads); err != nil {
				return err
			}
			fmt.Fprintln(to)
		}
		for _, r := range rows {
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

func writeTable(out io.Writer, rows []runRow) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "RUN\tCONTAINER\tPID\tAGE\tCLIENT\tSTATE\tCOMMAND")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", visible(r.Run), visible(r.Container), r.PID, r.Age,
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
