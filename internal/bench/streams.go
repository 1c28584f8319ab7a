package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// measureStreams measures much data both ways, and the memory that it takes.
func (b *bench) measureStreams(ctx context.Context) (results []*result, err error) {
	p, err := b.up(ctx, service("tests", "busybox")+"    volumes: ['.:/app']\n")
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	u, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	in, err := p.streamIn(u, int64(b.pick(128, 64)))
	if err != nil {
		return nil, err
	}
	out := int64(b.pick(256, 64))
	mapped, err := p.streamMapped(u, int64(b.pick(1024, 256)))
	if err != nil {
		return nil, err
	}
	groups := []*group{p.streamOut(u, out, nil), p.streamOut(u, out, null), mapped, in}
	if runtime.GOOS == "linux" { // elsewhere it can't be read
		groups = append(groups, p.streamMemory(u, int64(b.pick(10, 1))<<10, null))
	}
	for _, g := range groups {
		r, err := b.measure(ctx, g)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// zeros are commands that write so many MiB, as a user of docker exec and of
// docker-toxrun types them.
func (p *project) zeros(u user, mib int64) (docker, toxrun command) {
	// In large blocks: it is not the writer that is to be measured.
	dd := []string{"dd", "if=/dev/zero", "bs=64k", fmt.Sprint("count=", mib<<4), "status=none"}
	return p.command(u, append([]string{"docker", "exec", p.container}, dd...)...),
		p.command(u, append([]string{"docker-toxrun", "exec", "-n"}, dd...)...)
}

// streamOut is about output that goes to a file, or to a pipe for a nil one.
func (p *project) streamOut(u user, mib int64, to *os.File) *group {
	where := "a pipe"
	if to != nil {
		where = "`" + to.Name() + "`"
	}
	docker, toxrun := p.zeros(u, mib)
	g := &group{
		title: fmt.Sprintf("%d MiB out, to %s", mib, where), unit: "s", rounds: p.bench.pick(15, 3), base: "docker exec",
		promises: []promise{{fmt.Sprintf("%d MiB out to %s, `docker-toxrun` to `docker exec`", mib, where), "docker-toxrun", "docker exec", 1}},
	}
	kept := keep(g)
	run := func(key string, c command) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			before := engineTime()
			var n counter
			stdout := io.Writer(&n)
			if to != nil {
				stdout, n = to, counter(mib<<20)
			}
			took, client, err := c.timed(ctx, nil, stdout)
			if err == nil && int64(n) != mib<<20 {
				err = fmt.Errorf("%d bytes came, not %d", n, mib<<20)
			}
			kept.add(key, client, before)
			return took.Seconds(), err
		}
	}
	g.contenders = []contender{
		{key: "docker exec", name: "`docker exec ID dd if=/dev/zero ...`", run: run("docker exec", docker)},
		{key: "docker-toxrun", name: "`docker-toxrun exec -n dd if=/dev/zero ...`", run: run("docker-toxrun", toxrun)},
	}
	return g
}

// streamMapped is about output in which paths are mapped: of each four lines one has the
// project's.
func (p *project) streamMapped(u user, mib int64) (*group, error) {
	const (
		text  = "/app/tests/test_of_something.py:31: in test_that_it_holds\n    raise ValueError(value)\nE   ValueError: 17\n\n"
		piece = 64 // MiB
	)
	repeated := bytes.Repeat([]byte(text), piece<<20/len(text))
	if err := os.WriteFile(filepath.Join(p.dir, "log"), repeated, 0o644); err != nil {
		return nil, err
	}
	size := int64(len(repeated)) * (mib / piece)
	run := func(how string) func(context.Context) (float64, error) {
		c := p.command(u, "docker-toxrun", "exec", "-n", "--map-paths="+how, "sh", "-c", fmt.Sprintf("for i in $(seq %d); do cat log; done", mib/piece))
		return func(ctx context.Context) (float64, error) {
			var n counter
			took, err := c.run(ctx, nil, &n)
			if err == nil && (int64(n) == size) != (how == "none") {
				err = fmt.Errorf("%d bytes came, of %d", n, size)
			}
			return took.Seconds(), err
		}
	}
	return &group{
		title: fmt.Sprintf("%d MiB of text out, with paths in it, to a pipe", mib), unit: "s", rounds: p.bench.pick(5, 2), base: "none",
		contenders: []contender{
			{key: "none", name: "`docker-toxrun exec --map-paths=none`", run: run("none")},
			{key: "out", name: "`docker-toxrun exec --map-paths=out`", run: run("out")},
		},
		promises: []promise{{fmt.Sprintf("%d MiB out, paths mapped, to not mapped", mib), "out", "none", 1.3}},
	}, nil
}

// A counter counts what is written to it.
type counter int64

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}

// streamIn is about input from a file.
func (p *project) streamIn(u user, mib int64) (*group, error) {
	path := filepath.Join(p.bench.tmp, "input")
	err := os.WriteFile(path, nil, 0o600)
	if err == nil {
		err = os.Truncate(path, mib<<20) // it takes no room, and no disk is read
	}
	if err != nil {
		return nil, err
	}
	g := &group{
		title: fmt.Sprintf("%d MiB in, from a file", mib), unit: "s", rounds: p.bench.pick(15, 3), base: "docker exec",
		promises: []promise{{fmt.Sprintf("%d MiB in, `docker-toxrun` to `docker exec`", mib), "docker-toxrun", "docker exec", 1}},
	}
	kept := keep(g)
	run := func(key string, c command) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			f, err := os.Open(path)
			if err != nil {
				return 0, err
			}
			defer f.Close()
			before := engineTime()
			var out bytes.Buffer
			took, client, err := c.timed(ctx, f, &out)
			if n := strings.TrimSpace(out.String()); err == nil && n != strconv.FormatInt(mib<<20, 10) {
				err = fmt.Errorf("%s bytes got there, not %d", n, mib<<20)
			}
			kept.add(key, client, before)
			return took.Seconds(), err
		}
	}
	g.contenders = []contender{
		{key: "docker exec", name: "`docker exec -i ID wc -c <FILE`", run: run("docker exec", p.command(u, "docker", "exec", "-i", p.container, "wc", "-c"))},
		{key: "docker-toxrun", name: "`docker-toxrun exec wc -c <FILE`", run: run("docker-toxrun", p.command(u, "docker-toxrun", "exec", "wc", "-c"))},
	}
	return g, nil
}

// streamMemory is about the memory of the client.
func (p *project) streamMemory(u user, mib int64, null *os.File) *group {
	run := func(c command) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) { return c.peak(ctx, null) }
	}
	docker, toxrun := p.zeros(u, mib)
	return &group{
		title: fmt.Sprintf("Memory, %d GiB out", mib>>10), unit: "MB", rounds: 1, firstCounts: true, base: "docker exec",
		text: "The most of it that the client had at any time.",
		contenders: []contender{
			{key: "docker exec", name: "`docker exec ID dd if=/dev/zero ...`", run: run(docker)},
			{key: "docker-toxrun", name: "`docker-toxrun exec -n dd if=/dev/zero ...`", run: run(toxrun)},
		},
		promises: []promise{{fmt.Sprintf("memory of `docker-toxrun`, %d GiB out", mib>>10), "docker-toxrun", "", 32}},
	}
}

// peak runs the command and returns the most memory that it had, in MB. The
// kernel's own account at the end of a process is no use here: it begins with what
// this process has.
func (c command) peak(ctx context.Context, stdout *os.File) (megabytes float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := c.make(ctx)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	status := fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)
	kilobytes := 0.0
	for {
		select {
		case err := <-ended:
			if err = c.verdict(err, stderr.String()); err == nil && kilobytes == 0 {
				err = fmt.Errorf("%s was not seen", status)
			}
			return kilobytes * 1024 / 1e6, err
		case <-time.After(10 * time.Millisecond):
			var now float64
			if _, err := fmt.Sscanf(colonField(status, "VmHWM"), "%f kB", &now); err == nil {
				kilobytes = max(kilobytes, now)
			}
		}
	}
}
