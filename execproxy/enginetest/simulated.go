package enginetest

import (
	"io"
	"time"
)

// A Simulation is what an exec does that is no process. No signal reaches it: it ends
// when its time is over, or with its container. What the client sends it is dropped.
type Simulation struct {
	Delay  time.Duration // from the start of the exec until it runs
	Time   time.Duration // for which it runs
	Stdout string        // what it writes when it begins
	Status int
}

// simulatedPID is above what any machine gives a process (proc_sys_kernel(5), pid_max).
const simulatedPID = 1<<22 + 1

// simulate is runProcess for an exec that is no process.
func (e *Engine) simulate(x *instance, s *stream) error {
	e.mu.Lock()
	killed := x.box.killed
	e.mu.Unlock()
	lasts := func(d time.Duration) (whole bool) {
		select {
		case <-time.After(d):
			return true
		case <-killed:
			return false
		}
	}
	does := x.box.Simulated(x.opts.Cmd)
	lasts(does.Delay)
	close(x.tried)
	e.mu.Lock()
	err := e.ready(x.box, x.box.id)
	if err == nil {
		x.pid = simulatedPID
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	e.work.Go(func() {
		code := does.Status
		if !lasts(does.Time) {
			code = 137
		}
		e.finished(x, code, func() {})
	})
	if s == nil {
		return nil
	}
	e.work.Go(func() { e.drop(s) })
	if x.opts.AttachStdout {
		_, _ = io.WriteString(s.output(stdout), does.Stdout) // a client that has gone is not missed
	}
	<-x.ended
	return nil
}

// drop reads what the client sends until it closes the connection, and forgets that:
// there may be more of them than files that this process may have open.
func (e *Engine) drop(s *stream) {
	_, _ = io.Copy(io.Discard, s.in)
	s.conn.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.hijacked, s.conn)
}

// killSimulated is kill where there are no processes.
func (b *box) killSimulated() {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	select {
	case <-b.killed:
	default:
		if b.killed != nil {
			close(b.killed)
		}
	}
}
