package loadexec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/toxrun/docker-toxrun/compose"
)

// Names of files are bytes there.
func TestNamesThatAreNoUTF8(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(directory(t, nil), "\xff")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "compose.yaml")
	if _, err := same(t, compose.Query{Dir: dir, ProjectName: "p"}); err == nil {
		t.Error("there is no Compose file")
	}
	if err := os.WriteFile(file, []byte("services: {a: {image: x, volumes: ['./src:/app']}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := same(t, compose.Query{Dir: dir, ProjectName: "p"})
	if err != nil || m.Services[0].Binds[0].Source != filepath.Join(dir, "src") {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestProgramThatIsKilled(t *testing.T) {
	t.Parallel()
	p := program(t, "is-killed")
	if _, err := p.Model(t.Context(), compose.Query{}); err == nil || !strings.Contains(err.Error(), p.Path) || !strings.Contains(err.Error(), "signal: killed") {
		t.Error(err)
	}
}
