//go:build unix

package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// A job is this process as the shell has it.
type job struct {
	suspensions chan chan<- struct{} // asks follow to stop the process; closed when it goes on
	done        <-chan struct{}
}

func (j job) suspend() {
	goesOn := make(chan struct{})
	select {
	case j.suspensions <- goesOn:
		<-goesOn
	case <-j.done:
	}
}

// follow passes ^Z on to signals, and holds back what it does to us until suspend,
// which comes when the command is stopped.
func (j job) follow(signals chan<- os.Signal) {
	stops := make(chan os.Signal, 1)
	signal.Notify(stops, syscall.SIGTSTP)
	defer signal.Stop(stops)
	var held heldStop
	for {
		select {
		case sig := <-stops:
			runtime.LockOSThread() // the thread that holds it back, which ends with this
			held.hold()
			select {
			case signals <- sig:
			default: // as signal.Notify has it
			}
		case goesOn := <-j.suspensions:
			held.release()
			close(goesOn)
		case <-j.done:
			return
		}
	}
}
