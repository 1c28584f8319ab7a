package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// A typist sits at a shell that has evaluated what alias prints.
type typist struct {
	testing.TB
	*screen
	env  []string
	told string // the file that has what the last command was given
}

const prompt = "ready> "

// saysArgs is a program of the container that tells what it was given. It has two names.
const saysArgs = `#!/bin/sh
[ "$*" = -a ] && echo py39 && echo lint && exit
printf '[%s]' "$@" >'TOLD'
`

// newTypist has a shell before it, and a container with these files in its directory.
func newTypist(t testing.TB, shell string, files ...string) (*typist, *process, enginetest.Target) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, name := range files {
		write(filepath.Join("work", name), "")
	}
	told := filepath.Join(dir, "told")
	for _, name := range []string{"tox", "says-args"} {
		write(filepath.Join("bin", name), strings.ReplaceAll(saysArgs, "TOLD", told))
	}
	e := enginetest.Fake(t, enginetest.Container{
		Dir: filepath.Join(dir, "work"),
		Env: []string{"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin"},
	})
	var args []string
	switch shell {
	case "bash":
		rc := write("bashrc", "PS1='"+prompt+"'\neval \"$(docker-toxrun alias bash)\"\n")
		args = []string{"--noprofile", "--rcfile", rc, "-i"}
	case "zsh":
		args = []string{"-f", "-i"}
	case "fish":
		args = []string{"--no-config", "-C", "set -g fish_autosuggestion_enabled 0; function fish_prompt; echo -n '" + prompt + "'; end; docker-toxrun alias fish | source"}
	}
	cmd := exec.Command(needProgram(t, shell), args...)
	cmd.Env = environment(t, e.Host, "TOXRUN_CONTAINER="+e.Container)
	s := &typist{t, openScreen(t), cmd.Env, told}
	p := s.start(t, cmd)
	if shell == "zsh" {
		s.enter("PS1=re'ady> '; autoload -U compinit; compinit -u -D; eval \"$(docker-toxrun alias zsh)\"\r")
	}
	s.out.expect(t, prompt)
	return s, p, e
}

// gives types a line with tabs in it, and fails the test unless the command that it becomes
// is given what is wanted. On a busy machine the container may answer too late for a tab: then
// it is typed again. A quote would be left open then, so that what is in quotes is asked for
// before, while it is known.
func (s *typist) gives(typed, want string) {
	s.Helper()
	var told []byte
	for range 5 {
		if strings.Contains(typed, "\"") {
			s.offered("tests/", "it's")
			s.offered("tests/a b/", "c:d")
		}
		os.Remove(s.told)
		s.enter(typed + "\r")
		s.out.expect(s.TB, prompt)
		if told, _ = os.ReadFile(s.told); string(told) == want {
			return
		}
	}
	s.Errorf("%q gives %q, want %q", typed, told, want)
}

// offered waits until what a directory of the container has is offered.
func (s *typist) offered(dir, name string) {
	s.Helper()
	for deadline := enginetest.Deadline(s.TB); ; {
		cmd := exec.Command(programName, "__complete", "exec", "says-args", dir)
		cmd.Env = s.env
		out, err := cmd.Output()
		switch {
		case err != nil:
			s.Fatal(err)
		case strings.Contains(string(out), dir+name):
			return
		case time.Now().After(deadline):
			s.Fatalf("in %s is offered %q", dir, out)
		}
	}
}

// Whoever types in a shell gets what there is in the container, in any quotes, and never a
// message.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			s, p, e := newTypist(t, shell, "tests/a b/c:d e", "tests/it's $x", "tests/w,x", "other")
			s.gives("dx says-ar\tte\t", "[tests/]")
			s.gives("dx says-args --x=oth\t tests/a\\ \tc:d\t 'x y' tests/i\t", "[--x=other][tests/a b/c:d e][x y][tests/it's $x]")
			s.gives("dx says-args tests/\"a b/c:\t 'tests/it\t", "[tests/a b/c:d e][tests/it's $x]")
			s.gives("dtox -e py39,li\t tests/w\t", "[-e][py39,lint][tests/w,x]")
			s.gives("docker-toxrun exe\t -w "+filepath.Dir(s.told)+"/wor\t says-ar\t te\t", "[tests/]")

			e.Engine.Die()
			s.enter("dx says-ar\t te\t\x15dtox -e \t\x15expr 6 '*' 7\r")
			shown := ""
			for deadline := enginetest.Deadline(t); !strings.Contains(shown, "42\r\n"); shown = s.out.String() {
				if time.Now().After(deadline) {
					t.Fatalf("%q", shown)
				}
				time.Sleep(time.Millisecond)
			}
			for _, text := range []string{"says-args", "oxrun: ", "rror", "irective"} {
				if strings.Contains(shown, text) {
					t.Errorf("without an engine: %q", shown)
				}
			}
			s.enter("exit 0\r")
			p.exits(t, 0)
		})
	}
}
