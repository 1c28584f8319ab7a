package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/spf13/cobra"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
)

// A pong is what `ping` prints: of each part what is known of it.
type pong struct {
	Engine struct {
		Name         string  `json:"name,omitempty"` // where there are several
		Host         string  `json:"host"`
		Version      string  `json:"version,omitempty"`
		APIVersion   string  `json:"apiVersion,omitempty"`
		Milliseconds float64 `json:"milliseconds,omitempty"` // of a request and its answer, on an open connection
	} `json:"engine"`
	Container struct {
		ID     string `json:"id,omitempty"`
		Name   string `json:"name,omitempty"`
		State  string `json:"state,omitempty"`
		Health string `json:"health,omitempty"` // empty without a health check
	} `json:"container"`
	Command struct {
		Args    []string `json:"args,omitempty"`
		Found   bool     `json:"found"`
		Version string   `json:"version,omitempty"` // the first line of --version
	} `json:"command"`
	OK    bool   `json:"ok"` // a run would work
	Error string `json:"error,omitempty"`

	err error
}

func newPing(o *options, std stdio) *cobra.Command {
	var format string
	ping := &cobra.Command{
		Use:   "ping [OPTIONS]",
		Short: "Show whether a run would work, and how far away it is",
		Long: `Show whether a run would work: whether the engine answers and how fast, whether the
container runs, and whether the service's command is there, with its version. The exit
status is 0 only if it would. Of several engines (--context a,b) each is asked; --format
json has an object a line for each then.`,
		Example: "  docker toxrun ping\n  docker toxrun ping --format json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(onlyJSON(format), o.oneOnly(cmd), o.noRun(cmd)); err != nil {
				return err
			}
			received, stop := receiveSignals()
			defer stop()
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			pongs, err := until(received, func() ([]pong, error) { return o.pings(ctx, std) })
			if _, interrupted := errors.AsType[*execproxy.SignalError](err); interrupted {
				return err
			}
			if problem := printPongs(std, pongs, format); problem != nil {
				return problem
			}
			return err
		},
	}
	ping.Flags().StringVar(&format, "format", "", "`json`, or a table if left out")
	return ping
}

// versionTime is how long a program may take to tell its version: a Python with all of
// tox takes a second on a busy machine.
const versionTime = 10 * time.Second

// pings asks all engines at the same time.
func (o *options) pings(ctx context.Context, std stdio) ([]pong, error) {
	engines, err := findEngines(o.docker)
	if err != nil {
		return []pong{{Error: err.Error()}}, err
	}
	pongs, _, _ := gather(engines, func(e engine) (pong, error) {
		p := pong{OK: true}
		if p.err = o.ping(ctx, e, &p, std); p.err != nil {
			p.OK, p.Error = false, p.err.Error()
		}
		return p, nil
	})
	if len(engines) == 1 {
		return pongs, pongs[0].err
	}
	var wrong enginesError
	for i, p := range pongs {
		if p.err != nil {
			wrong = append(wrong, newEngineError(engines[i], p.err))
		}
	}
	if wrong == nil {
		return pongs, nil
	}
	return pongs, wrong
}

// ping fills in p, as far as it comes; its error is why a run would not work.
func (o *options) ping(ctx context.Context, e engine, p *pong, std stdio) error {
	p.Engine.Host = e.host
	if e.others {
		p.Engine.Name = e.name
	}
	connected, err := e.connect("")
	if err != nil {
		return err
	}
	defer connected.Close()
	if err := p.engine(ctx, connected); err != nil {
		return err
	}

	target, err := o.refind(ctx, e, std)
	if err != nil {
		if down, ok := errors.AsType[*compose.NotRunningError](err); ok {
			p.Container.State = down.State
		}
		return err
	}
	p.Container.ID, p.Container.Name = target.Container, target.ContainerName
	found, err := connected.ContainerInspect(ctx, target.Container)
	if err != nil {
		return err
	}
	p.Container.State = found.State.Status
	if found.State.Health != nil && found.State.Health.Status != container.NoHealthcheck {
		p.Container.Health = found.State.Health.Status
	}
	p.Command.Args = serviceCommand(nil).args(target.Config)
	return o.pingCommand(ctx, connected, target, p, std)
}

// engine asks the engine what it is, and how fast it answers.
func (p *pong) engine(ctx context.Context, e *execproxy.Client) error {
	silent := error(silentError(engineTime))
	if p.Engine.Name == "" {
		silent = fmt.Errorf("engine %s does not answer within %v", p.Engine.Host, engineTime)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, engineTime, silent)
	defer cancel()
	version, err := e.ServerVersion(ctx)
	begin := time.Now()
	if err == nil {
		_, err = e.Ping(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	p.Engine.Version, p.Engine.APIVersion = version.Version, e.ClientVersion()
	p.Engine.Milliseconds = float64(time.Since(begin).Microseconds()) / 1000
	return nil
}

// pingCommand looks whether the service's command is there. A program that is named by
// a path is not asked for its version: it is most likely a script of the project's,
// which knows nothing of --version and would begin its work.
func (o *options) pingCommand(ctx context.Context, e execproxy.Engine, target *compose.Target, p *pong, std stdio) error {
	program := p.Command.Args[0]
	args := []string{program, "--version"}
	if strings.Contains(program, "/") {
		args = []string{"sh", "-c", `[ -f "$0" ] && [ -x "$0" ]`, program}
	}
	c, err := o.command(e, target, openTerminal(std), command{args: func(compose.Config) []string { return args }})
	if err != nil {
		return err
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr, c.Notice = &out, nil, nil
	ctx, cancel := context.WithTimeoutCause(ctx, versionTime, timeoutError(versionTime))
	defer cancel()
	err = c.Run(ctx)
	start, _ := errors.AsType[*execproxy.StartError](err)
	exit, _ := errors.AsType[*execproxy.ExitError](err)
	switch {
	case start != nil && len(args) > 2:
		return fmt.Errorf("whether %s is in container %s can't be seen: it has no shell", program, target.ContainerName)
	case start != nil:
		return err
	case exit != nil && len(args) > 2: // the path's test
		return fmt.Errorf("%s: not found in container %s, or not to be executed", program, target.ContainerName)
	case err != nil && exit == nil && ctx.Err() == nil:
		return err
	}
	p.Command.Found = true
	if err == nil {
		line, _, _ := strings.Cut(out.String(), "\n")
		p.Command.Version = strings.TrimSpace(line)
	}
	return nil
}

// printPongs prints one as a whole, and several one after the other.
func printPongs(std stdio, pongs []pong, format string) error {
	if format == "json" {
		encoder := newJSON(std.out)
		if len(pongs) == 1 {
			encoder.SetIndent("", "  ")
		}
		for _, p := range pongs {
			if err := encoder.Encode(p); err != nil {
				return err
			}
		}
		return nil
	}
	for i, p := range pongs {
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		if err := p.print(std); err != nil {
			return err
		}
	}
	return nil
}

func (p pong) print(std stdio) error {
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	row := func(name string, parts ...string) {
		var known []string
		for _, part := range parts {
			if part != "" {
				known = append(known, visible(part))
			}
		}
		fmt.Fprintf(table, "%s\t%s\n", name, strings.Join(known, ", "))
	}
	version := ""
	if p.Engine.Version != "" {
		version = fmt.Sprintf("%s (API %s)", p.Engine.Version, p.Engine.APIVersion)
	}
	answer := ""
	if p.Engine.Milliseconds > 0 {
		answer = fmt.Sprintf("answers in %.1fms", p.Engine.Milliseconds)
	}
	row("engine", p.Engine.Name, p.Engine.Host, version, answer)
	if p.Container.Name != "" {
		row("container", p.Container.Name, p.Container.State, p.Container.Health)
	}
	if p.Command.Found {
		row("command", compose.CommandLine(p.Command.Args), p.Command.Version)
	}
	return table.Flush()
}
