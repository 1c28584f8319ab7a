package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// serveMany puts n containers of the project's service on an engine, whose commands do
// what simulated says.
func serveMany(e *enginetest.Engine, n int, simulated func(command []string) enginetest.Simulation) {
	for i := range n {
		e.Add(enginetest.Container{
			Name: fmt.Sprint("project-tests-", i+1),
			Labels: map[string]string{
				"com.docker.compose.project":          "project",
				"com.docker.compose.service":          "tests",
				"com.docker.compose.container-number": fmt.Sprint(i + 1),
				"com.docker.compose.oneoff":           "False",
				"com.docker.compose.config-hash":      "one",
			},
			Simulated: simulated,
		})
	}
}

// A thousand jobs run over 120 containers of three engines, each once.
func TestManyJobsOverManyContainers(t *testing.T) {
	t.Parallel()
	const engines, containers, jobs = 3, 40, 1000
	dir := t.TempDir()
	var words []string
	for i := range jobs {
		words = append(words, fmt.Sprint("job-", i))
	}
	for name, text := range map[string]string{"compose.yaml": "name: project\n" + projectFile, "jobs": strings.Join(words, "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	ran := map[string]int{}
	var args []string
	for i := range engines {
		e := new(enginetest.Engine)
		e.Start(t)
		serveMany(e, containers, func(command []string) enginetest.Simulation {
			mu.Lock()
			defer mu.Unlock()
			job := command[len(command)-1]
			if ran[job]++; job == "job-7" {
				return enginetest.Simulation{Stdout: "7 failed\n", Status: 3}
			}
			return enginetest.Simulation{Delay: time.Duration(i) * time.Millisecond, Time: 20 * time.Millisecond, Stdout: "passed\n"}
		})
		args = append(args, "-H", e.Host())
	}
	cmd := exec.Command("docker-toxrun", append(args, "--split", "--each-file", "jobs", "exec", "-n", "job", "{}")...)
	cmd.Dir, cmd.Env = dir, environment(t, "")
	p := start(t, cmd)
	p.exits(t, 3)
	if said := p.err.String(); p.out.String() != "7 failed\n" || strings.Count(said, ": pass, ") != jobs-1 ||
		!strings.Contains(said, fmt.Sprintf("toxrun: %d of %d passed in ", jobs-1, jobs)) || !strings.HasSuffix(said, "; failed: job-7\n") {
		t.Errorf("stdout %q, stderr ends with %q", p.out, said[max(0, len(said)-300):])
	}
	for _, word := range words {
		if ran[word] != 1 {
			t.Errorf("%s ran %d times", word, ran[word])
		}
	}
}

// Runs in the same engine make a connection each, for their streams: those for requests
// are shared.
func TestLanesShareConnections(t *testing.T) {
	t.Parallel()
	const jobs = 60
	p := newProject(t)
	p.engine.Remove(p.container)
	serveMany(p.engine, 2, func([]string) enginetest.Simulation { return enginetest.Simulation{} })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int32
	forward(t, l, func() string {
		connections.Add(1)
		return p.engine.Host()
	})
	var words []string
	for i := range jobs {
		words = append(words, fmt.Sprint(i))
	}
	cmd := exec.Command("docker-toxrun", "--split", "--each", strings.Join(words, " "), "exec", "-n", "job", "{}")
	cmd.Dir, cmd.Env = p.dir, environment(t, "tcp://"+l.Addr().String())
	start(t, cmd).exits(t, 0)
	if got := int(connections.Load()); got < jobs || got > jobs+jobs/2 {
		t.Errorf("%d connections for %d runs", got, jobs)
	}
}
