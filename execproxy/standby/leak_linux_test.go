package standby_test

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

// On the real Engine, where a spare takes 70 ms, they are fewer.
func TestManyRunsThroughOneKeeperLeaveNothing(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, e enginetest.Target) {
		runs := 500
		if e.Engine == nil {
			runs = 50
		}
		k := keep(t, e, execproxy.Command(e.Client, e.Container, "sh"), time.Minute)
		run := func(i int) {
			k.is("ready")
			lease, err := standby.Take(k.dir, k.want)
			if err != nil { // on a machine that is very busy
				lease = new(standby.Lease)
			}
			var out bytes.Buffer
			c := k.sh("cat; exit 5")
			c.Spare, c.Stdin, c.Stdout = lease.Spare, strings.NewReader("in"), &out
			if i%10 == 0 && c.Spare != nil {
				c.Spare.Close() // so it is none
			}
			if err := c.Run(t.Context()); err == nil || err.Error() != "exit status 5" || out.String() != "in" {
				t.Errorf("Run() = %v, output %q", err, &out)
			}
			if err == nil {
				lease.Done()
			}
		}
		for i := range 20 { // whatever is kept once is kept now
			run(i)
		}
		k.is("ready")
		goroutines, files, memory := runtime.NumGoroutine(), descriptors(t), heap()
		for i := range runs {
			run(i)
		}
		info := k.is("ready")
		if info.Hits < runs*9/10 {
			t.Errorf("%+v, want %d hits", info, runs)
		}
		settle(t, "goroutines", goroutines, runtime.NumGoroutine)
		settle(t, "spares", 1, k.waiting)
		settle(t, "running execs", 1, func() int { return len(e.ExecIDs(t)) })
		if e.Engine == nil { // the fake's own are in this process too
			settle(t, "file descriptors", files, func() int { return descriptors(t) })
			settle(t, "bytes", memory+1<<20, heap)
		}
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// settle waits until a count is down to what it was.
func settle(t *testing.T, what string, want int, count func() int) {
	t.Helper()
	got := count()
	for deadline := enginetest.Deadline(t); got > want && time.Now().Before(deadline); got = count() {
		time.Sleep(10 * time.Millisecond)
	}
	if got > want {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d %s, %d wanted\n%s", got, what, want, stacks[:runtime.Stack(stacks, true)])
	}
}
