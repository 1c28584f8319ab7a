package execproxy_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

func TestRunsAreListed(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		c := execproxy.Command(e.Client, e.Container, "sleep", "1000000")
		c.Env = []string{"TOXRUN_CLIENT=somebody 1 2"}
		run, err := c.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Reap(t.Context(), run)
		spare, err := c.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer spare.Close()
		runs, err := c.Runs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		find := func(token string) int {
			return slices.IndexFunc(runs, func(r execproxy.RunInfo) bool { return r.Run == token })
		}
		i := find(run)
		if i < 0 {
			t.Fatalf("%s is not among %+v", run, runs)
		}
		if r := runs[i]; r.Client != "somebody 1 2" || !slices.Equal(r.Args, c.Args) || r.PID <= 0 || r.Started != 1 || r.Age < 0 {
			t.Errorf("%+v", r)
		}
		if find(spare.Token) >= 0 {
			t.Errorf("a spare is among %+v", runs)
		}
		if err := c.Reap(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		if runs, err = c.Runs(t.Context()); err != nil || find(run) >= 0 {
			t.Errorf("after its end %s is among %+v (%v)", run, runs, err)
		}
	})
}

// Another user's process that has a run's variable is no run, and Cancel leaves it alone
// where it has been given a run's own. (In a container as the Engine makes it nobody can
// see it; the fake's processes are those of a machine, where root can.)
func TestCancelLeavesOtherUsersAlone(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		t.Parallel()
		token := number()
		c := execproxy.Command(e.Client, e.Container, "sh", "-c", `su -s /bin/sh nobody -c "sleep 1$0" & sleep 2$0`, token)
		c.User = "0"
		run, err := c.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Reap(t.Context(), run)
		forger := execproxy.Command(e.Client, e.Container, "sh", "-c", `export TOXRUN_RUN=$1; sleep 3$0 & sleep 4$0`, token, run)
		forger.User = "65534"
		theirs, err := forger.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer forger.Reap(t.Context(), theirs)
		e.Sleeps(t, token, 4)
		runs, err := c.Runs(t.Context())
		if err != nil || slices.ContainsFunc(runs, func(r execproxy.RunInfo) bool { return r.Run == theirs }) {
			t.Errorf("another user's is among %+v (%v)", runs, err)
		}
		err = c.Cancel(t.Context(), run)
		others, _ := errors.AsType[*execproxy.OthersError](err)
		if e.Name == "fake" && others == nil || err != nil && others == nil {
			t.Errorf("Cancel() = %v", err)
		}
		alone := 0
		for _, p := range e.Processes(t, token) {
			switch {
			case p.Contains("1" + token), p.Contains("2" + token):
				t.Errorf("left of the run: %q", p.Args)
			case p.Contains("3" + token), p.Contains("4" + token):
				alone++
			}
		}
		if alone != 2 {
			t.Errorf("%d of another user's 2 processes are left", alone)
		}
	})
}
