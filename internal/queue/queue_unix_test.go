//go:build unix

package queue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/toxrun/docker-toxrun/internal/queue"
)

// As a helper the test program takes its turn in the queue that TOXRUN_TEST_QUEUE
// names, says so, and keeps it to its end.
func TestMain(m *testing.M) {
	dir := os.Getenv("TOXRUN_TEST_QUEUE")
	if dir == "" {
		os.Exit(m.Run())
	}
	p, err := queue.Join(dir, queue.Holder{PID: os.Getpid(), Run: "TOKEN"})
	if err == nil {
		fmt.Println("joined")
		err = p.Wait(context.Background(), 1, false, quiet, never)
	}
	if err != nil {
		panic(err)
	}
	fmt.Println("turn")
	select {}
}

// helper starts one, and waits until it has joined; turn waits until it has its turn.
func helper(t *testing.T, dir string) (p *os.Process, turn func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TOXRUN_TEST_QUEUE="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	expect := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the helper says %q, want %q", lines.Text(), want)
		}
	}
	expect("joined")
	return cmd.Process, func() { t.Helper(); expect("turn") }
}

func join(t *testing.T, dir, user string) *queue.Place {
	t.Helper()
	p, err := queue.Join(dir, queue.Holder{PID: os.Getpid(), User: user, Command: []string{"tox", user}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Leave)
	return p
}

func quiet([]queue.Holder) {}

func never(queue.Holder) bool { return false }

func place(t *testing.T) string { return filepath.Join(t.TempDir(), "queues", "one") }

func TestFirstComeFirstServed(t *testing.T) {
	dir := place(t)
	first := join(t, dir, "first")
	if err := first.Wait(t.Context(), 1, false, quiet, never); err != nil {
		t.Fatal(err)
	}
	var places []*queue.Place
	for i := range 20 {
		places = append(places, join(t, dir, fmt.Sprint(i)))
	}
	var order []int
	var mu sync.Mutex
	var all sync.WaitGroup
	waits := make(chan struct{}, len(places))
	for i, p := range slices.Backward(places) {
		all.Go(func() {
			told := sync.OnceFunc(func() { waits <- struct{}{} })
			if err := p.Wait(t.Context(), 1, false, func([]queue.Holder) { told() }, never); err != nil {
				t.Error(err)
			}
			if !mu.TryLock() {
				t.Error("two have their turn")
				return
			}
			order = append(order, i)
			mu.Unlock()
			p.Leave()
		})
	}
	for range places {
		<-waits
	}
	first.Leave()
	all.Wait()
	if !slices.IsSorted(order) || len(order) != len(places) {
		t.Errorf("order %v", order)
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Whoever waits is told for whom.
func TestWhoIsAhead(t *testing.T) {
	dir := place(t)
	a, b, c := join(t, dir, "a"), join(t, dir, "b"), join(t, dir, "c")
	if err := a.Wait(t.Context(), 1, false, quiet, never); err != nil {
		t.Fatal(err)
	}
	var told [][]string
	err := c.Wait(t.Context(), 1, false, func(ahead []queue.Holder) {
		var names []string
		for _, h := range ahead {
			if h.PID != os.Getpid() || h.Command[1] != h.User {
				t.Errorf("%+v", h)
			}
			names = append(names, fmt.Sprint(h.User, h.Turn))
		}
		told = append(told, names)
		switch len(told) {
		case 1:
			b.Leave() // who waited itself
		case 2:
			a.Leave()
		}
	}, never)
	if err != nil || len(told) != 2 || !slices.Equal(told[0], []string{"atrue", "bfalse"}) || !slices.Equal(told[1], []string{"atrue"}) {
		t.Errorf("told of %v, %v", told, err)
	}
}

// Whoever comes while the last one leaves finds a queue.
func TestComingAndGoing(t *testing.T) {
	dir := place(t)
	var all sync.WaitGroup
	var turn sync.Mutex
	for range 8 {
		all.Go(func() {
			for range 50 {
				p, err := queue.Join(dir, queue.Holder{})
				if err == nil {
					err = p.Wait(t.Context(), 1, false, quiet, never)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !turn.TryLock() {
					t.Error("two have their turn")
					return
				}
				turn.Unlock()
				p.Leave()
			}
		})
	}
	all.Wait()
}

func TestSeveralAtATime(t *testing.T) {
	dir := place(t)
	a, b, c := join(t, dir, "a"), join(t, dir, "b"), join(t, dir, "c")
	for _, p := range []*queue.Place{a, b} {
		if err := p.Wait(t.Context(), 2, false, quiet, never); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Wait(t.Context(), 2, false, func(ahead []queue.Holder) { b.Leave() }, never); err != nil {
		t.Fatal(err)
	}
}

func TestWaitIsGivenUp(t *testing.T) {
	dir := place(t)
	join(t, dir, "a")
	b, c := join(t, dir, "b"), join(t, dir, "c")
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := b.Wait(ctx, 1, false, func([]queue.Holder) { cancel(why) }, never); err != why {
		t.Errorf("Wait() = %v, want %v", err, why)
	}
	b.Leave()
	ctx, cancel = context.WithCancelCause(t.Context())
	c.Wait(ctx, 1, false, func(ahead []queue.Holder) {
		if len(ahead) != 1 || ahead[0].User != "a" {
			t.Errorf("ahead are %v", ahead)
		}
		cancel(why)
	}, never)
}

// Who is killed in its turn stays ahead until nothing of it is left, which the first who
// waits asks, and whoever cares. One that is killed while it waits was never there.
func TestKilledHolder(t *testing.T) {
	dir := place(t)
	holder, turn := helper(t, dir)
	turn()
	waiter, _ := helper(t, dir)
	us := join(t, dir, "us")
	isHolder := func(h queue.Holder) bool { return h.Killed && h.Run == "TOKEN" && h.PID == holder.Pid }
	why := errors.New("given up")
	ctx, cancel := context.WithCancelCause(t.Context())
	asked := 0
	err := us.Wait(ctx, 1, false, func(ahead []queue.Holder) {
		switch {
		case len(ahead) == 2:
			waiter.Kill()
		case !ahead[0].Killed:
			holder.Kill()
		case isHolder(ahead[0]):
			cancel(why)
		}
	}, func(h queue.Holder) bool {
		if asked++; !isHolder(h) {
			t.Errorf("asked about %+v", h)
		}
		return false
	})
	if err != why || asked == 0 {
		t.Fatalf("Wait() = %v, asked %d times", err, asked)
	}
	// The next one is not the first, but cares.
	next := join(t, dir, "next")
	ctx, cancel = context.WithCancelCause(t.Context())
	if err := next.Wait(ctx, 1, true, func(ahead []queue.Holder) {
		if len(ahead) != 1 || ahead[0].User != "us" {
			t.Errorf("ahead are %+v", ahead)
		}
		cancel(why)
	}, isHolder); err != why {
		t.Fatal(err)
	}
	if err := us.Wait(t.Context(), 1, false, quiet, never); err != nil { // what was forgotten is
		t.Error(err)
	}
}

// What should not be there is an error, or nothing.
func TestNonsenseInTheQueue(t *testing.T) {
	dir := place(t)
	join(t, dir, "first").Leave()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"9223372036854775807.ticket", "x.ticket", "7.json", "8-1.new"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "1.ticket"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := join(t, dir, "us")
	if err := p.Wait(t.Context(), 1, false, quiet, never); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"9223372036854775807.ticket", "x.ticket", "7.json", "1.ticket"} {
		os.Remove(filepath.Join(dir, name))
	}
	p.Leave()
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, make := range []func(string) error{
		func(door string) error { return os.Symlink("/nowhere/door", door) },
		func(door string) error { return syscall.Mkfifo(door, 0o600) },
	} {
		door := filepath.Join(dir, "door")
		if err := make(door); err != nil {
			t.Fatal(err)
		}
		if _, err := queue.Join(dir, queue.Holder{}); err == nil {
			t.Error("no error for a door that is none")
		}
		os.Remove(door)
	}
}

// Another user can be waited for, but what runs is not ours to end.
func TestStrangersRunIsNotOurs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := place(t)
	holder, turn := helper(t, dir)
	turn()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Chown(files[0], 12345, 12345); err != nil {
		t.Fatal(err)
	}
	us := join(t, dir, "us")
	err = us.Wait(t.Context(), 1, false, func([]queue.Holder) { holder.Kill() }, func(h queue.Holder) bool {
		if h.Ours || h.PID != holder.Pid {
			t.Errorf("%+v, want the holder, as not ours", h)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}
