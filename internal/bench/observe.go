package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/creack/pty"
)

// An observed run is what the machine has seen of a process.
type observed struct {
	start           time.Time
	took, processor time.Duration
	first           time.Duration // until the first byte of output
	megabytes       float64       // the most memory
	files, sockets  int           // the most at a time; sockets are files, too
	end             string        // of its output
}

// observe runs the command, which is to succeed, with its stderr at a terminal of its own
// or all output in a pipe.
func (c command) observe(ctx context.Context, terminal bool) (o observed, err error) {
	cmd := c.make(ctx)
	seen := new(tail)
	read := func() {} // waits until all output is
	if terminal {
		master, tty, err := pty.Open()
		if err != nil {
			return o, err
		}
		defer master.Close()
		if err := pty.Setsize(tty, &pty.Winsize{Rows: 50, Cols: 120}); err != nil {
			return o, err
		}
		cmd.Stderr = tty // and stdout is /dev/null
		all := make(chan struct{})
		go func() {
			_, _ = io.Copy(seen, master) // a terminal that its last program has left is an error to read (EIO)
			close(all)
		}()
		read = func() {
			tty.Close()
			<-all
		}
	} else {
		cmd.Stdout, cmd.Stderr = seen, seen
	}
	o.start = time.Now()
	if err := cmd.Start(); err != nil {
		return o, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for look := time.Tick(50 * time.Millisecond); ; {
		select {
		case err := <-ended:
			o.took = time.Since(o.start)
			o.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			read()
			o.first, o.end = seen.at.Sub(o.start), string(seen.kept)
			if err != nil {
				err = fmt.Errorf("%s: %w\n%s", strings.Join(c.args[:2], " "), err, o.end)
			}
			return o, err
		case <-look:
			o.look(fmt.Sprintf("/proc/%d/", cmd.Process.Pid))
		}
	}
}

// look takes in what a process has by now.
func (o *observed) look(proc string) {
	var kilobytes float64
	if _, err := fmt.Sscanf(colonField(proc+"status", "VmHWM"), "%f kB", &kilobytes); err == nil {
		o.megabytes = max(o.megabytes, kilobytes*1024/1e6)
	}
	list, err := os.ReadDir(proc + "fd")
	if err != nil {
		return // it has ended
	}
	files, sockets := 0, 0
	for _, f := range list {
		to, err := os.Readlink(filepath.Join(proc+"fd", f.Name()))
		if err != nil {
			continue // closed by now
		}
		files++
		if strings.HasPrefix(to, "socket:") {
			sockets++
		}
	}
	o.files, o.sockets = max(o.files, files), max(o.sockets, sockets)
}

// A tail takes the time of the first byte, and keeps the last ones.
type tail struct {
	mu   sync.Mutex // stdout and stderr write at the same time
	at   time.Time
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const enough = 4096
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at.IsZero() {
		t.at = time.Now()
	}
	t.kept = append(t.kept, p[max(0, len(p)-enough):]...)
	t.kept = t.kept[max(0, len(t.kept)-enough):]
	return len(p), nil
}
