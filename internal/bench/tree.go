package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// measureTree measures what a watch takes until it watches a tree of many files.
func (b *bench) measureTree(ctx context.Context) (*result, error) {
	u, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	p, err := b.up(ctx, service("tests", "busybox")+"    volumes: [\".:/app\"]\n    working_dir: /app\n    x-toxrun: {command: [echo]}\n")
	if err != nil {
		return nil, err
	}
	defer p.down(ctx)
	files := b.pick(100_000, 5_000)
	if err := plant(p.dir, files); err != nil {
		return nil, err
	}
	g := &group{
		title: fmt.Sprintf("From the start of a watch to its readiness, %d files", files), unit: "ms", rounds: b.pick(10, 3), base: "find",
		text: "There are 20 files in a directory. `find` looks at each once, as a watch has to before it can tell what changes.",
		contenders: []contender{
			{key: "find", name: "`find . -type f -size +1`", run: p.command(u, "find", ".", "-type", "f", "-size", "+1").writes("")},
			{key: "watch", name: "`docker-toxrun watch --initial=false -- go`",
				run: p.command(u, "docker-toxrun", "watch", "--format", "json", "--initial=false", "--", "go").watching},
		},
		promises: []promise{{"start of `docker-toxrun watch` in a large tree, to `find`", "watch", "find", 4}},
	}
	return b.measure(ctx, g)
}

// plant makes empty files below dir.
func plant(dir string, files int) error {
	for i := range files {
		sub := filepath.Join(dir, fmt.Sprintf("pkg%d/sub%d/module%d", i/20%10, i/200%50, i/10_000))
		if i%20 == 0 {
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("test_file_%d.py", i%20)), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// watching is the run of a watch in JSON: the milliseconds to the line that says that
// it watches. Then it is interrupted.
func (c command) watching(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := c.make(ctx)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	took := time.Since(begin)
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait() // 130: no run gave it another status
	if err == nil && !strings.Contains(line, `"started"`) {
		err = fmt.Errorf("it says %q first", line)
	}
	return milliseconds(took), c.verdict(err, stderr.String())
}
