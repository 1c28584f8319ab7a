package main

import (
	"context"
	"fmt"
	"strings"
)

// measureServices measures whether a warm run takes longer in a larger project, or
// with more containers on the Engine.
func (b *bench) measureServices(ctx context.Context) (results []*result, err error) {
	r, err := b.measureProjects(ctx)
	if err != nil {
		return nil, err
	}
	results = append(results, r)
	for _, n := range []int{1, b.pick(100, 10)} {
		r, err := b.measureContainers(ctx, n)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

func (b *bench) measureProjects(ctx context.Context) (*result, error) {
	u, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	g := &group{
		title: "Services of a project", unit: "ms", variant: "services", rounds: b.pick(20, 5), base: "docker exec",
		text: "Warm runs. One of the services is up.",
	}
	for _, n := range []int{1, 50, 200} {
		services := service("tests", "busybox") + "    x-toxrun: {command: [\"true\"]}\n"
		for i := range n - 1 {
			services += service(fmt.Sprintf("other-%d", i), "busybox") + "    environment: {NUMBER: \"" + fmt.Sprint(i) + "\"}\n"
		}
		p, err := b.up(ctx, services, "tests")
		if err != nil {
			return nil, err
		}
		defer p.down(ctx)
		if n == 1 {
			g.contenders = append(g.contenders, contender{key: "docker exec", name: "`docker exec ID true`", run: p.command(u, "docker", "exec", p.container, "true").writes("")})
		}
		variant := fmt.Sprint(n)
		g.contenders = append(g.contenders,
			contender{key: "toxrun " + variant, name: "`docker-toxrun exec -n true`", variant: variant, run: p.command(u, "docker-toxrun", "exec", "-n", "true").writes("")},
			contender{key: "compose " + variant, name: "`docker compose exec -T tests true`", variant: variant, run: p.command(u, b.composeArgs("exec", "-T", "tests", "true")...).writes("")})
	}
	return b.measure(ctx, g)
}

// measureContainers needs the Engine's containers to be as many as that, so that
// each number is a group of its own.
func (b *bench) measureContainers(ctx context.Context, n int) (*result, error) {
	running, err := command{args: []string{"docker", "ps", "-q"}, env: b.environ}.output(ctx)
	if err != nil {
		return nil, err
	}
	p, err := b.up(ctx, service("tests", "busybox")+service("others", "busybox"), "--scale", fmt.Sprint("others=", n-1))
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	u, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	g := &group{
		title: plural(n, "container"), unit: "ms", rounds: b.pick(20, 5), base: "docker exec",
		text: "Warm runs, with so many containers up on the Engine.",
		contenders: []contender{
			{key: "docker exec", name: "`docker exec ID true`", run: p.command(u, "docker", "exec", p.container, "true").writes("")},
			{key: "toxrun", name: "`docker-toxrun exec -n -s tests true`", run: p.command(u, "docker-toxrun", "exec", "-n", "-s", "tests", "true").writes("")},
			{key: "compose", name: "`docker compose exec -T tests true`", run: p.command(u, b.composeArgs("exec", "-T", "tests", "true")...).writes("")},
		},
	}
	if others := len(strings.Fields(running)); others > 0 {
		g.text += " Besides, " + plural(others, "container") + " of somebody else's."
	}
	return b.measure(ctx, g)
}
