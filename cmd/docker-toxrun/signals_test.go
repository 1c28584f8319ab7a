//go:build unix

package main

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// relayed is what relay passes on of signals, each at its time, when docker closes
// its socket at the time closes; 0 is never.
func relayed(t *testing.T, signals map[time.Duration]os.Signal, closes time.Duration) []os.Signal {
	var got []os.Signal
	synctest.Test(t, func(t *testing.T) {
		in, out := make(chan os.Signal), make(chan os.Signal, 16)
		closed, done := make(chan struct{}), make(chan struct{})
		for at, sig := range signals {
			time.AfterFunc(at, func() { in <- sig })
		}
		if closes > 0 {
			time.AfterFunc(closes, func() { close(closed) })
		}
		time.AfterFunc(time.Hour, func() { close(done) })
		relay(in, closed, out, done)
		close(out)
		for sig := range out {
			got = append(got, sig)
		}
	})
	return got
}

func TestRelay(t *testing.T) {
	const (
		hup, interrupt, term = syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM
		ms                   = time.Millisecond
	)
	type signals = map[time.Duration]os.Signal
	for name, test := range map[string]struct {
		in     signals
		closes time.Duration
		want   []os.Signal
	}{
		"each signal is passed on":                        {signals{0: syscall.SIGUSR1, ms: syscall.SIGUSR1, 2 * ms: interrupt}, 0, []os.Signal{syscall.SIGUSR1, syscall.SIGUSR1, interrupt}},
		"timeout(1) sends its signal twice and means one": {signals{0: term, ms: term}, 0, []os.Signal{term}},
		"a person who presses ^C twice means two":         {signals{0: interrupt, 200 * ms: interrupt}, 0, []os.Signal{interrupt, interrupt}},
		"another signal is another wish":                  {signals{0: interrupt, ms: term}, 0, []os.Signal{interrupt, term}},
		"docker's closed socket is SIGTERM":               {nil, ms, []os.Signal{term}},
		"which the terminal's ^C explains":                {signals{ms: interrupt}, 2 * ms, []os.Signal{interrupt}},
		"also when it comes later":                        {signals{2 * ms: interrupt}, ms, []os.Signal{interrupt}},
		"and a hangup":                                    {signals{2 * ms: hup}, ms, []os.Signal{hup}},
		"but none of long ago":                            {signals{0: interrupt}, time.Minute, []os.Signal{interrupt, term}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := relayed(t, test.in, test.closes); !slices.Equal(got, test.want) {
				t.Errorf("relay passes on %v, want %v", got, test.want)
			}
		})
	}
}
