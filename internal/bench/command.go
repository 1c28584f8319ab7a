package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A command is a program that is started as a user does.
type command struct {
	args []string
	dir  string
	env  []string
}

// limit is how long any run may take: 10 GiB through the Engine take 40 s.
const limit = 5 * time.Minute

// make makes the command ready to be started.
func (c command) make(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	// A process that is left behind must not hold the output open.
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run takes the time from the start of the program to its end. A nil stdin is
// empty.
func (c command) run(ctx context.Context, stdin *os.File, stdout io.Writer) (time.Duration, error) {
	took, _, err := c.timed(ctx, stdin, stdout)
	return took, err
}

// timed is run, and takes the processor's time as well.
func (c command) timed(ctx context.Context, stdin *os.File, stdout io.Writer) (took, processor time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := c.make(ctx)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	if stdin != nil {
		cmd.Stdin = stdin
	}
	begin := time.Now()
	err = cmd.Run()
	took = time.Since(begin)
	if cmd.ProcessState != nil {
		processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return took, processor, c.verdict(err, stderr.String())
}

// verdict is the error of a run: no contender has anything to say on stderr.
func (c command) verdict(err error, stderr string) error {
	if err == nil && stderr != "" {
		err = errors.New("it says something on stderr")
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(c.args, " "), err, stderr)
	}
	return nil
}

// output runs the command and returns what it writes.
func (c command) output(ctx context.Context) (string, error) {
	var stdout bytes.Buffer
	_, err := c.run(ctx, nil, &stdout)
	return stdout.String(), err
}

// writes is a contender's run: the milliseconds of a command that writes want, and
// nothing else.
func (c command) writes(want string) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		var stdout bytes.Buffer
		took, err := c.run(ctx, nil, &stdout)
		if err == nil && stdout.String() != want {
			err = fmt.Errorf("%s: writes %q, not %q", strings.Join(c.args, " "), stdout.String(), want)
		}
		return milliseconds(took), err
	}
}

// succeeds is the run of any command: what it writes is not looked at.
func (c command) succeeds(ctx context.Context) (float64, error) {
	begin := time.Now()
	out, err := c.make(ctx).CombinedOutput()
	took := time.Since(begin)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return milliseconds(took), err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
