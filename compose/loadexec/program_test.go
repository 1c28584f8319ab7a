package loadexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/compose/load"
)

// programs are what this binary is under other names.
var programs = map[string]func(){
	"serves": func() {
		if err := Serve(context.Background(), os.Stdin, os.Stdout, load.Model); err != nil {
			panic(err)
		}
	},
	"panics":    func() { panic("a defect") },
	"fails":     func() { fmt.Fprint(os.Stderr, "first\nlast\n\n"); os.Exit(3) },
	"is-killed": func() { self, _ := os.FindProcess(os.Getpid()); self.Kill(); select {} },
	"is-silent": func() {},
	"babbles":   func() { fmt.Println("hello") },
	"is-older":  func() { fmt.Println(`{"Version": "1", "Message": {"Model": {}}}`) },
	"hangs": func() {
		os.WriteFile(os.Args[0]+".started", nil, 0o600)
		io.Copy(io.Discard, os.Stdin)
	},
}

func TestMain(m *testing.M) {
	if program := programs[strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")]; program != nil {
		program()
		os.Exit(0)
	}
	// A test that has got the name wrong must not start the tests, over and over.
	const under = "TOXRUN_TEST_LOADEXEC"
	if os.Getenv(under) != "" {
		fmt.Fprintln(os.Stderr, os.Args[0], "is none of the programs")
		os.Exit(1)
	}
	os.Setenv(under, "1")
	// The race detector holds each process back for a second at its end.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

// program is one of programs.
func program(t *testing.T, name string) Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(self) == ".exe" {
		name += ".exe"
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return Program{Path: path}
}

// directory makes a directory with files.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// same fails the test unless the program gives what load.Model gives here, down
// to the fields of an error, its text and its hint.
func same(t *testing.T, q compose.Query) (*compose.Model, error) {
	t.Helper()
	want, wantErr := load.Model(t.Context(), q)
	got, err := program(t, "serves").Model(t.Context(), q)
	if got != nil && want != nil && len(got.Inputs) == len(want.Inputs) {
		for i := range got.Inputs {
			if got.Inputs[i].Sum == "" || want.Inputs[i].Sum == "" { // of a file that was not so recent any more
				got.Inputs[i].Sum, want.Inputs[i].Sum = "", ""
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("model\n%+v, want\n%+v", got, want)
	}
	if fmt.Sprint(err) != fmt.Sprint(wantErr) || hint(err) != hint(wantErr) {
		t.Errorf("error %v (hint %q), want %v (hint %q)", err, hint(err), wantErr, hint(wantErr))
	}
	if e, ok := wantErr.(*compose.LoadError); ok {
		e.Err = errors.New(e.Err.Error()) // its text is what crosses
	}
	switch wantErr.(type) {
	case *compose.NoFileError, *compose.ConfigError, *compose.LoadError:
		if !reflect.DeepEqual(err, wantErr) {
			t.Errorf("error %#v, want %#v", err, wantErr)
		}
	}
	return got, err
}

func hint(err error) string {
	if hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return hinted.Hint()
	}
	return ""
}

func TestProgramDoesAsLoad(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files map[string]string
		query compose.Query
	}{
		{"model", map[string]string{"compose.yaml": `
name: p-${N}
services:
  tests:
    image: x
    volumes: [./src:/app, ~/x:/x]
    develop: {watch: [{path: ./src, action: rebuild, ignore: [x]}]}
    x-toxrun: {command: tox -p, environment: {A: 1}, stop_grace: 5s, watch: {paths: [src], on_busy: queue}}
  off: {image: x, profiles: [p]}
`, ".env": "N=n"}, compose.Query{}},
		{"environment", map[string]string{"compose.yaml": "services: {a: {image: $X}}"}, compose.Query{Environ: []string{"COMPOSE_PROJECT_NAME=other"}}},
		{"options", map[string]string{"a.yaml": "services: {a: {image: x}}", "b.yaml": "services: {a: {profiles: [p]}}"},
			compose.Query{Files: []string{"a.yaml", "b.yaml"}, ProjectName: "n", ProjectDirectory: "..", Profiles: []string{"p"}}},
		{"no file", nil, compose.Query{}},
		{"named file isn't there", nil, compose.Query{Files: []string{"x.yaml"}}},
		{"remote file", nil, compose.Query{Files: []string{"oci://x/y"}}},
		{"no YAML", map[string]string{"compose.yaml": "a: [\n"}, compose.Query{}},
		{"required variable", map[string]string{"compose.yaml": "name: n\nservices: {a: {image: '${X:?must be set}'}}"}, compose.Query{}},
		{"mistake", map[string]string{"compose.yaml": "services: {a: {image: x, x-toxrun: {comand: x}}}"}, compose.Query{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.query.Dir = directory(t, test.files)
			same(t, test.query)
		})
	}
}

// Without variables of its own a query means those of the process.
func TestProgramHasTheEnvironmentOfItsCaller(t *testing.T) {
	t.Setenv("TOXRUN_TEST_NAME", "from-the-environment")
	t.Setenv("COMPOSE_PROFILES", "p")
	dir := directory(t, map[string]string{"compose.yaml": "name: $TOXRUN_TEST_NAME\nservices: {a: {image: x, profiles: [p]}}"})
	if m, err := same(t, compose.Query{Dir: dir}); err != nil || m.Project != "from-the-environment" || !m.Services[0].Enabled {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestProgramThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed")
	if err := os.WriteFile(closed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		program Program
		says    string
	}{
		{program(t, "panics"), "exit status 2: panic: a defect"},
		{program(t, "fails"), "exit status 3: last"},
		{program(t, "is-silent"), "no message: EOF"},
		{program(t, "babbles"), "no message: "},
		{program(t, "is-older"), "it is of another build"},
		{Program{Path: filepath.Join(dir, "missing")}, ""},
		{Program{Path: closed}, ""},
	} {
		_, err := test.program.Model(t.Context(), compose.Query{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), test.program.Path) || !strings.Contains(err.Error(), test.says) || !strings.Contains(hint(err), "make install") {
			t.Errorf("%v (hint %q), want %q", err, hint(err), test.says)
		}
	}
}

// Where a test binary is there is no toxrun-compose.
func TestProgramIsBesideTheExecutable(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Program{}.Model(t.Context(), compose.Query{Dir: t.TempDir()})
	if err == nil || !strings.HasPrefix(err.Error(), "there is no toxrun-compose") || !strings.Contains(err.Error(), " in "+filepath.Dir(self)) || hint(err) == "" {
		t.Errorf("%v (hint %q)", err, hint(err))
	}
}

func TestEndOfContextEndsTheProgram(t *testing.T) {
	t.Parallel()
	p := program(t, "hangs")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if _, err := os.Stat(p.Path + ".started"); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	ended := make(chan error, 1)
	go func() {
		_, err := p.Model(ctx, compose.Query{Dir: t.TempDir()})
		ended <- err // it has waited for the program
	}()
	select {
	case err := <-ended:
		if err != context.Canceled {
			t.Errorf("%v, want %v", err, context.Canceled)
		}
	case <-time.After(5 * time.Minute):
		t.Error("the program goes on")
	}
}
