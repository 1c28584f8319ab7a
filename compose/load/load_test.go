package load

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/toxrun/docker-toxrun/compose"
)

// directory makes a directory with files.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What docker compose makes of a project is compared in package compose, where
// it is called. Here is what it doesn't tell.

func TestInputs(t *testing.T) {
	t.Parallel()
	dir := directory(t, map[string]string{
		"sub/x":              "",
		"docker-compose.yml": "include: [inc/a.yaml]\nservices: {tests: {image: '${IMAGE:-x}', env_file: missing.env, extends: {file: base.yaml, service: b}}}",
		"base.yaml":          "services: {b: {image: '$BASE'}}",
		"inc/a.yaml":         "services: {a: {image: '${INC?}'}}",
		"inc/.env":           "INC=${FROM-x}",
	})
	m, err := Model(t.Context(), compose.Query{Dir: filepath.Join(dir, "sub"), Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, in := range m.Inputs {
		name, err := filepath.Rel(dir, in.Path)
		if err != nil {
			t.Fatal(err)
		}
		if in.Absent {
			name = "no " + name
		}
		got = append(got, name)
	}
	slices.Sort(got)
	want := []string{
		"base.yaml", "docker-compose.yml", "inc/.env", "inc/a.yaml",
		"no .env", "no compose.override.yaml", "no compose.override.yml", "no compose.yaml", "no compose.yml",
		"no docker-compose.override.yaml", "no docker-compose.override.yml",
		"no sub/.env", "no sub/compose.yaml", "no sub/compose.yml", "no sub/docker-compose.yaml", "no sub/docker-compose.yml",
	}
	if !slices.Equal(got, want) {
		t.Errorf("inputs\n%q, want\n%q", got, want)
	}
	if want := []string{"BASE", "FROM", home, "IMAGE", "INC"}; !slices.Equal(m.Variables, want) {
		t.Errorf("variables %q, want %q", m.Variables, want)
	}
	if m.Project != "project" || m.Dir != dir {
		t.Errorf("project %q in %s", m.Project, m.Dir)
	}
}

// Like docker compose, the environment of the query is the only one.
func TestProcessEnvironmentDoesNotCount(t *testing.T) {
	t.Setenv("COMPOSE_PROJECT_NAME", "wrong")
	t.Setenv("COMPOSE_DISABLE_ENV_FILE", "1")
	t.Setenv("N", "wrong")
	dir := directory(t, map[string]string{"compose.yaml": "name: a-${N}-${M}-${PWD}\nservices: {}", ".env": "M=m"})
	m, err := Model(t.Context(), compose.Query{Dir: dir, Environ: []string{"N=n", "PWD=pwd"}})
	if err != nil || m.Project != "a-n-m-pwd" {
		t.Errorf("Model() = %+v, %v; want project a-n-m-pwd", m, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	type check func(t *testing.T, dir string, err error)
	loadError := func(project string, files ...string) check {
		return func(t *testing.T, dir string, err error) {
			e, ok := errors.AsType[*compose.LoadError](err)
			if !ok {
				t.Fatalf("error %v (%T), want a *compose.LoadError", err, err)
			}
			for i := range files {
				files[i] = filepath.Join(dir, files[i])
			}
			if e.Dir != dir || e.Project != project || !slices.Equal(e.Files, files) {
				t.Errorf("%+v; want directory %s, project %q, files %q", e, dir, project, files)
			}
		}
	}
	noFile := func(t *testing.T, dir string, err error) {
		if e, ok := errors.AsType[*compose.NoFileError](err); !ok || e.Dir != dir {
			t.Errorf("error %v (%T), want a *compose.NoFileError for %s", err, err, dir)
		}
	}
	plain := func(t *testing.T, dir string, err error) {
		if _, ok := errors.AsType[*compose.LoadError](err); ok {
			t.Errorf("error %v is a *compose.LoadError; the command line is at fault", err)
		}
	}
	for _, test := range []struct {
		name  string
		files map[string]string
		query compose.Query
		env   string
		text  string
		check check
	}{
		{"no file", map[string]string{"x": ""}, compose.Query{}, "", "no Compose file in ", noFile},
		{"file isn't there", map[string]string{"x": ""}, compose.Query{Files: []string{"a.yaml"}}, "", "a.yaml: no such file", loadError("", "a.yaml")},
		{"file is a directory", map[string]string{"compose.yaml/x": ""}, compose.Query{}, "", "is a directory", loadError("")},
		{"file of COMPOSE_FILE isn't there", map[string]string{"a.yaml": ""}, compose.Query{}, "COMPOSE_FILE=a.yaml:b.yaml", "b.yaml: no such file", loadError("", "a.yaml", "b.yaml")},
		{"standard input", nil, compose.Query{Files: []string{"-"}}, "", "standard input", plain},
		{"remote file", nil, compose.Query{Files: []string{"oci://x/y"}}, "", "only local", plain},
		{"remote include", map[string]string{"compose.yaml": "name: p\ninclude: ['oci://x/y']\nservices: {a: {image: x}}"}, compose.Query{}, "", "oci://x/y: only local", loadError("p")},
		{"no YAML", map[string]string{"compose.yaml": "a: [\n"}, compose.Query{}, "", "compose.yaml", loadError("project")},
		{"no Compose file", map[string]string{"compose.yaml": "services: {a: {imagee: x}}"}, compose.Query{}, "", "imagee", loadError("project")},
		{"panic of compose-go", map[string]string{"compose.yaml": "services: {a: {extends: {file: 5, service: a}}}"}, compose.Query{}, "", "compose.yaml: no Compose file", loadError("project")},
		{"empty", map[string]string{"compose.yaml": ""}, compose.Query{}, "", "empty compose file", loadError("project")},
		{"required variable", map[string]string{"compose.yaml": "name: n\nservices: {a: {image: '${X:?must be set}'}}"}, compose.Query{}, "", "must be set", loadError("n")},
		{"required variable in the name", map[string]string{"compose.yaml": "name: ${X:?must be set}"}, compose.Query{}, "", "must be set", loadError("")},
		{"bad project name", map[string]string{"compose.yaml": "services: {}"}, compose.Query{ProjectName: "A b"}, "", "invalid project name", loadError("")},
		{"broken .env", map[string]string{"compose.yaml": "services: {}", ".env": "A='x"}, compose.Query{}, "", ".env", loadError("")},
		{"missing env file", map[string]string{"compose.yaml": "services: {}"}, compose.Query{}, "COMPOSE_ENV_FILES=x.env", "x.env", loadError("")},
		{"include of nothing", map[string]string{"compose.yaml": "include: [x.yaml]"}, compose.Query{}, "", "x.yaml", loadError("project")},
		{"include cycle", map[string]string{"compose.yaml": "include: [x.yaml]", "x.yaml": "include: [compose.yaml]"}, compose.Query{}, "", "cycle", loadError("project")},
		{"extends cycle", map[string]string{"compose.yaml": "services: {a: {extends: {file: x.yaml, service: a}}}", "x.yaml": "services: {a: {extends: {file: compose.yaml, service: a}}}"}, compose.Query{}, "", "ircular", loadError("project")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			q := test.query
			q.Dir = directory(t, test.files)
			q.Environ = []string{test.env}
			_, err := Model(t.Context(), q)
			if err == nil || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v, want one line with %q", err, test.text)
			}
			test.check(t, q.Dir, err)
		})
	}
}

// What only the start of a container needs may be missing.
func TestMissingFilesOfServices(t *testing.T) {
	t.Parallel()
	dir := directory(t, map[string]string{"compose.yaml": `
services:
  tests:
    image: x
    env_file: missing.env
    label_file: missing.labels
    secrets: [s]
    networks: [undeclared]
    depends_on: [undeclared]
    volumes: ["./missing:/app", "undeclared:/data", "~/x:/home"]
    develop: {watch: [{path: ./src, action: rebuild, ignore: [x]}]}
    x-toxrun:
secrets: {s: {file: missing.secret}}
`})
	m, err := Model(t.Context(), compose.Query{Dir: dir, Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	s := m.Services[0]
	home, _ := os.UserHomeDir()
	if want := []compose.Mount{{Source: dir + "/missing", Target: "/app"}, {Source: home + "/x", Target: "/home"}}; !slices.Equal(s.Binds, want) {
		t.Errorf("binds %v, want %v", s.Binds, want)
	}
	if len(s.Develop) != 1 || s.Develop[0].Path != dir+"/src" || !slices.Equal(s.Develop[0].Ignore, []string{"x"}) {
		t.Errorf("develop %+v", s.Develop)
	}
	if s.Config == nil {
		t.Error("an empty x-toxrun passes for none")
	}
}

// A file that is written while it is being loaded must not pass for unchanged.
// References are looked at before compose-go reads them.
func TestInputsAreLookedAtBefore(t *testing.T) {
	t.Parallel()
	dir := directory(t, map[string]string{"compose.yaml": "include: [a.yaml]", "a.yaml": "services: {a: {image: x}}"})
	src, err := find(compose.Query{Dir: dir, Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	src.references()
	path := filepath.Join(dir, "a.yaml")
	if err := os.WriteFile(path, []byte("services: {b: {image: x}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := src.load(t.Context())
	if err != nil || p.ServiceNames()[0] != "b" {
		t.Fatalf("load() = %v, %v", p, err)
	}
	inputs, _ := src.seen.list()
	i := slices.IndexFunc(inputs, func(in compose.Input) bool { return in.Path == path })
	if now, _, err := compose.Read(path); err != nil || inputs[i] == now {
		t.Errorf("what was read last is what was seen (%v)", err)
	}
}

// Whatever someone is just typing: an error, or a model, and mistakes in
// x-toxrun have a line.
func FuzzModel(f *testing.F) {
	for _, s := range []string{
		"services: {a: {image: x, x-toxrun: {user: 1}}}",
		"x: &x {comand: 1}\nservices: {a: {image: x, x-toxrun: {<<: [*x], watch: {on_busy: y}}}}",
		"include: [b.yaml, {path: [c.yaml], env_file: .env, project_directory: ..}]",
		"services: {a: {extends: {file: compose.yaml, service: b}}, b: {image: '${X:-${Y}}', extends: a}}",
		"services: {a: {extends: {file: 5}}}",
		"&a {services: *a}",
		"name: $N\n---\nname: ${M?}\n---\n[",
		"services: {a: !reset null, b: !override {x-toxrun: !override {a: b}}}",
		"include: 5\nservices: 5",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir := directory(t, map[string]string{"compose.yaml": text})
		m, err := Model(t.Context(), compose.Query{Dir: dir, Environ: []string{}})
		if e, ok := errors.AsType[*compose.ConfigError](err); ok && e.Line == 0 {
			t.Errorf("no line: %v", err)
		}
		if err == nil && m.Project == "" {
			t.Error("a project without a name")
		}
	})
}
