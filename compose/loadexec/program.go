// Package loadexec has Compose files read by a program of its own,
// toxrun-compose, which package load is linked into. Starting that takes
// longer than all else that a run with its target in the cache does, and the
// initialization of what is linked is not to be put off: so it is linked
// elsewhere.
//
// Program is the one side of the exchange and Serve the other. To the caller
// it is as if it had called load.Model itself: the program has the caller's
// environment and directory, and its errors are those of load.Model.
package loadexec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/toxrun/docker-toxrun/compose"
)

// A Program is a toxrun-compose.
type Program struct {
	Path string // "" is the one beside this program's own executable
}

// Model is load.Model, done by the program. When ctx ends it is killed; it
// doesn't outlive this process either. A program that is missing, dies or is
// of another build is an error that has a method Hint() string.
func (p Program) Model(ctx context.Context, q compose.Query) (*compose.Model, error) {
	path := p.Path
	if path == "" {
		var err error
		if path, err = beside(); err != nil {
			return nil, err
		}
	}
	message, err := encode(request{q})
	if err != nil {
		return nil, err
	}
	out, err := exchange(ctx, path, message)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var got answer
	if err == nil {
		err = decode(bytes.NewReader(out), &got)
	}
	if err != nil {
		return nil, &programError{fmt.Errorf("%s, which reads Compose files: %w", path, err)}
	}
	return got.result()
}

// exchange sends a request to the program and returns its answer.
func exchange(ctx context.Context, path string, message []byte) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path)
	cmd.SysProcAttr = apart()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// stdin is open until Wait has seen the end: by that the program knows that
	// we are there. The goroutine ends with the program at the latest.
	go func() { _, _ = stdin.Write(message) }()
	err = cmd.Wait()
	if line := lastWords(stderr.String()); err != nil && line != "" {
		err = fmt.Errorf("%w: %s", err, line)
	}
	return stdout.Bytes(), err
}

// beside finds the program where this one is: where it was called, and where
// symbolic links lead to from there.
func beside() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dirs := []string{filepath.Dir(self)}
	if real, err := filepath.EvalSymlinks(self); err == nil && filepath.Dir(real) != dirs[0] {
		dirs = append(dirs, filepath.Dir(real))
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, nil // whatever else is wrong there, Start tells
		}
	}
	return "", &programError{fmt.Errorf("there is no %s in %s, the program that reads Compose files", name, strings.Join(dirs, " or "))}
}

// lastWords is the line of a dead program's stderr that tells most: where a Go
// program gives a reason, a trace follows.
func lastWords(stderr string) string {
	last := ""
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
		if line != "" {
			last = line
		}
	}
	return last
}

// A programError is a toxrun-compose that can't be used.
type programError struct{ error }

func (e *programError) Unwrap() error { return e.error }

// Hint is what mends it, as far as anything does.
func (e *programError) Hint() string {
	return "install docker-toxrun and toxrun-compose together: make install"
}
