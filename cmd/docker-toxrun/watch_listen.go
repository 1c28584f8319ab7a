package main

import (
	"context"
	"os"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/watch"
)

// listen does what signals and keys ask for: keys until ctx is done, signals to the
// end of the last run, which a second ^C kills.
func (w *watching) listen(ctx context.Context, ended <-chan struct{}, signals <-chan os.Signal, keys <-chan byte, commands chan<- watch.Command) {
	for {
		var command watch.Command
		select {
		case sig := <-signals:
			w.pass(sig)
			continue
		case key := <-keys:
			switch key {
			case '\n', '\r':
				command = watch.RunNow
			case 'c':
				command = watch.Cancel
			case 'p':
				command = watch.Pause
			case 'q':
				w.quit(errQuit)
				continue
			case '?':
				w.report.notice("Enter: run now, c: cancel the run, p: pause or go on, q: quit", "")
				continue
			default:
				continue
			}
		case <-ended:
			return
		}
		select {
		case commands <- command:
		case <-ctx.Done(): // nobody receives it any more
		}
	}
}

// pass passes a signal on to the command that runs. One that ends commands ends
// the watch, after the run where there is one.
func (w *watching) pass(sig os.Signal) {
	w.sigs.Lock()
	defer w.sigs.Unlock()
	if execproxy.Ends(sig) {
		w.sig = sig
		if w.run != nil {
			w.run.giveUp(errQuit)
		}
	}
	switch {
	case w.run != nil && w.run.signals.pass(sig):
	case execproxy.Ends(sig):
		w.quit(errQuit)
	case execproxy.Suspends(sig):
		w.suspend()
	}
}

// lookAfter is how often a watch looks for its containers between two runs.
const lookAfter = time.Second

// look says when a container goes away between two runs, and when it is back.
func (w *watching) look(ctx context.Context) {
	ticker := time.NewTicker(lookAfter)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.mu.Lock()
			lanes := w.lanes
			w.mu.Unlock()
			for _, l := range lanes {
				l.look(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

// suspend is ^Z, with the terminal as the shell wants it.
func (w *watching) suspend() {
	w.keys(false)
	w.stop()
	w.keys(true)
}
