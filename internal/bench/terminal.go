package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/creack/pty"
)

// measureTerminal measures the same at a terminal, to the byte that a person waits for.
func (b *bench) measureTerminal(ctx context.Context) (results []*result, err error) {
	p, err := b.up(ctx, service("tests", "debian"))
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
	for _, scene := range []struct {
		title, want  string
		docker, ours []string
		end          string // ends what waits for it; empty: nothing does
	}{
		{"A shell to its prompt, at a terminal", "# ", []string{"bash"}, []string{"shell"}, "exit\r"},
		{"`echo go` to its output, at a terminal", "go", []string{"echo", "go"}, []string{"exec", "echo", "go"}, ""},
	} {
		docker := append([]string{"docker", "exec", "-it", p.container}, scene.docker...)
		ours := append([]string{"docker-toxrun"}, scene.ours...)
		name := strings.Join(ours, " ")
		g := &group{
			title: scene.title, unit: "ms", variant: "state", rounds: b.pick(20, 5), base: "docker exec",
			contenders: []contender{
				{key: "docker exec", name: "`docker exec -it ID " + strings.Join(scene.docker, " ") + "`", run: p.command(warm, docker...).shows(scene.want, scene.end)},
				{key: "warm", name: "`" + name + "`", variant: "warm", run: p.command(warm, ours...).shows(scene.want, scene.end)},
				{key: "standby", name: "`" + name + "`", variant: "standby", run: p.command(standby.user, ours...).shows(scene.want, scene.end)},
			},
			promises: []promise{{"at a terminal, standby `" + name + "` to `docker exec -it`", "standby", "docker exec", 0.25}},
		}
		mustWake(g, waking{standby, 1})
		r, err := b.measure(ctx, g)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// shows is a run at a terminal: the milliseconds until that shows want. Then end is
// typed, and the program has to end.
func (c command) shows(want, end string) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		cmd := c.make(ctx)
		begin := time.Now()
		terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
		if err != nil {
			return 0, err
		}
		defer terminal.Close()
		var shown bytes.Buffer
		for took := time.Duration(0); ; {
			part := make([]byte, 4096)
			n, err := terminal.Read(part)
			shown.Write(part[:n])
			if took == 0 && strings.Contains(shown.String(), want) {
				took = time.Since(begin)
				fmt.Fprint(terminal, end)
			}
			if err == nil {
				continue
			}
			// A terminal that its last program has left is an error to read (EIO).
			err = cmd.Wait()
			if err == nil && took == 0 {
				err = errors.New("it does not show what it should")
			}
			if err != nil {
				err = fmt.Errorf("%s: %w: %q", strings.Join(c.args, " "), err, shown.String())
			}
			return milliseconds(took), err
		}
	}
}
