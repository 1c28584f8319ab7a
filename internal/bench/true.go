package main

import (
	"context"
	"fmt"
	"os"
)

// measureTrue measures the shortest of all commands: what is left is the way there.
func (b *bench) measureTrue(ctx context.Context) ([]*result, error) {
	p, err := b.up(ctx, service("tests", "busybox")+"    x-toxrun: {command: [\"true\"]}\n")
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	warm, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	cold, err := b.user("cold")
	if err != nil {
		return nil, err
	}
	standby, err := p.standby(false)
	if err != nil {
		return nil, err
	}
	forget := func(context.Context) error { return os.RemoveAll(b.cache("cold")) }
	g := &group{
		title: "`true`", unit: "ms", variant: "state", rounds: b.pick(30, 8), base: "docker exec",
		text: "`ID` is the container's. `docker toxrun` is what runs `docker-toxrun` as a plugin of docker's.",
		promises: []promise{
			{"warm `docker-toxrun exec -n true` to `docker exec ID true`", "docker-toxrun warm", "docker exec", 0.8},
			{"warm `docker toxrun exec -n true` to `docker compose exec -T tests true`", "docker toxrun warm", "docker compose exec", 0.75},
			{"standby `docker-toxrun exec -n true` to `docker exec ID true`", "docker-toxrun standby", "docker exec", 0.14},
			{"standby `docker-toxrun -- ARG` to `docker exec ID true`", "docker-toxrun -- standby", "docker exec", 0.25},
		},
	}
	var woken *flow
	g.contenders = []contender{
		{
			key: "floor woken", name: "floor, waking a shell that waits",
			before: func(context.Context) (err error) { woken, err = p.floor().wait(); return err },
			run: func(context.Context) (float64, error) {
				out, took, err := woken.wake("true")
				return milliseconds(took), silent(out, err)
			},
		},
		{
			key: "floor", name: "floor",
			run: func(context.Context) (float64, error) {
				out, took, err := p.floor().exec("true")
				return milliseconds(took), silent(out, err)
			},
		},
		{key: "docker exec", name: "`docker exec ID true`", run: p.command(warm, "docker", "exec", p.container, "true").writes("")},
		{key: "docker compose exec", name: "`docker compose exec -T tests true`", run: p.command(warm, b.composeArgs("exec", "-T", "tests", "true")...).writes("")},
	}
	for _, program := range [][]string{{"docker", "toxrun"}, {"docker-toxrun"}} {
		name := program[0]
		if len(program) > 1 {
			name += " " + program[1]
		}
		for _, args := range [][]string{{"exec", "-n", "true"}, {"--", "ARG"}} {
			key, shown := name, name+" exec -n true"
			if args[0] == "--" {
				key, shown = name+" --", name+" -- ARG"
			}
			line := func(u user) func(context.Context) (float64, error) {
				return p.command(u, append(program[:len(program):len(program)], args...)...).writes("")
			}
			shown = "`" + shown + "`"
			g.contenders = append(g.contenders,
				contender{key: key + " cold", name: shown, variant: "cold", before: forget, run: line(cold)},
				contender{key: key + " warm", name: shown, variant: "warm", run: line(warm)},
				contender{key: key + " standby", name: shown, variant: "standby", run: line(standby.user)})
		}
	}
	mustWake(g, waking{standby, 4})
	r, err := b.measure(ctx, g)
	return []*result{r}, err
}

// silent is the error of a run of true, which writes nothing.
func silent(out string, err error) error {
	if err == nil && out != "" {
		err = fmt.Errorf("true writes %q", out)
	}
	return err
}
