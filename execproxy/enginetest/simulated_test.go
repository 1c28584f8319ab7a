package enginetest

import (
	"testing"
	"time"
)

// An exec that is simulated is to a client what one with a process is.
func TestSimulated(t *testing.T) {
	var does Simulation
	e := Fake(t, Container{Simulated: func([]string) Simulation { return does }})
	does = Simulation{Delay: time.Millisecond, Time: 10 * time.Millisecond, Stdout: "1 passed\n", Status: 7}
	id := create(t, e, withInput(shell("there is no such command")))
	if got := inspect(t, e, id).String(); got != "running false, exit code null, pid 0" {
		t.Errorf("before the start: %s", got)
	}
	if out, _ := readAll(t, attach(t, e, id, false)); out != "1 passed\n" {
		t.Errorf("read %q", out)
	}
	if got := inspect(t, e, id).String(); got != "running false, exit code 7, pid set" {
		t.Errorf("afterwards: %s", got)
	}
	does = Simulation{Time: time.Hour, Stdout: "1 passed\n"}
	id = create(t, e, shell("sleep"))
	a := attach(t, e, id, false)
	wantOutput(t, a, frame("1 passed\n"))
	if got := inspect(t, e, id).String(); got != "running true, exit code null, pid set" {
		t.Errorf("meanwhile: %s", got)
	}
	e.Engine.Kill(e.Container)
	readAll(t, a)
	if got := inspect(t, e, id).String(); got != "running false, exit code 137, pid set" {
		t.Errorf("after its container's end: %s", got)
	}
}

// As many of them as a machine has no processes for end with the engine, started or about
// to be.
func TestManySimulated(t *testing.T) {
	const many = 200
	e := Fake(t, Container{Simulated: func(command []string) Simulation {
		if command[2] == "late" {
			return Simulation{Delay: time.Hour}
		}
		return Simulation{Time: time.Hour, Stdout: "up"}
	}})
	for i := range many {
		a := attach(t, e, create(t, e, shell([]string{"late", "now"}[i%2])), false)
		if i%2 == 1 {
			wantOutput(t, a, frame("up"))
		}
	}
}
