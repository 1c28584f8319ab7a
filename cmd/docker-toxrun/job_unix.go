//go:build unix

package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// suspensions asks followJob to stop this process; it answers when that goes on.
var suspensions = make(chan chan<- struct{})

// suspend stops this process as ^Z would have, with the terminal as the shell
// wants it, and returns when it goes on. With docker in front the shell need not
// wait for us: a job that it has continued meanwhile goes on.
func suspend() {
	goesOn := make(chan struct{})
	suspensions <- goesOn
	<-goesOn
}

// followJob passes ^Z on to signals, and holds back what it does to us until
// suspend, which comes when the command is stopped.
func followJob(signals chan<- os.Signal, done <-chan struct{}) {
	runtime.LockOSThread() // the thread that holds it back, which ends with this
	stops := make(chan os.Signal, 1)
	signal.Notify(stops, syscall.SIGTSTP)
	defer signal.Stop(stops)
	var held heldStop
	for {
		select {
		case sig := <-stops:
			held.hold()
			select {
			case signals <- sig:
			default: // as signal.Notify has it
			}
		case goesOn := <-suspensions:
			held.release()
			close(goesOn)
		case <-done:
			return
		}
	}
}
