package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// inside times a program several times inside the container, from its start to
// its end, and prints the seconds.
const inside = `
import subprocess, sys, time
for _ in range(int(sys.argv[1])):
    begin = time.perf_counter()
    subprocess.run(sys.argv[2:], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print(time.perf_counter() - begin)
`

// measureTox measures a program that takes its time to start, as interpreters do.
func (b *bench) measureTox(ctx context.Context) ([]*result, error) {
	tests := service("tests", "debian")
	p, err := b.up(ctx, tests+"    x-toxrun: {command: [tox], preload: []}\n")
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	warm, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	standby, err := p.standby(false)
	if err != nil {
		return nil, err
	}
	preloaded, err := b.up(ctx, tests+"    x-toxrun: {command: [tox], preload: [tox]}\n")
	if err != nil {
		return nil, err
	}
	defer preloaded.down(ctx)
	python, err := preloaded.standby(true)
	if err != nil {
		return nil, err
	}
	version, err := p.command(warm, "docker", "exec", p.container, "tox", "--version").output(ctx)
	if err != nil {
		return nil, err
	}
	g := &group{
		title: "`tox --version`", unit: "ms", variant: "state", rounds: b.pick(20, 5), base: "docker exec",
		text: "tox is " + strings.Fields(version)[0] + ". *Inside* is from the start of the program to its end, taken in the container: " +
			"of each round the median of three. *Preload* is standby with an interpreter that has imported tox already.",
		promises: []promise{
			{"preload `docker-toxrun -- --version` to `docker exec ID tox --version`", "preload", "docker exec", 0.6},
			{"preload `docker-toxrun -- --version` to `tox --version` inside", "preload", "inside", 1},
		},
		contenders: []contender{
			{key: "inside", name: "inside", run: p.inside(warm, "tox", "--version")},
			{key: "docker exec", name: "`docker exec ID tox --version`", run: p.command(warm, "docker", "exec", p.container, "tox", "--version").writes(version)},
			{key: "docker compose exec", name: "`docker compose exec -T tests tox --version`", run: p.command(warm, b.composeArgs("exec", "-T", "tests", "tox", "--version")...).writes(version)},
			{key: "docker toxrun", name: "`docker toxrun -- --version`", variant: "warm", run: p.command(warm, "docker", "toxrun", "--", "--version").writes(version)},
			{key: "docker-toxrun", name: "`docker-toxrun -- --version`", variant: "warm", run: p.command(warm, "docker-toxrun", "--", "--version").writes(version)},
			{key: "docker toxrun standby", name: "`docker toxrun -- --version`", variant: "standby", run: p.command(standby.user, "docker", "toxrun", "--", "--version").writes(version)},
			{key: "standby", name: "`docker-toxrun -- --version`", variant: "standby", run: p.command(standby.user, "docker-toxrun", "--", "--version").writes(version)},
			{key: "docker toxrun preload", name: "`docker toxrun -- --version`", variant: "preload", run: preloaded.command(python.user, "docker", "toxrun", "--", "--version").writes(version)},
			{key: "preload", name: "`docker-toxrun -- --version`", variant: "preload", run: preloaded.command(python.user, "docker-toxrun", "--", "--version").writes(version)},
		},
	}
	mustWake(g, waking{standby, 2}, waking{python, 2})
	r, err := b.measure(ctx, g)
	return []*result{r}, err
}

// inside is a contender's run: the milliseconds of a program inside.
func (p *project) inside(u user, args ...string) func(context.Context) (float64, error) {
	return p.timesInside(p.command(u, append([]string{"docker", "exec", p.container, "python3", "-c", inside, "3"}, args...)...), 3)
}

// timesInside is inside for a command that prints so many times.
func (p *project) timesInside(c command, n int) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		out, err := c.output(ctx)
		if err != nil {
			return 0, err
		}
		times, err := parseSeconds(out, n)
		if err != nil {
			return 0, err
		}
		return spreadOf(times).median * float64(time.Second/time.Millisecond), nil
	}
}

// parseSeconds reads what inside prints.
func parseSeconds(out string, n int) (times []float64, err error) {
	for _, field := range strings.Fields(out) {
		seconds, err := strconv.ParseFloat(field, 64)
		if err != nil || seconds <= 0 {
			return nil, fmt.Errorf("inside: %q is no time", field)
		}
		times = append(times, seconds)
	}
	if len(times) != n {
		return nil, fmt.Errorf("inside: %d times, not %d: %q", len(times), n, out)
	}
	return times, nil
}
