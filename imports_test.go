package toxrun_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/toxrun/docker-toxrun"

// imports says which packages of this module each package may import, and which
// modules besides. One that is not here is an error, so that whoever adds a
// package thinks about its place.
var imports = map[string]struct{ ours, theirs []string }{
	"": {},
	"/cmd/docker-toxrun": {
		ours: []string{"", "/compose", "/compose/loadexec", "/execproxy", "/execproxy/carry", "/execproxy/standby", "/internal/lanes", "/internal/paths", "/internal/queue", "/watch"},
		theirs: []string{"github.com/docker/cli/", "github.com/docker/docker/", "github.com/containerd/errdefs",
			"github.com/gofrs/flock", "github.com/moby/sys/atomicwriter", "github.com/moby/sys/signal", "github.com/sirupsen/logrus", "github.com/spf13/", "golang.org/x/"},
	},
	"/cmd/toxrun-compose": {ours: []string{"/compose/load", "/compose/loadexec"}, theirs: []string{"golang.org/x/term"}},
	"/compose":            {theirs: []string{"github.com/docker/docker/", "github.com/containerd/errdefs"}},
	"/compose/load":       {ours: []string{"/compose"}, theirs: []string{"github.com/compose-spec/compose-go/v2/", "go.yaml.in/yaml/v4", "github.com/sirupsen/logrus"}},
	"/compose/loadexec":   {ours: []string{"/compose"}},
	"/execproxy":          {theirs: []string{"github.com/docker/docker/", "github.com/containerd/errdefs", "golang.org/x/sys/"}},
	"/execproxy/carry":    {theirs: []string{"github.com/docker/docker/api/"}},
	"/execproxy/enginetest": {
		theirs: []string{"github.com/docker/docker/", "github.com/containerd/errdefs", "github.com/creack/pty", "golang.org/x/sys/", "golang.org/x/sync/"},
	},
	"/execproxy/standby": {ours: []string{"/execproxy"}, theirs: []string{"github.com/docker/docker/api/", "golang.org/x/sys/"}},
	"/internal/bench":    {ours: []string{"/execproxy/enginetest"}, theirs: []string{"github.com/creack/pty"}},
	"/internal/lanes":    {theirs: []string{"github.com/mattn/go-runewidth", "github.com/vbauerster/mpb/v8"}},
	"/internal/paths":    {},
	"/internal/queue":    {theirs: []string{"github.com/gofrs/flock"}},
	"/watch":             {theirs: []string{"github.com/fsnotify/fsnotify", "github.com/moby/patternmatcher", "github.com/bmatcuk/doublestar/v4", "golang.org/x/"}},
}

// forbidden are parts of modules that would bring their whole program along.
var forbidden = []string{"github.com/docker/cli/cli/command", "github.com/docker/docker/daemon"}

func TestEachPackageImportsWhatItMay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for list := json.NewDecoder(strings.NewReader(string(out))); list.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := list.Decode(&p); err != nil {
			t.Fatal(err)
		}
		may, known := imports[strings.TrimPrefix(p.ImportPath, module)]
		if !known {
			t.Errorf("%s has no row in the table of imports", p.ImportPath)
		}
		for _, imported := range p.Imports {
			ours, internal := strings.CutPrefix(imported, module)
			standard := !strings.Contains(strings.SplitN(imported, "/", 2)[0], ".")
			switch {
			case standard:
			case internal && slices.Contains(may.ours, ours):
			case !internal && slices.ContainsFunc(may.theirs, func(m string) bool { return strings.HasPrefix(imported+"/", m) }):
			default:
				t.Errorf("%s must not import %s", p.ImportPath, imported)
			}
			if slices.ContainsFunc(forbidden, func(f string) bool { return strings.HasPrefix(imported, f) }) {
				t.Errorf("%s imports %s, which is not a leaf", p.ImportPath, imported)
			}
		}
	}
}

// A run that finds its target in the cache does without the reader of Compose
// files, the most expensive thing to start: what is linked is started, used or not.
func TestFindingTheTargetNeedsNoComposeReader(t *testing.T) {
	for _, pkg := range []string{"./cmd/docker-toxrun", "./compose", "./compose/loadexec", "./execproxy", "./watch"} {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, reader := range []string{"/compose-go/", "/jsonschema/", "/yaml/", "/compose/load\n"} {
			if strings.Contains(string(out), reader) {
				t.Errorf("%s depends on %q", pkg, reader)
			}
		}
	}
}
