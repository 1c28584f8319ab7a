package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// crowded is how many processes the full container has besides.
const crowded = 5000

// measureSignals measures from an interrupt to the first byte that the command's trap
// writes, in an empty container and in a full one.
func (b *bench) measureSignals(ctx context.Context) (results []*result, err error) {
	for _, image := range []string{"debian", "busybox"} {
		r, err := b.measureInterrupt(ctx, image)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

func (b *bench) measureInterrupt(ctx context.Context, image string) (*result, error) {
	u, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	var rows []contender
	for _, others := range []int{0, crowded} {
		p, err := b.up(ctx, service("tests", image)+"    x-toxrun: {}\n")
		if err != nil {
			return nil, err
		}
		defer p.down(ctx)
		if err := p.fill(ctx, u, others); err != nil {
			return nil, err
		}
		c := p.command(u, "docker-toxrun", "exec", "-n", "sh", "-c", "trap 'echo trapped; exit 3' INT; sleep 1000000 & echo ready; wait")
		rows = append(rows, contender{key: fmt.Sprint(others), name: "`docker-toxrun exec -n sh -c 'trap ...'`", variant: fmt.Sprint(others), run: c.trapped})
	}
	return b.measure(ctx, &group{
		title: "From ^C to the trap's first byte, " + image, unit: "ms", variant: "other processes", rounds: b.pick(20, 5), base: "0",
		text: fmt.Sprintf("`docker-toxrun` gets SIGINT when the command waits for a `sleep`. The other processes are `sleep`s, too, children of the container's first process. "+
			"Image toxrun-test:%s.", image),
		contenders: rows,
		promises:   []promise{{fmt.Sprintf("^C to the trap's first byte among %d processes, %s, to an empty container", crowded, image), fmt.Sprint(crowded), "0", 3}},
	})
}

// fill starts so many processes in the container, in a session of their own, and waits
// for them.
func (p *project) fill(ctx context.Context, u user, n int) error {
	many := p.command(u, "docker", "exec", p.container, "sh", "-c",
		fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 1000000 >/dev/null 2>&1 & i=$((i+1)); done", n))
	if _, err := many.output(ctx); err != nil {
		return err
	}
	count := p.command(u, "docker", "exec", p.container, "sh", "-c", "cd /proc && set -- [0-9]* && echo $#")
	for deadline := time.Now().Add(limit); ; {
		out, err := count.output(ctx)
		if err != nil {
			return err
		}
		if there, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || there >= n {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s processes in %v, not %d", strings.TrimSpace(out), limit, n)
		}
	}
}

// trapped is a contender's run: the milliseconds from an interrupt to the first line that
// the command's trap writes.
func (c command) trapped(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := c.make(ctx)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(stdout)
	line := func(want string) {
		if err == nil && (!lines.Scan() || lines.Text() != want) {
			err = fmt.Errorf("writes %q, not %q", lines.Text(), want)
		}
	}
	line("ready")
	begin := time.Now()
	cmd.Process.Signal(os.Interrupt)
	line("trapped")
	took := time.Since(begin)
	if err != nil {
		cmd.Process.Kill()
	}
	cmd.Wait() // 3, as the trap has it, or 130
	return milliseconds(took), c.verdict(err, stderr.String())
}
