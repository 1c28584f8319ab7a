package main

import (
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"text/template"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

// An Engine starts execs one after the other, and one that comes later at once.
func TestStartsAreOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queueOfStarts
		for i := range 3 {
			if got, want := q.next(), time.Duration(i)*time.Second/execRate; got != want {
				t.Errorf("start %d waits %v, want %v", i, got, want)
			}
		}
		time.Sleep(time.Minute)
		if got := q.next(); got != 0 {
			t.Errorf("a start a minute later waits %v", got)
		}
	})
}

// The jobs are the same each time, no two have the same word, and each word says how long
// its job lasts.
func TestWork(t *testing.T) {
	for _, by := range []spreading{even, skewed} {
		w := makeWork(1000, time.Second, by)
		seen := map[string]bool{}
		sum := 0.0
		for _, word := range w.words {
			seconds, err := strconv.ParseFloat(word, 64)
			if err != nil || seen[word] {
				t.Fatalf("word %q, %v", word, err)
			}
			seen[word] = true
			sum += seconds
		}
		if mean := sum / 1000; mean < 0.9 || mean > 1.1 || w.sum.Seconds() > sum || w.sum.Seconds() < sum-1 || w.longest > w.sum/2 {
			t.Errorf("%s: mean %.3f s, sum %v of %.3f s, longest %v", by.name, mean, w.sum, sum, w.longest)
		}
		if again := makeWork(1000, time.Second, by); again.words[999] != w.words[999] {
			t.Errorf("%s: the last word is %q, and %q", by.name, w.words[999], again.words[999])
		}
	}
}

// The containers of a simulation are dealt over its Engines, and a command lasts as long as
// its word says, after the time of a start.
func TestSimulation(t *testing.T) {
	b := &bench{tmp: t.TempDir(), compose: []string{"docker", "compose"}}
	s, err := b.simulate(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	for i, want := range []int{2, 1} {
		for n := range 3 {
			f := floor{strings.TrimPrefix(s.engines[i].Host(), "unix://"), s.replica(strconv.Itoa(n + 1))}
			out, took, err := f.exec("sleep", "0.1")
			switch there := n < want; {
			case there && (err != nil || out != "1 passed\n" || took < startTime+100*time.Millisecond):
				t.Errorf("container %d of Engine %d: %q after %v, %v", n+1, i, out, took, err)
			case !there && err == nil:
				t.Errorf("Engine %d has a container %d", i, n+1)
			}
		}
	}
	if begun, requests := s.seen(); begun.IsZero() || requests != 3*3+3 {
		t.Errorf("begun at %v, %d requests", begun, requests)
	}
	s.reset()
	if begun, requests := s.seen(); !begun.IsZero() || requests != 0 {
		t.Errorf("after the reset: begun at %v, %d requests", begun, requests)
	}
}

var _ enginetest.Test = (*simulation)(nil)

// What a process writes first and last is seen, on a terminal too, and what it has open.
func TestObserve(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh")
	}
	for _, terminal := range []bool{false, true} {
		c := command{args: []string{"sh", "-c", "exec 5</dev/null 6</dev/null; echo first >&2; sleep 0.3; echo last >&2"}}
		o, err := c.observe(t.Context(), terminal)
		if err != nil || o.first <= 0 || o.first >= o.took || !strings.HasSuffix(strings.TrimSpace(o.end), "last") {
			t.Errorf("terminal %v: %+v, %v", terminal, o, err)
		}
		if runtime.GOOS == "linux" && (o.megabytes < 0.1 || o.files < 5 || o.sockets > o.files) {
			t.Errorf("terminal %v: %.1f MB, %d files, %d sockets", terminal, o.megabytes, o.files, o.sockets)
		}
		c.args[2] = "echo it fails >&2; exit 1"
		if _, err := c.observe(t.Context(), terminal); err == nil || !strings.Contains(err.Error(), "it fails") {
			t.Errorf("terminal %v: error %v", terminal, err)
		}
	}
}

// The page has room for all that is measured.
func TestScalePage(t *testing.T) {
	one := table{{"a", "b:"}, {"c", "1"}}
	page := scalePage{Date: "today", Command: "bench", Machine: one, Promised: one, Model: one, Jobs: one, Cost: one, Engines: one, Each: one}
	var out strings.Builder
	if err := template.Must(template.New("scale").Parse(scaleText)).Execute(&out, page); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), one.String()); got != 7 {
		t.Errorf("%d of 7 tables are in it", got)
	}
}
