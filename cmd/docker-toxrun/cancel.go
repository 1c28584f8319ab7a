package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/moby/sys/signal"
	"github.com/spf13/cobra"

	"github.com/toxrun/docker-toxrun/execproxy"
)

func newCancel(o *options, std stdio) *cobra.Command {
	var signalName string
	cancel := &cobra.Command{
		Use:   "cancel [OPTIONS] [RUN...]",
		Short: "End runs in the container, all of them if none is named",
		Long: `End runs in the container as ^C would: with a signal, and after --stop-grace with KILL,
until nothing of them is left. A run is named by its ID or the begin of it, as ps shows
it; without one all are ended that ps shows. What has ended is printed. Of several engines
(--context a,b) it is one container in each, or all with --all.`,
		Example: "  docker toxrun cancel\n  docker toxrun cancel --signal TERM IBRM4",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.noRun(cmd); err != nil {
				return err
			}
			ask := os.Signal(os.Interrupt)
			if o.stop != nil {
				ask = o.stop
			}
			if signalName != "" {
				parsed, err := signal.ParseSignal(signalName)
				if err != nil || !signal.ValidSignalForPlatform(parsed) {
					return usage(fmt.Sprintf("--signal %s: no such signal", signalName), "")
				}
				ask = syscall.Signal(parsed)
			}
			received, stop := receiveSignals()
			defer stop()
			_, err := interruptible(cmd.Context(), received, func(ctx context.Context) (struct{}, error) {
				return struct{}{}, o.cancelRuns(ctx, std, args, ask)
			})
			return err
		},
	}
	cancel.Flags().StringVar(&signalName, "signal", "", "`signal` that asks the command to end (default INT)")
	return cancel
}

// cancelRuns ends the runs that are named, or all.
func (o *options) cancelRuns(ctx context.Context, std stdio, names []string, ask os.Signal) error {
	list, err := o.listRuns(ctx, std)
	defer list.close()
	if err != nil {
		return err
	}
	list.left.status(o.messages(std.err), " is left out")
	chosen := list.rows
	if len(names) > 0 {
		if chosen, err = choose(list.rows, names); err != nil {
			return err
		}
	}
	errs := make([]error, len(chosen))
	var all sync.WaitGroup
	for i, r := range chosen {
		all.Go(func() {
			c := *r.in
			c.StopSignal = ask
			errs[i] = c.Cancel(ctx, r.Run)
		})
	}
	all.Wait()
	for i, r := range chosen {
		if errs[i] == nil {
			_, errs[i] = fmt.Fprintln(std.out, visible(r.Run))
			continue
		}
		if _, others := errors.AsType[*execproxy.OthersError](errs[i]); others {
			errs[i] = hinted(errs[i], "docker toxrun cancel -u USER, as that user")
		}
		errs[i] = fmt.Errorf("run %s: %w", r.Run, errs[i])
	}
	err = errors.Join(errs...)
	if err == nil && len(names) == 0 && len(list.left) > 0 {
		err = &execproxy.ExitError{Code: statusFailed} // there may be more of them
	}
	return err
}

// choose finds the run of each name, which is its ID or the begin of it.
func choose(rows []runRow, names []string) (chosen []runRow, err error) {
	for _, name := range names {
		var found []runRow
		for _, r := range rows {
			if name != "" && strings.HasPrefix(r.Run, name) {
				found = append(found, r)
			}
		}
		switch len(found) {
		case 0:
			return nil, hinted(fmt.Errorf("there is no run %q", name), "docker toxrun ps lists those that there are")
		case 1:
			chosen = append(chosen, found[0])
		default:
			return nil, usage(fmt.Sprintf("%q is the begin of %d runs", name, len(found)), "")
		}
	}
	return chosen, nil
}
