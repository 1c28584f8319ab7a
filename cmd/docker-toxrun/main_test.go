package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// The tests run the program as the user does: as a process. It is built for them, with
// the race detector when they have it, as is the one that reads Compose files, without:
// the tests of compose/load look for races there. Both are on the PATH while they run. What
// runs a second time, on the real Engine or with spares, has a program without (see
// unraced): its start takes a third of the time.
// The one that panics is this binary under that name.
func TestMain(m *testing.M) {
	// The race detector holds each process back for a second at its end.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	testscript.Main(waiting{m}, map[string]func(){"docker-toxrun-panics": panics})
}

// buildPrograms puts the programs on the PATH and returns what removes them.
func buildPrograms() (remove func(), err error) {
	dir, err := os.MkdirTemp("", "docker-toxrun")
	if err != nil {
		return nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	race := "-race=false"
	if info, ok := debug.ReadBuildInfo(); ok && os.Getenv("TOXRUN_TEST_STANDBY") == "" && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		race = "-race"
	}
	unraced = filepath.Join(dir, "unraced")
	for _, args := range [][]string{
		{"build", "-buildvcs=false", "-o", dir, race, "."},
		{"build", "-buildvcs=false", "-o", unraced + "/", ".", "../toxrun-compose"},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			remove()
			return nil, fmt.Errorf("%w: %s", err, out)
		}
	}
	const reader = "toxrun-compose"
	if err := os.Symlink(filepath.Join(unraced, reader), filepath.Join(dir, reader)); err != nil {
		remove()
		return nil, err
	}
	return remove, os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// unraced is the directory of the programs without the race detector.
var unraced string

// waiting runs more tests at the same time than there are processors: most of them
// wait for processes.
type waiting struct{ *testing.M }

func (w waiting) Run() int {
	enginetest.Unignore()
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
	remove, err := buildPrograms()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove()
	return w.M.Run()
}

// needed is how a test ends that lacks what it needs: it is skipped, but fails
// where CI has asked for all.
func needed(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("TOXRUN_TEST_ENGINE") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

func needProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		needed(t, "no %s", name)
	}
	return path
}

// dockerVersion is the major version of docker, the program.
func dockerVersion(t testing.TB) int {
	t.Helper()
	out, err := exec.Command(needProgram(t, "docker"), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	var major int
	if _, err := fmt.Sscanf(string(out), "Docker version %d.", &major); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return major
}

// home gives a user an empty home directory, as far as docker is concerned, with
// the program among docker's plugins. It returns the variables that say so.
func home(t testing.TB, dir string) []string {
	t.Helper()
	config := filepath.Join(dir, ".docker")
	plugins := filepath.Join(config, "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		t.Fatal(err)
	}
	link := func(name, to string) {
		if err := os.Symlink(to, filepath.Join(plugins, name)); err != nil {
			t.Fatal(err)
		}
	}
	link(programName, needProgram(t, programName))
	users := os.Getenv("DOCKER_CONFIG")
	if users == "" {
		users = filepath.Join(os.Getenv("HOME"), ".docker")
	}
	if compose := filepath.Join(users, "cli-plugins", "docker-compose"); exec.Command(compose, "docker-cli-plugin-metadata").Run() == nil {
		link("docker-compose", compose)
	}
	return []string{
		"HOME=" + dir,
		"XDG_CACHE_HOME=" + filepath.Join(dir, ".cache"),
		"DOCKER_CONFIG=" + config,
	}
}

// environment is that of a user of an Engine, with nothing of the environment the
// tests were started in.
func environment(t testing.TB, host string, more ...string) []string {
	t.Helper()
	env := append(home(t, t.TempDir()), "PATH="+os.Getenv("PATH"), "GORACE="+os.Getenv("GORACE"), "DOCKER_HOST="+host)
	return append(env, more...)
}

// in is a command line of docker-toxrun, or of docker with it, for the
// container of e.
func in(t testing.TB, e enginetest.Target, args ...string) *exec.Cmd {
	t.Helper()
	if args[0] == "docker" || args[0] == "timeout" {
		needProgram(t, args[0])
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = environment(t, e.Host, "TOXRUN_CONTAINER="+e.Container)
	if e.Engine == nil { // the real one
		cmd.Env = append(cmd.Env, "PATH="+unraced+string(filepath.ListSeparator)+os.Getenv("PATH"))
		if args[0] == "docker-toxrun" {
			cmd.Path = filepath.Join(unraced, args[0])
		}
	}
	return cmd
}

// A transcript is what a process has written so far.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at the next Write
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (tr *transcript) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	close(tr.changed)
	tr.changed = make(chan struct{})
	return tr.text.Write(p)
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.String()
}

// expect waits until text has been written, and forgets all up to its end.
func (tr *transcript) expect(t testing.TB, text string) {
	t.Helper()
	late := enginetest.Late(t)
	for {
		tr.mu.Lock()
		changed := tr.changed
		at := bytes.Index(tr.text.Bytes(), []byte(text))
		if at >= 0 {
			tr.text.Next(at + len(text))
		}
		tr.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no %q in %q", text, tr)
		}
	}
}

// A process is a command under way.
type process struct {
	*exec.Cmd
	out, err *transcript // unless the test has given it other ones
	ended    chan error
}

// start starts cmd. At the end of the test it is killed if it still runs.
func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, out: newTranscript(), err: newTranscript(), ended: make(chan error, 1)}
	if cmd.Stdout == nil {
		cmd.Stdout = p.out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.err
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan struct{})
	go func() {
		p.ended <- cmd.Wait()
		close(waited)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		select {
		case <-waited:
		case <-enginetest.Late(t):
			t.Errorf("%q does not end, or its output is held open", cmd.Args)
		}
	})
	return p
}

// failure is any exit status but 0.
const failure = -1

// exits waits for the end of the process and fails the test if its exit status is
// another one.
func (p *process) exits(t testing.TB, status int) {
	t.Helper()
	select {
	case err := <-p.ended:
		if got := exitStatus(err); got != status && (status != failure || got == 0) {
			t.Errorf("%q: exit status %d (%v), want %d\nstdout %q\nstderr %q", p.Args, got, err, status, p.out, p.err)
		}
	case <-enginetest.Late(t):
		t.Fatalf("%q: goes on\nstdout %q\nstderr %q", p.Args, p.out, p.err)
	}
}

// exitStatus is what a shell would have as $?.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return -1
	}
	if code := exit.ExitCode(); code >= 0 {
		return code
	}
	return 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
}

// number is one that no other process has in its arguments.
func number() string { return fmt.Sprint(100_000_000 + rand.IntN(900_000_000)) }

// nothingLeft fails the test if a process of a command is alive in the container.
func nothingLeft(t testing.TB, e enginetest.Target, token string) {
	t.Helper()
	for _, p := range e.Processes(t, token) {
		t.Errorf("left in the container: %q", p.Args)
	}
}

// told fails the test unless stderr is exactly lines.
func told(t testing.TB, stderr fmt.Stringer, lines ...string) {
	t.Helper()
	if got, want := stderr.String(), strings.Join(lines, "\n")+"\n"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}
