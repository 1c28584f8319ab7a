package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	const n, rounds = 6, 200
	follows := map[[2]int]bool{}
	for round := range rounds {
		o := order(round, n)
		if !slices.Equal(slices.Sorted(slices.Values(o)), []int{0, 1, 2, 3, 4, 5}) {
			t.Errorf("round %d is %v: not each of them once", round, o)
		}
		if !slices.Equal(o, order(round, n)) {
			t.Errorf("round %d has another order the next time", round)
		}
		for i := range n - 1 {
			follows[[2]int{o[i], o[i+1]}] = true
		}
	}
	if len(follows) != n*(n-1) {
		t.Errorf("%d of %d contenders come after each other", len(follows), n*(n-1))
	}
}

// A diary is what is done in the course of a measurement.
type diary []string

func (d *diary) note(what string) { *d = append(*d, what) }

func (d *diary) contender(name string, run func() (float64, error)) contender {
	return contender{
		key: name, name: name,
		before: func(context.Context) error { d.note(name + " before"); return nil },
		run:    func(context.Context) (float64, error) { d.note(name); return run() },
	}
}

func (d *diary) pause(context.Context) error { d.note("pause"); return nil }

func TestMeasure(t *testing.T) {
	var d diary
	rounds := 0.0
	g := &group{
		title: "test", rounds: 3,
		contenders: []contender{
			d.contender("a", func() (float64, error) { rounds++; return rounds, nil }),
			d.contender("b", func() (float64, error) { return 10, nil }),
		},
		begin: func(context.Context) error { d.note("begin"); return nil },
		end:   func(context.Context) (string, error) { d.note("end"); return "noted", nil },
	}
	r, err := g.measure(t.Context(), d.pause)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.values["a"], []float64{2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("values %v, want %v: all rounds but the first", got, want)
	}
	if r.note != "noted" {
		t.Errorf("note %q", r.note)
	}
	each := len("a before, pause, a, b before, pause, b, ")
	text := strings.Join(d, ", ") + ", "
	if text[each:each+len("begin, ")] != "begin, " || !strings.HasSuffix(text, "end, ") {
		t.Errorf("the rounds that count do not begin and end where they should: %s", text)
	}
	for _, name := range []string{"a", "b"} {
		if got := strings.Count(text, name+" before, pause, "+name+", "); got != 4 {
			t.Errorf("%s is prepared, left alone and run %d times, not 4: %s", name, got, text)
		}
	}
}

func TestMeasureFirstCounts(t *testing.T) {
	var d diary
	g := &group{title: "test", rounds: 1, firstCounts: true, contenders: []contender{
		d.contender("a", func() (float64, error) { return 1, nil }),
	}}
	r, err := g.measure(t.Context(), d.pause)
	if err != nil || len(r.values["a"]) != 1 || len(d) != 3 {
		t.Errorf("values %v, error %v, done %q", r.values, err, d)
	}
}

// Nobody gets a time for what it has not done.
func TestMeasureEndsAtTheFirstFailure(t *testing.T) {
	broken := errors.New("broken")
	for _, part := range []string{"before", "pause", "run", "begin", "end"} {
		t.Run(part, func(t *testing.T) {
			var d diary
			fail := func(here string) error {
				if here == part {
					return fmt.Errorf("%s: %w", here, broken)
				}
				return nil
			}
			g := &group{title: "test", rounds: 2,
				begin: func(context.Context) error { return fail("begin") },
				end:   func(context.Context) (string, error) { return "", fail("end") },
				contenders: []contender{{
					key: "a", name: "a",
					before: func(context.Context) error { return fail("before") },
					run:    func(context.Context) (float64, error) { d.note("run"); return 1, fail("run") },
				}}}
			r, err := g.measure(t.Context(), func(context.Context) error { return fail("pause") })
			if r != nil || !errors.Is(err, broken) {
				t.Errorf("measure() = %v, %v", r, err)
			}
			want := map[string]int{"before": 0, "pause": 0, "run": 1, "begin": 1, "end": 3}[part]
			if len(d) != want {
				t.Errorf("%d runs, want %d", len(d), want)
			}
		})
	}
}
