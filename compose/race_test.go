package compose_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/compose/load"
)

var loadModel = load.Model

// findProcess is what the test binary does for TestManyProcesses.
func findProcess(dir string) int {
	f := compose.Finder{
		CacheDir: os.Getenv("TOXRUN_TEST_CACHE"),
		Load:     load.Model,
		Connect: func() (compose.Engine, error) {
			return client.NewClientWithOpts(client.WithHost(os.Getenv("TOXRUN_TEST_HOST")), client.WithAPIVersionNegotiation())
		},
	}
	target, err := f.Find(context.Background(), compose.Query{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Print(target.Container)
	return 0
}

func TestManyProcesses(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, l := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
	type result struct {
		out []byte
		err error
	}
	results := make(chan result, 20)
	for range cap(results) {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "TOXRUN_TEST_FIND="+p.dir, "TOXRUN_TEST_HOST="+l.address, "TOXRUN_TEST_CACHE="+p.finder.CacheDir)
		go func() {
			out, err := cmd.CombinedOutput()
			results <- result{out, err}
		}()
	}
	for range cap(results) {
		if r := <-results; r.err != nil || string(r.out) != "first" {
			t.Errorf("found %q, %v; want first", r.out, r.err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(p.finder.CacheDir, "*.temp")); len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, " "))
	}
	p.query.Engine = "" // as the processes have it
	if got := p.find(); !got.Cached {
		t.Error("after that, the answer is not in the cache")
	}
}
