package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// measureCrowd measures many runs at once: until the last has ended.
func (b *bench) measureCrowd(ctx context.Context) ([]*result, error) {
	p, err := b.up(ctx, service("tests", "busybox"))
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	u, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	docker := &crowd{name: "docker exec ID echo N", line: func(n string) command { return p.command(u, "docker", "exec", p.container, "echo", n) }}
	toxrun := &crowd{name: "docker-toxrun exec -n echo N", line: func(n string) command { return p.command(u, "docker-toxrun", "exec", "-n", "echo", n) }}
	r, err := b.measure(ctx, &group{
		title: fmt.Sprintf("%d at once", crowdSize), unit: "s", rounds: b.pick(5, 2), base: docker.name,
		text: "From the start of the first to the end of the last.",
		contenders: []contender{
			{key: docker.name, name: "`" + docker.name + "`", run: docker.run},
			{key: toxrun.name, name: "`" + toxrun.name + "`", run: toxrun.run},
		},
		end: func(context.Context) (string, error) {
			for _, c := range []*crowd{docker, toxrun} {
				if c.failure != nil {
					b.say("%s: %v", c.name, c.failure)
				}
			}
			return fmt.Sprintf("Of %s's runs %d failed, of %s's %d, each of %d.", strings.Fields(docker.name)[0], docker.failures,
				strings.Fields(toxrun.name)[0], toxrun.failures, docker.runs), nil
		},
	})
	return []*result{r}, err
}

const crowdSize = 50

// A crowd is a command line many times at once. One that fails is counted: whether
// all of them get through is part of the question.
type crowd struct {
	name string
	line func(n string) command

	runs, failures int
	failure        error // one of them
}

func (c *crowd) run(ctx context.Context) (float64, error) {
	failed := make(chan error, crowdSize)
	begin := time.Now()
	for n := range crowdSize {
		go func() {
			text := fmt.Sprint(n)
			_, err := c.line(text).writes(text + "\n")(ctx)
			failed <- err
		}()
	}
	failures := 0
	for range crowdSize {
		if err := <-failed; err != nil {
			failures++
			c.failure = err
		}
	}
	took := time.Since(begin)
	c.runs += crowdSize
	c.failures += failures
	if failures == crowdSize {
		return 0, c.failure
	}
	return took.Seconds(), ctx.Err()
}
