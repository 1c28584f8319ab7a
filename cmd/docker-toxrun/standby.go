package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

// A keeping is what a run has to do with its keeper: none for the zero value.
type keeping struct {
	dir    string // "": there is no standby
	engine engine
	want   standby.Want
	lease  *standby.Lease    // nil: none is there
	spawn  bool              // leave one behind
	mutter func(line string) // for those who want to know
}

// idle is how long a keeper of the target waits for a run; 0: there is no standby.
func (o *options) idle(t *compose.Target) time.Duration {
	if o.noStandby || !standby.Supported {
		return 0
	}
	return max(0, cmp.Or(o.standby, t.Config.Standby))
}

// keeper is what a run of c has to do with the keeper of its target; with shell, one that
// needs a spare that is no interpreter. Nobody is asked yet.
func (o *options) keeper(e engine, t *compose.Target, c *execproxy.Cmd, shell bool) keeping {
	k := keeping{engine: e, mutter: func(string) {}}
	if o.verbose {
		k.mutter = func(line string) { c.Notice("standby: " + line) }
	}
	idle := o.idle(t)
	if idle == 0 {
		return k
	}
	dir, err := standby.Dir()
	if err != nil {
		k.mutter(err.Error())
		return k
	}
	k.dir, k.want = dir, standby.WantFor(c, e.host, c.Engine.ClientVersion(), idle)
	k.want.Headers, k.want.Secret, k.want.Shell = e.headers, e.secret(), shell
	return k
}

// take asks for a spare for c, where standby is on and can be. Whatever goes wrong with it
// is no concern of the run's.
func (k *keeping) take(c *execproxy.Cmd) {
	if k.dir == "" {
		return
	}
	var err error
	k.lease, err = standby.Take(k.dir, k.want)
	switch {
	case err != nil:
		k.mutter(err.Error())
	case k.lease == nil:
		k.mutter("there is no keeper yet")
		k.spawn = true
	case k.lease.Spare == nil:
		k.mutter("no spare is ready")
	case k.lease.Spare.Plain != "":
		k.mutter("no preload: " + k.lease.Spare.Plain)
	}
	if k.lease != nil {
		c.Spare, c.Token = k.lease.Spare, k.lease.Token
	}
}

// dial is a connection to the Engine that the keeper has.
func (k *keeping) dial(ctx context.Context) (net.Conn, error) {
	if k.dir == "" {
		return nil, errors.New("there is no standby")
	}
	return standby.Dial(ctx, k.dir, k.want)
}

// teach has the run that leaves a keeper behind start in a spare of its own: what its
// Python imports is what the keeper's first one has then.
func (k *keeping) teach(ctx context.Context, received received, c *execproxy.Cmd) error {
	if !k.spawn || c.Learn == nil {
		return nil
	}
	spare, err := until(received, func() (*execproxy.Spare, error) { return c.Prepare(ctx) })
	if _, interrupted := errors.AsType[*execproxy.SignalError](err); interrupted || ctx.Err() != nil {
		return cmp.Or(err, context.Cause(ctx))
	}
	if err == nil {
		c.Spare, k.want.Taught = spare, spare.Token
	}
	return nil
}

// done tells the keeper that the run has ended with err, or leaves a keeper behind
// for the next one.
func (k keeping) done(err error) {
	if k.lease != nil {
		k.lease.Done()
	}
	if !k.spawn || outdated(err) {
		return
	}
	if problem := k.leave(); problem != nil {
		k.mutter(problem.Error())
	}
}

// leave starts a keeper.
func (k keeping) leave() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cache, err := cacheDir()
	if err == nil {
		err = os.MkdirAll(cache, 0o700)
	}
	if err != nil {
		return err
	}
	return standby.Spawn(self, []string{keeperName, k.dir}, k.engine.variables(), filepath.Join(cache, "standby.log"), k.want)
}

// sources are the places in the container of what is mounted from this machine.
func sources(t *compose.Target) []string {
	var dirs []string
	for _, m := range t.Mounts {
		if m.Source != "" {
			dirs = append(dirs, m.Target)
		}
	}
	return dirs
}

// keeperName is the command that is a keeper. It is not for people.
const keeperName = "standby-keeper"

func newKeeper(std stdio) *cobra.Command {
	return &cobra.Command{
		Use:    keeperName + " DIR",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			want, err := standby.ReadWant(std.in)
			if err != nil {
				return fmt.Errorf("%s is started by a run that is over: %w", keeperName, err)
			}
			e, err := engineOf(want)
			if err != nil {
				return err
			}
			connected, err := e.connect(want.APIVersion)
			if err != nil {
				return err
			}
			defer connected.Close()
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt, syscall.SIGHUP)
			defer stop()
			logger := log.New(visibleLines{std.err}, fmt.Sprintf("%d ", os.Getpid()), log.LstdFlags|log.Lmsgprefix)
			return standby.Keep(ctx, args[0], connected, want, logger)
		},
	}
}

func newStandby(std stdio) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "standby",
		Short: "List the keepers that --standby has left behind, or stop them",
		Long: `List the keepers: each holds an exec that has been started and waits for the next
run in its container. A run leaves one behind with --standby D, TOXRUN_STANDBY or
standby in x-toxrun; unused for so long, it ends.`,
		Example: `  docker toxrun --standby 10m -- -e py39
  docker toxrun standby
  docker toxrun standby stop`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := onlyJSON(format); err != nil {
				return err
			}
			dir, err := standbyDir()
			if err != nil {
				return err
			}
			infos, problem := standby.List(dir)
			if format == "json" {
				err = newJSON(std.out).Encode(append([]standby.Info{}, infos...))
			} else {
				err = printKeepers(std.out, infos, time.Now())
			}
			return errors.Join(err, problem)
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "`json`, or a table if left out")
	cmd.AddCommand(&cobra.Command{
		Use:   "stop [CONTAINER...]",
		Short: "End the keepers of these containers, or all",
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := standbyDir()
			if err != nil {
				return err
			}
			if slices.Contains(args, "") {
				return usage("standby stop: the name of a container can't be empty", "")
			}
			if len(args) == 0 {
				args = []string{""} // all
			}
			var errs []error
			for _, container := range args {
				stopped, err := standby.Stop(dir, container)
				for _, i := range stopped {
					fmt.Fprintln(std.out, visible(i.Name))
				}
				if err == nil && container != "" && len(stopped) == 0 {
					err = fmt.Errorf("container %s has no keeper", container)
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
	})
	return cmd
}

func standbyDir() (string, error) {
	if !standby.Supported {
		return "", errors.New("there is no standby on this system")
	}
	return standby.Dir()
}

func printKeepers(out io.Writer, infos []standby.Info, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "CONTAINER\tUSER\tSTATE\tAGE\tUSED\tENDS\tHITS\tMISSES\tPID")
	for _, i := range infos {
		state := i.State
		if i.Python && state == "ready" {
			state += fmt.Sprintf(" (python, %d modules)", i.Modules)
		}
		if i.Terminal {
			state += " (terminal)"
		}
		ends := "after the run"
		if i.State != "running" {
			ends = "in " + short(i.Used.Add(i.Idle).Sub(now))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s ago\t%s\t%d\t%d\t%d\n", visible(i.Name), visible(cmp.Or(i.User, "-")), visible(state),
			short(now.Sub(i.Begun)), short(now.Sub(i.Used)), ends, i.Hits, i.Misses, i.PID)
	}
	return table.Flush()
}

// short is a time to the second, as 2m5s, 10m or 1h0m.
func short(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return text
}
