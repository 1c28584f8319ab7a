package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// mounted is a container in which a directory of this machine, which it returns, is /app.
func mounted(t *testing.T) (e enginetest.Target, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.py"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	engine := new(enginetest.Engine)
	engine.Start(t)
	return engine.Target(engine.Add(enginetest.Container{
		Mounts: []container.MountPoint{{Type: mount.TypeBind, Source: dir, Destination: "/app"}},
	})), dir
}

// At a terminal a person is to open what is named; a program that draws, and a shell, whose
// user is inside, show what they show.
func TestTerminalShowsPathsOfThisMachine(t *testing.T) {
	t.Parallel()
	e, dir := mounted(t)
	for _, test := range []struct {
		name string
		args []string
		want string // shown
	}{
		{"exec", []string{"exec", "printf", `%s /app/a.py:3 /apps\n`, "{}/a.py"}, "{}/a.py {}/a.py:3 /apps\r\n"},
		{"stderr", []string{"-T", "exec", "sh", "-c", "echo /app/b >&2"}, "{}/b\r\n"},
		{"none", []string{"--map-paths=none", "exec", "printf", `/app %s\n`, "{}/a.py"}, "/app {}/a.py\r\n"},
		{"in", []string{"--map-paths=in", "exec", "printf", `/app %s\n`, "{}/a.py"}, "/app /app/a.py\r\n"},
		{"out", []string{"--map-paths=out", "exec", "printf", `/app %s\n`, "{}/none"}, "{} {}/none\r\n"},
		{"drawing", []string{"exec", "printf", `\033[?1049h/app\033[?1049l /app\n`}, "\x1b[?1049h/app\x1b[?1049l {}\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := openScreen(t)
			args := []string{programName}
			for _, arg := range test.args {
				args = append(args, strings.ReplaceAll(arg, "{}", dir))
			}
			p := s.start(t, in(t, e, args...))
			p.exits(t, 0)
			s.end()
			if got, want := s.out.String(), strings.ReplaceAll(test.want, "{}", dir); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
	t.Run("shell", func(t *testing.T) {
		t.Parallel()
		s := openScreen(t)
		p := s.start(t, in(t, e, programName, "exec", "sh"))
		s.enter("echo 'here:' /app\n")
		s.out.expect(t, "here: /app\r\n")
		s.enter("exit\n")
		p.exits(t, 0)
	})
	// What is typed appears, though it may be the begin of a path.
	t.Run("typed", func(t *testing.T) {
		t.Parallel()
		s := openScreen(t)
		p := s.start(t, in(t, e, programName, "exec", "cat"))
		s.enter("/ap")
		s.out.expect(t, "/ap")
		s.enter("ples\n/app/x\n")
		s.out.expect(t, dir+"/x\r\n")
		s.enter("\x04")
		p.exits(t, 0)
	})
}

// Where nobody has asked for it a program gets each byte as it was.
func TestPipeGetsEachByte(t *testing.T) {
	t.Parallel()
	e, dir := mounted(t)
	p := start(t, in(t, e, programName, "exec", "-n", "printf", `%s /app/a.py /ap`, filepath.Join(dir, "a.py")))
	p.exits(t, 0)
	if got, want := p.out.String(), filepath.Join(dir, "a.py")+" /app/a.py /ap"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p = start(t, in(t, e, programName, "exec", "--map-paths=in,out", "-n", "sh", "-c", `printf '%s /app/a /app' "$0"; printf '/app/b /ap' >&2`, filepath.Join(dir, "a.py")))
	p.exits(t, 0)
	if got, want := p.out.String(), strings.ReplaceAll("{}/a.py {}/a {}", "{}", dir); got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	if got, want := p.err.String(), dir+"/b /ap"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}
