package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A standby is a user whose runs wake what waits for them in a project's
// container. What the keeper counts shows that they did: else a warm run would pass
// for one.
type standby struct {
	user
	list   command
	python bool // what waits is an interpreter
}

func (p *project) standby(python bool) (*standby, error) {
	u, err := p.bench.user(p.name+"-standby", "TOXRUN_STANDBY=10m")
	if err != nil {
		return nil, err
	}
	p.bench.keepers = append(p.bench.keepers, p.command(u, "docker-toxrun", "standby", "stop"))
	return &standby{user: u, list: p.command(u, "docker-toxrun", "standby", "--format", "json"), python: python}, nil
}

// A waking is how many runs of a user wake what waits, in each round.
type waking struct {
	*standby
	runs int
}

// mustWake makes g fail unless they do.
func mustWake(g *group, wakings ...waking) {
	before := make([]int, len(wakings))
	g.begin = func(ctx context.Context) (err error) {
		for i, w := range wakings {
			if err := w.ready(ctx); err != nil {
				return err
			}
			if before[i], err = w.hits(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	g.end = func(ctx context.Context) (string, error) {
		all := 0
		for i, w := range wakings {
			after, err := w.hits(ctx)
			if err != nil {
				return "", err
			}
			if got, want := after-before[i], w.runs*g.rounds; got != want {
				return "", fmt.Errorf("%d of %d runs with standby woke what waited", got, want)
			}
			all += w.runs * g.rounds
		}
		return fmt.Sprintf("By their keepers' count, all %d runs with standby woke what waited.", all), nil
	}
}

// ready waits until something waits: what a first run has taught is tried before.
func (s *standby) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		listing, err := s.list.output(ctx)
		if err != nil || strings.Contains(listing, `"state":"ready"`) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// readyAgain is ready where there is a keeper.
func (s *standby) readyAgain(ctx context.Context) error {
	listing, err := s.list.output(ctx)
	if err != nil || strings.TrimSpace(listing) == "[]" {
		return err
	}
	return s.ready(ctx)
}

// hits is how many runs have woken what waited.
func (s *standby) hits(ctx context.Context) (int, error) {
	listing, err := s.list.output(ctx)
	if err != nil {
		return 0, err
	}
	hits, python, err := parseKeepers(listing)
	if err == nil && python != s.python {
		err = fmt.Errorf("is a Python interpreter what waits? %v; it should be %v", python, s.python)
	}
	return hits, err
}

// parseKeepers reads what docker-toxrun standby --format json writes of its only
// keeper.
func parseKeepers(listing string) (hits int, python bool, err error) {
	var keepers []struct {
		Hits   *int
		Python bool
	}
	if err := json.Unmarshal([]byte(listing), &keepers); err != nil {
		return 0, false, fmt.Errorf("docker-toxrun standby: %w", err)
	}
	if len(keepers) != 1 || keepers[0].Hits == nil {
		return 0, false, fmt.Errorf("docker-toxrun standby: not one keeper with its hits: %s", listing)
	}
	return *keepers[0].Hits, keepers[0].Python, nil
}
