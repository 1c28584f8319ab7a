package compose_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/toxrun/docker-toxrun/compose"
)

// Between the list and the inspect of a container, docker compose may replace
// it.
func TestContainerGoesWhileItIsLookedAt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		after []fakeContainer
		want  string
	}{
		{"replaced", []fakeContainer{{ID: "second", Service: "tests"}}, "second"},
		{"stopped, another one is there", []fakeContainer{{ID: "first", Service: "tests", State: "exited"}, {ID: "second", Service: "tests", Number: 2}}, "second"},
		{"stopped", []fakeContainer{{ID: "first", Service: "tests", State: "exited"}}, ""},
		{"removed", nil, ""},
	} {
		p, l := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
		for i := range test.after {
			test.after[i].Project = p.name()
		}
		l.onInspect = func() { l.containers = test.after }
		got, err := p.finder.Find(t.Context(), p.query)
		if test.want == "" {
			if _, ok := errors.AsType[*compose.NotRunningError](err); !ok {
				t.Errorf("%s: Find() = %+v, %v; want that it isn't running", test.name, got, err)
			}
		} else if err != nil || got.Container != test.want {
			t.Errorf("%s: Find() = %+v, %v; want %s", test.name, got, err, test.want)
		}
	}
}

// Of replicas that are made of the same, one is inspected; those of another making, or of
// which that is not known, are themselves.
func TestReplicasAreInspectedOnce(t *testing.T) {
	t.Parallel()
	for making, want := range map[string]int{"same": 1 + 2, "": 1 + 100} {
		p, l := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
		containers := []fakeContainer{{ID: "old", Project: p.name(), Service: "tests", Number: 100, Making: "before"}}
		for i := range 99 {
			containers = append(containers, fakeContainer{ID: fmt.Sprint("replica-", i+1), Project: p.name(), Service: "tests", Number: i + 1, Making: making})
		}
		containers[0].Mounts = []container.MountPoint{{Type: mount.TypeVolume, Destination: "/old"}}
		l.set(containers...)
		targets, err := p.finder.FindAll(t.Context(), p.query)
		if err != nil || len(targets) != 100 {
			t.Fatalf("FindAll() = %d containers, %v; want 100", len(targets), err)
		}
		for i, target := range targets {
			name, mounts := fmt.Sprint("replica-", i+1), 1
			if i == 99 {
				name, mounts = "old", 2
			}
			if target.Container != name || target.ContainerName != name || target.Number != i+1 || target.Workdir != "/app" || len(target.Mounts) != mounts {
				t.Errorf("FindAll()[%d] = %+v", i, target)
			}
		}
		if l.requests != want {
			t.Errorf("making %q: the Engine was asked %d times, want %d", making, l.requests, want)
		}
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	p, l := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD, db: STANDARD, off: {image: x, profiles: [x]}}"})
	got, err := p.finder.Services(t.Context(), p.query)
	if want := []string{"db", "off", "tests"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Services() = %q, %v; want %q", got, err, want)
	}
	if l.requests > 0 {
		t.Error("the Engine was asked for the names in a file")
	}
}

// An error of the Engine is not one of the files, and comes out as it is.
func TestEngineFails(t *testing.T) {
	t.Parallel()
	p, _ := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
	refused := errors.New("refused")
	p.finder.Connect = func() (compose.Engine, error) { return nil, refused }
	for name, f := range map[string]func() error{
		"Find":    func() error { _, err := p.finder.Find(t.Context(), p.query); return err },
		"FindAll": func() error { _, err := p.finder.FindAll(t.Context(), p.query); return err },
		"named":   func() error { _, err := p.finder.Find(t.Context(), compose.Query{Container: "x"}); return err },
	} {
		if err := f(); !errors.Is(err, refused) {
			t.Errorf("%s: %v, want the Engine's error", name, err)
		}
	}
	p.write("compose.yaml", "services: [")
	_, err := p.finder.Find(t.Context(), p.query)
	if _, ok := errors.AsType[*compose.LoadError](err); !ok {
		t.Errorf("files and Engine fail: %v, want the files' error", err)
	}
	p.write("compose.yaml", "services: {tests: STANDARD}")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.finder.Find(ctx, p.query); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
