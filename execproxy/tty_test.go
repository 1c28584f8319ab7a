//go:build unix

package execproxy_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// eachVersion is Each, with a fake of a newer Engine as well.
func eachVersion(t *testing.T, body func(*testing.T, enginetest.Target)) {
	enginetest.Each(t, body)
	t.Run("fake-1.51", func(t *testing.T) {
		e := &enginetest.Engine{APIVersion: "1.51"}
		e.Start(t)
		body(t, e.Target(e.Add(enginetest.Container{})))
	})
}

var size = execproxy.Size{Rows: 40, Columns: 120}

func TestTerminalHasItsSizeFromTheFirstByte(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, e enginetest.Target) {
		var wait sync.WaitGroup
		for range 5 {
			wait.Go(func() {
				for range 10 {
					var stdout bytes.Buffer
					c := command(e, "stty", "size")
					c.TTY, c.Size, c.Stdout = true, size, &stdout
					if err := c.Run(t.Context()); err != nil || stdout.String() != "40 120\r\n" {
						t.Errorf("stty size: %q, %v", &stdout, err)
					}
				}
			})
		}
		wait.Wait()
	})
}

func TestTerminalFollowsAResize(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, e enginetest.Target) {
		resize := make(chan execproxy.Size)
		c := sh(e, `trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done`)
		c.TTY, c.Size, c.Resize = true, size, resize
		s := start(t, c)
		resize <- execproxy.Size{Rows: 30, Columns: 100}
		s.expect(t, "30 100")
		if err := s.wait(t); err != nil {
			t.Error(err)
		}
	})
}

// ^P, the first of docker's detach keys, arrives at once, and ^P^Q detaches
// nothing.
func TestTerminalPassesEveryKeyOn(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, e enginetest.Target) {
		keys, press := io.Pipe()
		defer press.Close()
		c := sh(e, `stty raw -echo; echo ready; for i in 1 2 3; do head -c 1 | od -An -tx1; done`)
		c.TTY, c.Size, c.Stdin = true, size, keys
		s := start(t, c)
		for _, key := range []string{"\x10", "\x10", "\x11"} {
			press.Write([]byte(key))
			// The next key is not pressed before this one is there.
			if !s.lines.Scan() || !strings.Contains(s.lines.Text(), map[string]string{"\x10": "10", "\x11": "11"}[key]) {
				t.Fatalf("key %q came as %q", key, s.lines.Text())
			}
		}
		if err := s.wait(t); err != nil {
			t.Error(err)
		}
	})
}

func TestTerminalReachesTheEndOfStdin(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, e enginetest.Target) {
		for _, input := range []string{"", "line\n", "half a line"} {
			var stdout bytes.Buffer
			c := sh(e, "stty -echo; cat")
			c.TTY, c.Size, c.Stdin, c.Stdout = true, size, strings.NewReader(input), &stdout
			done := make(chan error, 1)
			go func() { done <- c.Run(t.Context()) }()
			select {
			case err := <-done:
				if got := strings.ReplaceAll(stdout.String(), "\r\n", "\n"); err != nil || !strings.Contains(got, input) {
					t.Errorf("input %q: output %q, %v", input, got, err)
				}
			case <-enginetest.Late(t):
				t.Fatalf("input %q: the run goes on", input)
			}
		}
	})
}

func TestTerminalNeedsNoShell(t *testing.T) {
	t.Parallel()
	enginetest.EachImage(t, []string{"toxrun-test:noshell"}, func(t *testing.T, e enginetest.Target) {
		var stdout bytes.Buffer
		c := command(e, "cat")
		c.TTY, c.Size, c.Stdin, c.Stdout = true, size, strings.NewReader("line\n"), &stdout
		if err := c.Run(t.Context()); err != nil || !strings.Contains(stdout.String(), "line") {
			t.Errorf("output %q, %v", &stdout, err)
		}
		c = command(e, "no-such-program")
		c.TTY, c.Size = true, size
		if start, ok := errors.AsType[*execproxy.StartError](c.Run(t.Context())); !ok || start.Code != 127 {
			t.Errorf("no-such-program: %v", start)
		}
	})
}
