package enginetest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A startError is why a process did not start, as the container's runtime says it.
type startError struct {
	message string
	code    int // the exit status since Engine 28; before it is always 126
}

func (e *startError) Error() string { return "OCI runtime exec failed: exec failed: " + e.message }

// cannotStart is the error of a process that is there already and can't become
// the program.
func cannotStart(code int, message string) error {
	return &startError{"unable to start container process: " + message, code}
}

// A process is the running program of an exec, with the engine's ends of its streams.
type process struct {
	cmd *exec.Cmd
	in  *os.File    // nil where no input is attached
	out [2]*os.File // stdout and stderr; the terminal and nil
}

// runProcess starts x and moves its streams. It returns when they have ended.
func (e *Engine) runProcess(x *instance, size *[2]uint, s *stream) error {
	if x.box.Simulated != nil {
		return e.simulate(x, s)
	}
	u, err := lookupUser(x.opts.User)
	if err != nil {
		return err
	}
	if x.box.StartDelay != nil {
		time.Sleep(x.box.StartDelay(x.opts.Cmd))
	}
	p, err := e.startProcess(x, u, size)
	close(x.tried)
	if err != nil {
		return err
	}

	// What nobody is attached to is read and dropped.
	var queues [2]*queue
	for i, attached := range []bool{x.opts.AttachStdout, x.opts.AttachStderr && !x.opts.Tty} {
		if attached && s != nil {
			queues[i] = newQueue()
		}
	}
	var collecting sync.WaitGroup
	for i, f := range p.out {
		if f != nil {
			collecting.Go(func() { collect(queues[i], f) })
		}
	}
	e.work.Go(func() {
		state, err := p.cmd.Process.Wait()
		if err != nil {
			panic(err) // someone else has waited for it
		}
		e.mu.Lock()
		x.reaped = true
		e.mu.Unlock()
		e.finished(x, exitCode(state), func() { e.drain(x, p, &collecting, queues) })
	})
	if s == nil {
		return nil
	}

	var streams errgroup.Group
	for i, q := range queues {
		if q != nil {
			kind := stdout
			if i == 1 {
				kind = stderr
			}
			streams.Go(func() error { return s.deliver(q, kind) })
		}
	}
	if x.opts.AttachStdin {
		streams.Go(func() error {
			switch empty := s.feed(p.in, x.ended); {
			case x.opts.Tty && queues[0] != nil:
				queues[0].Close() // a terminal's input has no end: the output ends instead
			case x.opts.Tty, empty && x.losesEnd(e):
			default:
				p.in.Close()
			}
			return nil
		})
	}
	return streams.Wait()
}

// losesEnd tells whether the end of an empty stdin gets lost, if it comes now.
func (x *instance) losesEnd(e *Engine) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return x.box.EarlyEndLost && !x.seen
}

// drain waits for the output of a process that has ended. Others that still
// hold it can write on, but nobody reads it any more.
func (e *Engine) drain(x *instance, p *process, collecting *sync.WaitGroup, queues [2]*queue) {
	done := make(chan struct{})
	go func() {
		collecting.Wait()
		close(done)
	}()
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	held := false
	select {
	case <-done:
	case <-timer.C:
		held = true
		for _, f := range p.out {
			if f != nil {
				f.SetReadDeadline(time.Unix(1, 0))
			}
		}
	}
	for _, q := range queues {
		if q != nil {
			q.Close()
		}
	}
	<-done
	e.mu.Lock()
	defer e.mu.Unlock()
	x.tty = nil
	if p.in != nil {
		p.in.Close()
	}
	for _, f := range p.out {
		switch {
		case f == nil:
		case held:
			x.box.files = append(x.box.files, f)
		default:
			f.Close()
		}
	}
}

func (e *Engine) startProcess(x *instance, u *account, size *[2]uint) (*process, error) {
	env := x.environment(u)
	dir, err := x.box.workDir(x.opts.WorkingDir)
	if err != nil {
		return nil, err
	}
	path, err := x.box.lookPath(x.opts.Cmd[0], env, dir)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: x.opts.Cmd, Env: env, Dir: dir, SysProcAttr: processAttr(x.opts.Tty, u)}
	p := &process{cmd: cmd}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	if x.opts.Tty {
		terminal, side, err := openTerminal(size)
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, side)
		p.in, p.out[0] = terminal, terminal
		cmd.Stdin, cmd.Stdout, cmd.Stderr = side, side, side
	} else {
		for i := range p.out {
			r, w, err := outputPipe()
			if err != nil {
				p.close()
				return nil, err
			}
			theirs = append(theirs, w)
			p.out[i] = r
		}
		cmd.Stdout, cmd.Stderr = theirs[0], theirs[1]
		if x.opts.AttachStdin {
			r, w, err := os.Pipe()
			if err != nil {
				p.close()
				return nil, err
			}
			theirs = append(theirs, r)
			p.in, cmd.Stdin = w, r
		}
	}

	// A container's end kills what has started, and lets nothing start after it.
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		err = errors.New("the engine is shutting down")
	} else if err = e.ready(x.box, x.box.id); err == nil {
		err = cmd.Start()
		if err, ok := errors.AsType[*fs.PathError](err); ok {
			p.close()
			return nil, cannotStart(126, err.Error()+": unknown")
		}
	}
	if err != nil {
		p.close()
		return nil, err
	}
	x.pid = cmd.Process.Pid
	if x.opts.Tty {
		x.tty = p.in
	}
	x.box.leaders = append(x.box.leaders, x)
	return p, nil
}

func (p *process) close() {
	for _, f := range []*os.File{p.in, p.out[0], p.out[1]} {
		if f != nil {
			f.Close() // the terminal twice, which does no harm
		}
	}
}
