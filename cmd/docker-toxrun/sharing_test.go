package main

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
)

// Each lane gets each signal. This process stops once, when the commands of all lanes
// that are left have stopped, and then all go on.
func TestSharedSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal)
		stops := 0
		each := make([]lane, 3)
		s := share(received{signals, func() { stops++ }}, each)
		defer s.stop()
		for i := range each {
			s.enter(i)
		}
		signals <- syscall.SIGINT
		for i, l := range each {
			if got := <-l.received.signals; got != syscall.SIGINT {
				t.Errorf("lane %d gets %v", i, got)
			}
		}
		var goesOn atomic.Int32
		stop := func(l lane) {
			go func() {
				l.received.suspend()
				goesOn.Add(1)
			}()
			synctest.Wait()
		}
		for round := 1; round <= 2; round++ {
			stop(each[0])
			stop(each[1])
			if stops != round-1 || goesOn.Load() != int32(3*(round-1)) {
				t.Fatalf("stopped %d times before the last lane, %d go on", stops, goesOn.Load())
			}
			stop(each[2])
			if stops != round || goesOn.Load() != int32(3*round) {
				t.Fatalf("stopped %d times, %d go on; want %d, %d", stops, goesOn.Load(), round, 3*round)
			}
		}
		stop(each[0])
		s.leave(1)
		synctest.Wait()
		if stops != 2 {
			t.Error("stopped while a command runs")
		}
		s.leave(2)
		synctest.Wait()
		if stops != 3 || goesOn.Load() != 7 {
			t.Errorf("stopped %d times, %d go on, after the other lanes have ended", stops, goesOn.Load())
		}
		s.leave(0)
		signals <- syscall.SIGHUP // for nobody
		synctest.Wait()
		s.enter(1)
		signals <- syscall.SIGTERM
		if got := <-each[1].received.signals; got != syscall.SIGTERM {
			t.Errorf("the lane gets %v", got)
		}
	})
}
