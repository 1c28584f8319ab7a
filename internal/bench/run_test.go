package main

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// Whatever is not what it should be has no time.
func TestCommandIsChecked(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh")
	}
	for script, wrong := range map[string]string{
		"echo go":           "",
		"echo go; exit 1":   "exit status 1",
		"echo no":           `writes "no\n"`,
		"echo go; echo go":  `writes "go\ngo\n"`,
		"true":              `writes ""`,
		"echo go; echo >&2": "stderr",
	} {
		c := command{args: []string{"sh", "-c", script}}
		took, err := c.writes("go\n")(t.Context())
		switch {
		case wrong == "" && (err != nil || took <= 0):
			t.Errorf("%s: %v, %v", script, took, err)
		case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)):
			t.Errorf("%s: error %v, want %s", script, err, wrong)
		}
	}
}

func TestWatcherLine(t *testing.T) {
	for _, test := range []struct {
		chunks []string
		wrong  string // the error of line
		twice  bool   // quiet has one
	}{
		{chunks: []string{"go\n"}},
		{chunks: []string{"g", "o\n"}},
		{chunks: []string{"gone\n"}, wrong: `writes "gone\n"`},
		{chunks: []string{"go\ngo\n"}, wrong: `writes "go\ngo\n"`},
		{chunks: []string{"go\n", "go\n"}, twice: true},
	} {
		w := &watcher{command: command{args: []string{"watch"}}, chunks: make(chan chunk, 10)}
		var first time.Time
		for i, text := range test.chunks {
			w.Write([]byte(text))
			if i == 0 {
				first = time.Now()
			}
		}
		at, err := w.line(t.Context())
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%q: error %v, want %s", test.chunks, err, test.wrong)
			}
			continue
		}
		if err != nil || at.After(first) {
			t.Errorf("%q: first byte at %v, not before %v; error %v", test.chunks, at, first, err)
		}
		if err := w.quiet(); (err != nil) != test.twice {
			t.Errorf("%q: quiet() = %v", test.chunks, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&watcher{chunks: make(chan chunk)}).line(ctx); err == nil {
		t.Error("a watcher that says nothing has a line")
	}
}

func TestFloor(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		path, ok := strings.CutPrefix(e.Host, "unix://")
		if !ok {
			t.Skip("the Engine is not on a unix socket")
		}
		f := floor{path, e.Container}
		if out, took, err := f.exec("echo", "go"); out != "go\n" || took <= 0 || err != nil {
			t.Errorf("exec() = %q, %v, %v", out, took, err)
		}
		for _, args := range [][]string{{"sh", "-c", "exit 3"}, {"sh", "-c", "echo >&2"}} {
			if out, _, err := f.exec(args...); err == nil {
				t.Errorf("%q: %q, without an error", args, out)
			}
		}
		waiting, err := f.wait()
		if err != nil {
			t.Fatal(err)
		}
		if out, took, err := waiting.wake("echo go"); out != "go\n" || took <= 0 || err != nil {
			t.Errorf("wake() = %q, %v, %v", out, took, err)
		}
		if _, _, err := (floor{path, "none"}).exec("true"); err == nil {
			t.Error("a container that is not there has run something")
		}
	})
}

func TestPeak(t *testing.T) {
	if _, err := exec.LookPath("dd"); err != nil || !known() {
		t.Skip("no dd, or no /proc")
	}
	dd := func(block, count string) float64 {
		mb, err := command{args: []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=" + block, "count=" + count, "status=none"}}.peak(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return mb
	}
	if small, large := dd("1M", "6400"), dd("64M", "100"); large-small < 60 || large > 120 {
		t.Errorf("blocks of 1 MiB take %.0f MB, of 64 MiB %.0f MB", small, large)
	}
}

func known() bool { _, ok := readTicks(); return ok }

func TestUnknownScene(t *testing.T) {
	err := run(t.Context(), []string{"-only", "true,fast"})
	if err == nil || !strings.Contains(err.Error(), `"fast"`) {
		t.Errorf("run() = %v", err)
	}
}

func TestCounter(t *testing.T) {
	var n counter
	for range 3 {
		n.Write(bytes.Repeat([]byte{0}, 1000))
	}
	if n != 3000 {
		t.Errorf("counted %d", n)
	}
}
