package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// measureReplicas measures several containers of a service: the same in each, and jobs that
// are dealt over them. GNU parallel does both with docker exec.
func (b *bench) measureReplicas(ctx context.Context) (results []*result, err error) {
	if _, err := exec.LookPath("parallel"); err != nil {
		return nil, fmt.Errorf("%w: scripts/peers.sh installs it", err)
	}
	for _, measure := range []func(context.Context) (*result, error){
		func(ctx context.Context) (*result, error) { return b.measureEach(ctx, 3) },
		func(ctx context.Context) (*result, error) {
			return b.measureDeal(ctx, 4, "8 jobs of 1 s over 4 replicas", seconds(1, 8),
				promise{"8 jobs of 1 s over 4 replicas with `--split`", "split", "", 2.4})
		},
		func(ctx context.Context) (*result, error) {
			return b.measureDeal(ctx, 2, "Jobs of 1, 1, 1, 1 and 4 s over 2 replicas", append(seconds(1, 4), "4"),
				promise{"jobs of 1, 1, 1, 1 and 4 s over 2 replicas with `--split`", "split", "", 4.6})
		},
	} {
		r, err := measure(ctx)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// seconds are n words that sleep takes for so many seconds, no two the same.
func seconds(s, n int) (words []string) {
	for i := range n {
		words = append(words, fmt.Sprintf("%d.%03d", s, i))
	}
	return words
}

// replicas are a project with so many containers of its service, and their names.
func (b *bench) replicas(ctx context.Context, n int) (p *project, names []string, u user, err error) {
	if p, err = b.up(ctx, service("tests", "busybox")+"    x-toxrun: {}\n", "--scale", fmt.Sprint("tests=", n)); err != nil {
		return nil, nil, nil, err
	}
	for i := range n {
		names = append(names, p.replica(fmt.Sprint(i+1)))
	}
	u, err = b.user("warm")
	return p, names, u, err
}

// replica is the name of a container of the service, as that Compose makes it.
func (p *project) replica(n string) string {
	if len(p.bench.compose) == 1 {
		return p.name + "_tests_" + n
	}
	return p.name + "-tests-" + n
}

// measureEach measures one command in each of n replicas at once.
func (b *bench) measureEach(ctx context.Context, n int) (*result, error) {
	p, names, u, err := b.replicas(ctx, n)
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	parallel := append([]string{"parallel", "-j", "0", "docker", "exec", "{}", "sleep", "1", ":::"}, names...)
	return b.measure(ctx, &group{
		title: fmt.Sprintf("`sleep 1` in each of %d replicas", n), unit: "s", rounds: b.pick(10, 2), base: "one",
		text: "The first row is in one of them.",
		contenders: []contender{
			{key: "one", name: "`docker-toxrun exec -n sleep 1`", run: inSeconds(p.command(u, "docker-toxrun", "--index", "1", "exec", "-n", "sleep", "1").writes(""))},
			{key: "all", name: "`docker-toxrun --all -q exec -n sleep 1`", run: inSeconds(p.command(u, "docker-toxrun", "--all", "-q", "exec", "-n", "sleep", "1").writes(""))},
			{key: "parallel", name: "`parallel -j 0 docker exec {} sleep 1 ::: NAME...`", run: inSeconds(p.command(u, parallel...).writes(""))},
		},
		promises: []promise{{fmt.Sprintf("`--all` in %d replicas, to one run", n), "all", "one", 1.3}},
	})
}

// measureDeal measures jobs, each a sleep of its word's time, that are dealt over n replicas.
func (b *bench) measureDeal(ctx context.Context, n int, title string, words []string, kept promise) (*result, error) {
	p, _, u, err := b.replicas(ctx, n)
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	parallel := append([]string{"parallel", "-j", fmt.Sprint(n), "docker", "exec", p.replica("{%}"), "sleep", "{}", ":::"}, words...)
	return b.measure(ctx, &group{
		title: title, unit: "s", rounds: b.pick(10, 2), base: "parallel",
		text: "What took how long is known from the round that is not counted.",
		contenders: []contender{
			{key: "parallel", name: fmt.Sprintf("`parallel -j %d docker exec NAME-{%%} sleep {} ::: WORD...`", n), run: inSeconds(p.command(u, parallel...).writes(""))},
			{key: "split", name: "`docker-toxrun --split --each 'WORD...' -q exec -n sleep {}`",
				run: inSeconds(p.command(u, "docker-toxrun", "--split", "--each", strings.Join(words, " "), "-q", "exec", "-n", "sleep", "{}").writes(""))},
		},
		promises: []promise{kept},
	})
}

// inSeconds is a run in seconds, of one in milliseconds.
func inSeconds(run func(context.Context) (float64, error)) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		value, err := run(ctx)
		return value / 1000, err
	}
}
