package compose_test

import (
	"context"
	"errors"
	"slices"
	"testing"

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
