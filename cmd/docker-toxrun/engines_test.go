package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/cli/cli/flags"
)

// An engine is named by as much of its address as tells it from the others.
func TestEnginesHaveNames(t *testing.T) {
	for hosts, want := range map[string][]string{
		"ssh://ann@build2 tcp://10.0.0.5:2376":    {"build2", "10.0.0.5:2376"},
		"ssh://ann@build2 ssh://bob@build2":       {"ssh://ann@build2", "ssh://bob@build2"},
		"unix:///run/docker.sock ssh://build2:22": {"/run/docker.sock", "build2:22"},
		"ssh://build2 ssh://build3 ssh://build2":  {"build2", "build3"},
		"unix:///run/docker.sock":                 {"/run/docker.sock"},
	} {
		engines, err := findEngines(&flags.ClientOptions{ConfigDir: t.TempDir(), Hosts: strings.Fields(hosts)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range engines {
			got = append(got, e.name)
			if e.others != (len(want) > 1) {
				t.Errorf("%s: %s: others = %v", hosts, e.name, e.others)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: names %q, want %q", hosts, got, want)
		}
	}
}

// One that never answers is waited for only where there is no other one.
func TestSilentEngineOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var said strings.Builder
		w := &waitedFor{engine: engine{host: "ssh://build2", others: true}, to: messages{Writer: &said, ending: "\n"}}
		_, err := wait(t.Context(), w, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if _, silent := errors.AsType[silentError](err); !silent || time.Since(begin) != engineTime {
			t.Errorf("%v after %v, want a silentError after %v", err, time.Since(begin), engineTime)
		}
		if want := "toxrun: engine ssh://build2 does not answer; toxrun goes on waiting for it\n"; said.String() != want {
			t.Errorf("said %q, want %q", said.String(), want)
		}
	})
}
