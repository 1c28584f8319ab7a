package compose_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/compose/load"
)

// shapes are the ways in which a project can be written down and called.
// NAME and STANDARD are as newProject has them.
var shapes = []struct {
	name    string
	files   map[string]string
	dir     string // where the caller stands, below the project's directory
	environ []string
	query   compose.Query // relative paths are the caller's
	service string        // the one that is to be found
	up      bool          // docker compose starts it
}{
	{
		name:    "one file, name of the directory",
		files:   map[string]string{"compose.yaml": "services: {tests: STANDARD}"},
		service: "tests",
	},
	{
		name: "first of several names",
		files: map[string]string{
			"compose.yml":         "services: {tests: STANDARD}",
			"docker-compose.yml":  "name: NAME-other\nservices: {other: STANDARD}",
			"docker-compose.yaml": "name: NAME-other\nservices: {other: STANDARD}",
		},
		service: "tests",
	},
	{
		name: "override file",
		files: map[string]string{
			"docker-compose.yml":          "services: {tests: STANDARD}",
			"docker-compose.override.yml": "name: NAME-over\nservices: {tests: {volumes: ['./src:/app']}}",
			"src/x":                       "",
		},
		service: "tests",
	},
	{
		name: "override file of another name",
		files: map[string]string{
			"compose.yaml":                 "services: {tests: STANDARD}",
			"docker-compose.override.yaml": "name: NAME-over\nservices: {}",
		},
		service: "tests",
	},
	{
		name: "two files, no override",
		files: map[string]string{
			"a.yml":                "services: {tests: STANDARD}",
			"sub/b.yml":            "name: NAME-b\nservices: {tests: {volumes: ['./src:/app', '../up:/up']}}",
			"compose.override.yml": "name: NAME-wrong",
			"src/x":                "",
		},
		query:   compose.Query{Files: []string{"a.yml", "sub/b.yml"}},
		service: "tests",
		up:      true,
	},
	{
		name:    "file elsewhere gives the directory and its .env",
		files:   map[string]string{"deploy/c.yml": "name: ${PROJECT}\nservices: {tests: STANDARD}", "deploy/.env": "PROJECT=NAME-deploy", ".env": "PROJECT=NAME-wrong"},
		query:   compose.Query{Files: []string{"deploy/c.yml"}},
		service: "tests",
	},
	{
		name: "COMPOSE_FILE with two files",
		files: map[string]string{
			"a.yml":   "services: {tests: STANDARD}",
			"b/b.yml": "name: NAME-b",
		},
		environ: []string{"COMPOSE_FILE=a.yml:b/b.yml"},
		service: "tests",
	},
	{
		name: "COMPOSE_FILE and its separator in .env",
		files: map[string]string{
			"a.yml": "services: {tests: STANDARD}",
			"b.yml": "name: NAME-b",
			".env":  "COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=a.yml,b.yml",
		},
		service: "tests",
		up:      true,
	},
	{
		name: "-f wins over COMPOSE_FILE",
		files: map[string]string{
			"a.yml": "services: {tests: STANDARD}",
			"b.yml": "name: NAME-b\nservices: {tests: STANDARD}",
		},
		environ: []string{"COMPOSE_FILE=b.yml"},
		query:   compose.Query{Files: []string{"a.yml"}},
		service: "tests",
	},
	{
		name: "parent directory",
		files: map[string]string{
			"compose.yaml":          "services: {tests: STANDARD}",
			"compose.override.yaml": "services: {tests: {volumes: ['./src:/app']}}",
			"src/pkg/x":             "",
		},
		dir:     "src/pkg",
		service: "tests",
	},
	{
		name: "parent directory, .env in both",
		files: map[string]string{
			"compose.yaml": "name: NAME-${A}-${B}\nservices: {tests: STANDARD}",
			".env":         "A=1\nB=2",
			"sub/.env":     "A=3",
		},
		dir:     "sub",
		service: "tests",
	},
	{
		name: "project directory",
		files: map[string]string{
			"files/a.yml":     "services: {tests: STANDARD}",
			"files/other.yml": "services: {tests: {volumes: ['./src:/app']}}",
			"NAME-pd/.env":    "X=1",
			"NAME-pd/src/x":   "",
		},
		query:   compose.Query{Files: []string{"files/a.yml", "files/other.yml"}, ProjectDirectory: "NAME-pd"},
		service: "tests",
	},
	{
		name:    "search from the project directory",
		files:   map[string]string{"NAME-pd/deep/x": "", "NAME-pd/compose.yml": "services: {tests: STANDARD}"},
		query:   compose.Query{ProjectDirectory: "NAME-pd/deep"},
		service: "tests",
	},
	{
		name:    "project name as option",
		files:   map[string]string{"compose.yaml": "name: NAME-file\nservices: {tests: STANDARD}"},
		environ: []string{"COMPOSE_PROJECT_NAME=NAME-env"},
		query:   compose.Query{ProjectName: "NAME-option"},
		service: "tests",
	},
	{
		name:    "project name in the environment",
		files:   map[string]string{"compose.yaml": "name: NAME-file\nservices: {tests: STANDARD}"},
		environ: []string{"COMPOSE_PROJECT_NAME=NAME-env"},
		service: "tests",
	},
	{
		name:    "project name in .env",
		files:   map[string]string{"compose.yaml": "name: NAME-file\nservices: {tests: STANDARD}", ".env": "COMPOSE_PROJECT_NAME=NAME-dotenv"},
		service: "tests",
	},
	{
		name:    "project name from a variable",
		files:   map[string]string{"compose.yaml": "name: ${WHO:-nobody}-NAME\nservices: {tests: STANDARD}", ".env": "WHO=dotenv"},
		environ: []string{"WHO=caller"},
		service: "tests",
	},
	{
		name:    "project name in capitals",
		files:   map[string]string{"compose.yaml": "name: ${N}\nservices: {tests: STANDARD}"},
		environ: []string{"N=NAME-Big.Name"},
		service: "tests",
		up:      true,
	},
	{
		name: "variables in .env refer to others",
		files: map[string]string{
			"compose.yaml": "name: ${FULL}\nservices: {tests: STANDARD}",
			".env":         "PART=NAME\nexport FULL=\"${PART}-${USERPART:-none}\"  # comment\n",
		},
		environ: []string{"USERPART=user"},
		service: "tests",
	},
	{
		name:    "other env files",
		files:   map[string]string{"compose.yaml": "name: NAME-${A}-${B}\nservices: {tests: STANDARD}", ".env": "A=no\nB=no", "one.env": "A=1\nB=1", "two.env": "B=2"},
		environ: []string{"COMPOSE_ENV_FILES=one.env,two.env"},
		service: "tests",
	},
	{
		name:    "no .env",
		files:   map[string]string{"compose.yaml": "name: NAME-${A:-default}\nservices: {tests: STANDARD}", ".env": "A=dotenv"},
		environ: []string{"COMPOSE_DISABLE_ENV_FILE=1"},
		service: "tests",
	},
	{
		name:    ".env that says not to be read",
		files:   map[string]string{"compose.yaml": "name: NAME-${A:-default}-${COMPOSE_B:-default}\nservices: {tests: STANDARD}", ".env": "COMPOSE_DISABLE_ENV_FILE=1\nA=dotenv\nCOMPOSE_B=dotenv"},
		service: "tests",
		up:      true,
	},
	{
		name: "include",
		files: map[string]string{
			"compose.yaml":     "name: NAME-top\ninclude: [lib/inc.yaml, {path: [lib2/a.yaml, lib2/b.yaml], project_directory: other, env_file: lib2/x.env}]\nservices: {tests: STANDARD}",
			"lib/inc.yaml":     "include: [../deep/deep.yaml]\nservices: {db: STANDARD}",
			"lib/.env":         "X=1",
			"deep/deep.yaml":   "services: {deep: {image: 'toxrun-test:busybox', network_mode: none, command: [sleep, '3600'], volumes: ['./src:/app']}}",
			"deep/src/x":       "",
			"lib2/a.yaml":      "services: {two: {image: 'toxrun-test:busybox', network_mode: none, command: [sleep, '3600'], volumes: ['./${SRC}:/app']}}",
			"lib2/b.yaml":      "services: {two: {labels: [b]}}",
			"lib2/x.env":       "SRC=fromenv",
			"other/fromenv/x":  "",
			"other/fromenv2/x": "",
		},
		query:   compose.Query{Service: "two"},
		service: "two",
		up:      true,
	},
	{
		name: "extends",
		files: map[string]string{
			"compose.yaml":     "services: {tests: {extends: {file: base/base.yaml, service: common}}, more: {extends: tests}}",
			"base/base.yaml":   "services: {common: {extends: {file: ../root/r.yaml, service: root}, volumes: ['./src:/app']}}",
			"root/r.yaml":      "services: {root: STANDARD}",
			"base/src/pkg/x":   "",
			"root/src/dummy/x": "",
		},
		query:   compose.Query{Service: "more"},
		service: "more",
		up:      true,
	},
	{
		name: "profiles",
		files: map[string]string{
			"compose.yaml": "services:\n  off: {profiles: [x], image: a}\n  tests: {profiles: [t], image: 'toxrun-test:busybox', network_mode: none, command: [sleep, '3600']}\n",
		},
		query:   compose.Query{Profiles: []string{"t"}},
		service: "tests",
		up:      true,
	},
	{
		name: "COMPOSE_PROFILES in .env",
		files: map[string]string{
			"compose.yaml": "services:\n  off: {profiles: [x], image: a}\n  tests: {profiles: [t], image: 'toxrun-test:busybox', network_mode: none, command: [sleep, '3600']}\n",
			".env":         "COMPOSE_PROFILES=a, t",
		},
		service: "tests",
	},
	{
		name: "anchors, merge keys, two documents",
		files: map[string]string{
			"compose.yaml": "x-base: &base STANDARD\nservices:\n  other: {<<: *base}\n---\nservices:\n  tests:\n    <<: &t {image: 'toxrun-test:busybox', network_mode: none, command: [sleep, '3600']}\n    x-toxrun: {}\n",
		},
		service: "tests",
	},
	{
		name: "reset and override tags",
		files: map[string]string{
			"compose.yaml":          "services: {tests: {image: a, env_file: missing, volumes: ['./a:/a'], x-toxrun: {command: [tox]}}, gone: {image: b}}",
			"compose.override.yaml": "services: {gone: !reset null, tests: !override STANDARD}",
		},
		service: "tests",
	},
	{
		name:    "directory reached by a symbolic link",
		files:   map[string]string{"real/compose.yaml": "services: {tests: STANDARD}", "NAME-link": "-> real"},
		dir:     "NAME-link",
		service: "tests",
		up:      true,
	},
}

// Every shape is loaded here and by docker compose, and both have to see the same
// project, and find its container. For one shape of each kind docker compose starts it.
func TestAgreesWithDockerCompose(t *testing.T) {
	t.Parallel()
	needEngine(t)
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t, nil)
			for name, content := range shape.files {
				if target, ok := strings.CutPrefix(content, "-> "); ok {
					if err := os.Symlink(target, filepath.Join(p.dir, p.expand(name))); err != nil {
						t.Fatal(err)
					}
					continue
				}
				p.write(p.expand(name), content)
			}
			p.query = shape.query
			p.query.Dir = filepath.Join(p.dir, p.expand(shape.dir))
			p.query.ProjectName = p.expand(p.query.ProjectName)
			p.query.ProjectDirectory = p.expand(p.query.ProjectDirectory)
			p.env(shape.environ...)

			project := sameModel(t, p)
			var target *compose.Target
			if shape.up {
				p.up()
				target = p.wantContainer(shape.service)
			} else {
				l := listen(t, fakeContainer{ID: "there", Project: project, Service: shape.service})
				p.finder.Connect, p.query.Engine = l.connect, l.address
				target = p.find()
			}
			if target.Service != shape.service {
				t.Errorf("service %q, want %q", target.Service, shape.service)
			}
		})
	}
}

// sameModel compares what load.Model and docker compose config make of a
// project, and gives docker compose's name for it.
func sameModel(t *testing.T, p *project) string {
	t.Helper()
	var want struct {
		Name     string
		Services map[string]struct {
			Volumes []struct{ Type, Source, Target string }
		}
	}
	if err := json.Unmarshal([]byte(p.compose("config", "--format", "json", "--no-env-resolution")), &want); err != nil {
		t.Fatal(err)
	}
	got, err := load.Model(t.Context(), p.query)
	if err != nil {
		t.Fatal(err)
	}
	if got.Project != want.Name {
		t.Errorf("project %q, docker compose has %q", got.Project, want.Name)
	}
	enabled := 0
	for _, s := range got.Services {
		w, ok := want.Services[s.Name]
		if ok != s.Enabled {
			t.Errorf("service %s: enabled %t, docker compose has %t", s.Name, s.Enabled, ok)
		}
		if !s.Enabled {
			continue
		}
		enabled++
		var binds []compose.Mount
		for _, v := range w.Volumes {
			if v.Type == "bind" {
				binds = append(binds, compose.Mount{Source: v.Source, Target: v.Target})
			}
		}
		if !slices.Equal(s.Binds, binds) {
			t.Errorf("service %s: binds %v, docker compose has %v", s.Name, s.Binds, binds)
		}
	}
	if enabled != len(want.Services) {
		t.Errorf("%d services, docker compose has %d", enabled, len(want.Services))
	}
	return want.Name
}
