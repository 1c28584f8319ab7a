package execproxy_test

import (
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
