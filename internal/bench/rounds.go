package main

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// A contender is one way to do what its group is about.
type contender struct {
	key     string // unique in its group
	name    string // as a user types it
	variant string // where one name is there several times

	// before prepares a run, and its time doesn't count; nil prepares nothing.
	before func(context.Context) error
	// run does it once, sees to it that it was done, and returns its value in the
	// group's unit.
	run func(context.Context) (float64, error)
}

// A group is measured together: each of its contenders once a round.
type group struct {
	title, text string
	unit        string // of the values: ms, s or MB
	variant     string // what the contenders' variants are; empty: there are none
	rounds      int
	firstCounts bool   // there is no round before the first that fills caches
	base        string // key of the contender that ratios refer to
	contenders  []contender
	promises    []promise

	begin func(context.Context) error           // before the first round that counts; may be nil
	end   func(context.Context) (string, error) // after the last: what more is to be said; may be nil
}

// A result is what a group has come to.
type result struct {
	*group
	values map[string][]float64 // by key of the contender, one a round
	note   string
}

// measure lets the contenders take turns. Between any two runs it calls pause, so
// that nobody pays for what the one before has left to do.
func (g *group) measure(ctx context.Context, pause func(context.Context) error) (*result, error) {
	r := &result{group: g, values: map[string][]float64{}}
	first := 1
	if g.firstCounts {
		first = 0
	}
	for round := range first + g.rounds {
		if round == first && g.begin != nil {
			if err := g.begin(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", g.title, err)
			}
		}
		for _, i := range order(round, len(g.contenders)) {
			c := g.contenders[i]
			value, err := c.once(ctx, pause)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %s %s: %w", g.title, round, c.name, c.variant, err)
			}
			if round >= first {
				r.values[c.key] = append(r.values[c.key], value)
			}
		}
	}
	if g.end != nil {
		var err error
		if r.note, err = g.end(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", g.title, err)
		}
	}
	return r, nil
}

func (c *contender) once(ctx context.Context, pause func(context.Context) error) (float64, error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return 0, err
		}
	}
	if err := pause(ctx); err != nil {
		return 0, err
	}
	return c.run(ctx)
}

// order is the order of a round's n contenders: shuffled, so that nobody always
// comes after the same one, and the same in each bench.
func order(round, n int) []int {
	return rand.New(rand.NewPCG(1, uint64(round))).Perm(n)
}
