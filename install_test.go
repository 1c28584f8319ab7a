package toxrun_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// built has the programs as `go install ./cmd/...` leaves them, in a directory of
// their own.
func built(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "install", "-buildvcs=false", "./cmd/...")
	cmd.Env = append(os.Environ(), "GOBIN="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// says runs a program in a directory with a Compose file, and fails the test
// unless its status and stderr are these.
func says(t *testing.T, status int, stderr, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = filepath.Join("examples", "tox")
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir(), "COMPOSE_PROJECT_NAME=tox")
	_, err := cmd.Output()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != status || string(exit.Stderr) != stderr {
		t.Errorf("%q: %v, want exit status %d", cmd.Args, err, status)
		if ok {
			t.Errorf("stderr %q, want %q", exit.Stderr, stderr)
		}
	}
}

// noService is what docker-toxrun says when it has read the Compose file.
const noService = "toxrun: project \"tox\" has no service \"nope\"\nhint: the services are tests\n"

// The two programs work where they are together, and where a link leads there.
func TestProgramsBelongTogether(t *testing.T) {
	t.Parallel()
	dir := built(t)
	program := filepath.Join(dir, "docker-toxrun")
	says(t, 125, noService, program, "-s", "nope", "exec", "true")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	says(t, 125, noService, link, "-s", "nope", "exec", "true")

	reader := filepath.Join(dir, "toxrun-compose")
	says(t, 2, "toxrun-compose: a part of docker-toxrun that reads Compose files for it; there is nothing to do with it by hand\n", reader, "--help")

	if err := os.Remove(reader); err != nil {
		t.Fatal(err)
	}
	missing := fmt.Sprintf("toxrun: there is no toxrun-compose in %s, the program that reads Compose files\nhint: %s\n",
		dir, "install docker-toxrun and toxrun-compose together: make install")
	says(t, 125, missing, program, "-s", "nope", "exec", "true")
}

func TestInstall(t *testing.T) {
	t.Parallel()
	dir, home := built(t), t.TempDir()
	prefix, config := filepath.Join(home, "prefix"), filepath.Join(home, "config")
	script := func(args ...string) {
		cmd := exec.Command(filepath.Join("scripts", "install.sh"), args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "PREFIX="+prefix, "DOCKER_CONFIG="+config)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	places := []string{filepath.Join(prefix, "bin"), filepath.Join(config, "cli-plugins")}
	for range 2 { // the second time over the first
		script("install", dir)
		for _, place := range places {
			if got := names(t, place); got != "docker-toxrun toxrun-compose" {
				t.Errorf("installed in %s: %s", place, got)
			}
			says(t, 125, noService, filepath.Join(place, "docker-toxrun"), "-s", "nope", "exec", "true")
		}
	}
	script("uninstall")
	for _, place := range places {
		if got := names(t, place); got != "" {
			t.Errorf("left in %s: %s", place, got)
		}
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}
