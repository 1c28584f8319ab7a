package load

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	dir := directory(t, map[string]string{"compose.yaml": `
services:
  tests:
    image: x
    x-toxrun:
      command: tox -p "all of" '$$HOME'
      user: self
      workdir: ${W}/x
      environment: {B: 1, A: "1", C: true, D: , E: 1.5}
      shell: bash
      stop_grace: 1m30s
      standby: 1d
      preload: [tox]
      commands:
        lint: ruff check "all of"
        db: {command: [psql, "{name:app}"], service: db, tty: true, env: {A: 1}, description: The database}
      watch: {paths: [src, /abs], ignore: ["*.log"], debounce: 30ms, on_busy: queue}
`,
		"compose.override.yaml": `
services:
  tests:
    x-toxrun: {user: "1000", watch: {paths: !override [tests]}, preload: [pytest], shell: ~, commands: {lint: !override [mypy]}}
`})
	m, err := Model(t.Context(), compose.Query{Dir: dir, Environ: []string{"W=/w"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &compose.Config{
		Command:     []string{"tox", "-p", "all of", "$HOME"},
		User:        "1000",
		Workdir:     "/w/x",
		Environment: []string{"A=1", "B=1", "C=true", "D", "E=1.5"},
		Shell:       "bash",
		StopGrace:   90 * time.Second,
		Standby:     24 * time.Hour,
		Preload:     []string{"tox", "pytest"},
		Commands: map[string]compose.Command{
			"lint": {Command: []string{"mypy"}},
			"db": {Command: []string{"psql", "{name:app}"}, Service: "db", TTY: true,
				Env: []string{"A=1"}, Description: "The database"},
		},
		Watch: compose.WatchConfig{
			Paths:    []string{filepath.Join(dir, "tests")},
			Ignore:   []string{"*.log"},
			Debounce: 30 * time.Millisecond,
			OnBusy:   compose.Queue,
		},
	}
	if got := m.Services[0].Config; !reflect.DeepEqual(got, want) {
		t.Errorf("config\n%+v, want\n%+v", got, want)
	}
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		block string
		want  string
	}{
		{`{comand: x}`, `x-toxrun.comand: there is no such key`},
		{`{x-foo: x}`, `x-toxrun.x-foo: there is no such key`},
		{`{watch: {path: x}}`, `x-toxrun.watch.path: there is no such key`},
		{`[tox]`, `x-toxrun: must be a mapping, not a list`},
		{`{command: 1}`, `x-toxrun.command: must be a string or a list of strings, not 1`},
		{`{command: [tox, 1]}`, `x-toxrun.command: must be a list of strings with no other value in it, not 1`},
		{`{command: "a 'b"}`, `x-toxrun.command: must be a command with its quotes closed, not "a 'b"`},
		{`{user: 1000}`, `x-toxrun.user: must be a string, not 1000`},
		{`{workdir: [x]}`, `x-toxrun.workdir: must be a string, not a list`},
		{`{environment: A=1}`, `x-toxrun.environment: must be a mapping, or a list of KEY=VALUE, not "A=1"`},
		{`{environment: [=1]}`, `x-toxrun.environment: must be KEY or KEY=VALUE, not "=1"`},
		{`{environment: {A: {}}}`, `x-toxrun.environment.A: must be a string, not a mapping`},
		{`{environment: {A=B: x}}`, `x-toxrun.environment: "A=B" is no name of a variable`},
		{`{shell: true}`, `x-toxrun.shell: must be a string, not true`},
		{`{stop_grace: 10}`, `x-toxrun.stop_grace: must be a duration with its unit, such as 10s, not 10`},
		{`{stop_grace: ten}`, `x-toxrun.stop_grace: must be a duration such as 10s or 1m30s, not "ten"`},
		{`{standby: -1s}`, `x-toxrun.standby: must be a duration such as 10s or 1m30s, not "-1s"`},
		{`{preload: tox}`, `x-toxrun.preload: must be auto, or a list of modules' names, not "tox"`},
		{`{preload: [~]}`, `x-toxrun.preload: must be a list of strings with no other value in it, not nothing`},
		{`{watch: [src]}`, `x-toxrun.watch: must be a mapping, not a list`},
		{`{watch: {on_busy: wait}}`, `x-toxrun.watch.on_busy: must be restart, queue or ignore, not "wait"`},
		{`{watch: {debounce: 5}}`, `x-toxrun.watch.debounce: must be a duration with its unit, such as 10s, not 5`},
	} {
		dir := directory(t, map[string]string{"compose.yaml": "services:\n  tests:\n    image: x\n    x-toxrun: " + test.block + "\n"})
		_, err := Model(t.Context(), compose.Query{Dir: dir, Environ: []string{}})
		want := fmt.Sprintf("%s/compose.yaml:4: service %q: %s", dir, "tests", test.want)
		if err == nil || err.Error() != want {
			t.Errorf("x-toxrun: %s\ngives %v\nwant  %v", test.block, err, want)
		}
		if strings.Contains(test.want, "no such key") != (err.(*compose.ConfigError).Hint() != "") {
			t.Errorf("x-toxrun: %s: hint %q", test.block, err.(*compose.ConfigError).Hint())
		}
	}
}

// Wherever a block comes from, the mistake in it is found.
func TestLineOfMistake(t *testing.T) {
	t.Parallel()
	const good = "services:\n  tests:\n    image: x\n"
	const bad = good + "    x-toxrun:\n      user: x\n\n      comand: tox\n" // in line 7
	for _, test := range []struct {
		name  string
		files map[string]string
		query compose.Query
		want  string
	}{
		{"base", map[string]string{"compose.yaml": bad}, compose.Query{}, "compose.yaml:7"},
		{"base, not the override", map[string]string{"compose.yaml": bad, "compose.override.yaml": good + "    x-toxrun: {user: x}"}, compose.Query{}, "compose.yaml:7"},
		{"override", map[string]string{"compose.yaml": good, "compose.override.yaml": bad}, compose.Query{}, "compose.override.yaml:7"},
		{"second -f", map[string]string{"a.yaml": good, "b/b.yaml": bad}, compose.Query{Files: []string{"a.yaml", "b/b.yaml"}}, "b/b.yaml:7"},
		{"the value that counts", map[string]string{
			"compose.yaml":          "services:\n  tests:\n    image: x\n    x-toxrun: {standby: 1s}",
			"compose.override.yaml": "services:\n  tests:\n    x-toxrun: {standby: x}",
		}, compose.Query{}, "compose.override.yaml:3"},
		{"included", map[string]string{"compose.yaml": "include: [inc/i.yaml]", "inc/i.yaml": bad}, compose.Query{}, "inc/i.yaml:7"},
		{"included by an included one", map[string]string{"compose.yaml": "include: [inc/i.yaml]", "inc/i.yaml": "include: [j.yaml]", "inc/j.yaml": bad}, compose.Query{}, "inc/j.yaml:7"},
		{"extended, same name", map[string]string{"compose.yaml": "services: {tests: {extends: {file: e.yaml, service: tests}}}", "e.yaml": bad}, compose.Query{}, "e.yaml:7"},
		{"extended, other name", map[string]string{"compose.yaml": "services: {mine: {extends: {file: e/e.yaml, service: tests}}}", "e/e.yaml": bad}, compose.Query{}, "e/e.yaml:7"},
		{"extended twice", map[string]string{
			"compose.yaml": "services: {mine: {extends: {file: e/e.yaml, service: other}}}",
			"e/e.yaml":     "services: {other: {extends: {file: f.yaml, service: tests}}}",
			"e/f.yaml":     bad,
		}, compose.Query{}, "e/f.yaml:7"},
		{"extended in the same file", map[string]string{"compose.yaml": bad + "  all: {extends: tests}\n"}, compose.Query{}, "compose.yaml:7"},
		{"anchor", map[string]string{"compose.yaml": "x-toxrun: &x\n  comand: tox\nservices: {tests: {image: x, x-toxrun: *x}}"}, compose.Query{}, "compose.yaml:2"},
		{"merge key", map[string]string{"compose.yaml": "x-a: &a\n  user: x\nx-b: &b\n  comand: tox\nservices: {tests: {image: x, x-toxrun: {<<: [*a, *b]}}}"}, compose.Query{}, "compose.yaml:4"},
		{"second document", map[string]string{"compose.yaml": good + "---\nservices:\n  tests:\n    x-toxrun:\n      comand: x"}, compose.Query{}, "compose.yaml:8"},
		{"service that is off", map[string]string{"compose.yaml": bad + "    profiles: [x]\n"}, compose.Query{}, "compose.yaml:7"},
	} {
		q := test.query
		q.Dir = directory(t, test.files)
		q.Environ = []string{}
		_, err := Model(t.Context(), q)
		e, ok := errors.AsType[*compose.ConfigError](err)
		if !ok {
			t.Errorf("%s: error %v, want a *compose.ConfigError", test.name, err)
			continue
		}
		if got := fmt.Sprintf("%s:%d", strings.TrimPrefix(e.File, q.Dir+"/"), e.Line); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
