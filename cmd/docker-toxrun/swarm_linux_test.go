package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// A cluster is a Swarm of two, with a service of four tasks.
type cluster struct {
	t               *testing.T
	manager, worker daemon
	dir             string // has the Compose file of the stack
	service         swarm.ServiceSpec
	id              string // of the service
	env             []string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	needProgram(t, "ip")
	needProgram(t, "nsenter")
	c := &cluster{t: t, manager: startDaemon(t, "one"), worker: startDaemon(t, "two"), dir: t.TempDir()}
	c.join()
	c.write(c.worker.DaemonHost())
	c.env = environment(t, c.manager.DaemonHost())

	ctx := t.Context()
	if _, err := c.manager.SwarmInit(ctx, swarm.InitRequest{ListenAddr: "0.0.0.0:2377", AdvertiseAddr: "169.254.7.1"}); err != nil {
		t.Fatalf("%v\n%s", err, c.manager.err)
	}
	inspected, err := c.manager.SwarmInspect(ctx)
	if err == nil {
		err = c.worker.SwarmJoin(ctx, swarm.JoinRequest{
			ListenAddr: "0.0.0.0:2377", AdvertiseAddr: "169.254.7.2", RemoteAddrs: []string{"169.254.7.1:2377"}, JoinToken: inspected.JoinTokens.Worker,
		})
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, c.worker.err)
	}
	grace, four := time.Duration(0), uint64(4)
	c.service = swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: "stack_tests"},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: enginetest.DefaultImage, Command: []string{"sleep", "1000000"}, StopGracePeriod: &grace},
			Networks:      []swarm.NetworkAttachmentConfig{{Target: "host"}},
			Placement:     &swarm.Placement{MaxReplicas: 4},
		},
		Mode: swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &four}},
	}
	created, err := c.manager.ServiceCreate(ctx, c.service, swarm.ServiceCreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.id = created.ID
	c.runs(4)
	return c
}

// join has a cable between the two.
func (c *cluster) join() {
	c.t.Helper()
	cable := "tx" + number()
	one, two := fmt.Sprint(c.manager.Process.Pid), fmt.Sprint(c.worker.Process.Pid)
	for _, line := range []string{
		"nsenter -n -t " + one + " ip link add " + cable + " type veth peer name " + cable + " netns " + two,
		"nsenter -n -t " + one + " ip addr add 169.254.7.1/24 dev " + cable,
		"nsenter -n -t " + two + " ip addr add 169.254.7.2/24 dev " + cable,
		"nsenter -n -t " + one + " ip link set " + cable + " up",
		"nsenter -n -t " + two + " ip link set " + cable + " up",
	} {
		args := strings.Fields(line)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			c.t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
}

// write writes the Compose file, with where the worker is.
func (c *cluster) write(worker string) {
	c.t.Helper()
	text := fmt.Sprintf("services: {tests: {image: '%s', x-toxrun: {command: [echo, tests], nodes: {two: '%s'}}}}\n", enginetest.DefaultImage, worker)
	if err := os.WriteFile(filepath.Join(c.dir, "compose.yaml"), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// scale has so many tasks.
func (c *cluster) scale(n uint64) {
	c.t.Helper()
	now, _, err := c.manager.ServiceInspectWithRaw(c.t.Context(), c.id, swarm.ServiceInspectOptions{})
	if err == nil {
		c.service.Mode.Replicated.Replicas = &n
		_, err = c.manager.ServiceUpdate(c.t.Context(), c.id, now.Version, c.service, swarm.ServiceUpdateOptions{})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// runs waits until so many tasks do.
func (c *cluster) runs(n int) {
	c.t.Helper()
	var tasks []swarm.Task
	for deadline := enginetest.Deadline(c.t); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		if tasks, err = c.manager.TaskList(c.t.Context(), swarm.TaskListOptions{}); err != nil {
			c.t.Fatal(err)
		}
		tasks = slices.DeleteFunc(tasks, func(t swarm.Task) bool { return t.Status.State != swarm.TaskStateRunning })
		if len(tasks) == n {
			return
		}
	}
	c.t.Fatalf("tasks: %+v\n%s", tasks, c.manager.err)
}

func (c *cluster) toxrun(args ...string) *process {
	c.t.Helper()
	cmd := exec.Command(programName, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	return start(c.t, cmd)
}

// The command line is the same where a service is a Swarm's.
func TestSwarm(t *testing.T) {
	t.Parallel()
	c := newCluster(t)

	hosts := map[string]int{}
	for i := 1; i <= 4; i++ {
		p := c.toxrun("-s", "stack_tests", "--index", fmt.Sprint(i), "exec", "-n", "sh", "-c", "hostname; exit 3")
		p.exits(t, 3)
		hosts[strings.TrimSpace(p.out.String())]++
	}
	if hosts["one"]+hosts["two"] != 4 || hosts["one"] == 0 || hosts["two"] == 0 {
		t.Fatalf("the tasks are on %v", hosts)
	}
	p := c.toxrun("-s", "stack_tests", "--index", "5", "exec", "-n", "true")
	p.exits(t, 125)
	told(t, p.err, `toxrun: task 5 of service "stack_tests" of the swarm is not running`, "hint: docker service ps stack_tests")
	p = c.toxrun("-s", "stack_other", "exec", "-n", "true")
	p.exits(t, 125)

	p = c.toxrun("-s", "stack_tests", "--all", "--")
	p.exits(t, 0)
	for i := 1; i <= 4; i++ {
		if line := fmt.Sprintf("/stack_tests-%d | tests\n", i); strings.Count(p.out.String(), line) != 1 {
			t.Errorf("%q is not in %q", line, p.out)
		}
	}

	p = c.toxrun("-s", "stack_tests", "--split", "--each", "1 2 3 4 5 6 7 8", "exec", "-n", "sh", "-c", "exit $(({} / 8))")
	p.exits(t, 1)
	if said := p.err.String(); !strings.Contains(said, "7 of 8 passed") {
		t.Errorf("stderr %q", said)
	}

	token := number()
	p = c.toxrun("-s", "stack_tests", "--all", "exec", "-n", "sh", "-c", "echo begun; sleep "+token)
	for range 4 {
		p.out.expect(t, "begun\n")
	}
	ps := c.toxrun("-s", "stack_tests", "--all", "ps")
	ps.exits(t, 0)
	if listed := strings.Count(ps.out.String(), "sleep "+token); listed != 4 {
		t.Errorf("%d runs are listed: %s", listed, ps.out)
	}
	cancel := c.toxrun("-s", "stack_tests", "--all", "cancel")
	cancel.exits(t, 0)
	if ended := strings.Count(cancel.out.String(), "\n"); ended != 4 {
		t.Errorf("canceled: %s", cancel.out)
	}
	p.exits(t, 130)

	t.Log("a service that scales")
	p = c.toxrun("-s", "stack_tests", "--split", "--each", "a b c d e", "exec", "-n", "sh", "-c", "[ {} = a ] || until [ -e /tmp/go ]; do sleep 0.1; done; rm -f /tmp/go; touch /tmp/was-{}")
	p.err.expect(t, "toxrun: a: pass")
	c.scale(6)
	p.err.expect(t, "has come\n")
	c.runs(6)
	for i := 1; i <= 6; i++ {
		c.toxrun("-s", "stack_tests", "--index", fmt.Sprint(i), "exec", "-n", "touch", "/tmp/go").exits(t, 0)
	}
	p.exits(t, 0)

	t.Log("a node that is not reached")
	c.write("tcp://127.0.0.1:1")
	p = c.toxrun("-s", "stack_tests", "--all", "exec", "-n", "hostname")
	p.exits(t, 125)
	if said := p.err.String(); !strings.Contains(said, "toxrun: node two (tcp://127.0.0.1:1) is left out: ") || strings.Contains(p.out.String(), "two\n") || !strings.Contains(p.out.String(), "one\n") {
		t.Errorf("stdout %q, stderr %q", p.out, said)
	}

	t.Log("an engine that is killed in the middle of a matrix")
	c.write(c.worker.DaemonHost())
	// There its jobs don't end before.
	c.toxrun("-s", "stack_tests", "--all", "exec", "-n", "sh", "-c", "[ $(hostname) = one ] || touch /tmp/held").exits(t, 0)
	p = c.toxrun("-s", "stack_tests", "--split", "--retries", "1", "--each", "1 2 3 4 5 6 7 8 9 10 11 12", "exec", "-n", "sh", "-c", "while [ -e /tmp/held ]; do sleep 0.1; done; echo {}")
	p.err.expect(t, "pass")
	for begun := false; !begun && time.Now().Before(enginetest.Deadline(t)); {
		ps := c.toxrun("-s", "stack_tests", "--all", "ps")
		ps.exits(t, 0)
		begun = regexp.MustCompile(` two .*held`).MatchString(ps.out.String())
	}
	c.worker.kill()
	p.exits(t, 0)
	if said := p.err.String(); !strings.Contains(said, "12 of 12 passed") || !strings.Contains(said, "lost with its container (two/") {
		t.Errorf("stderr %q", said)
	}
}
