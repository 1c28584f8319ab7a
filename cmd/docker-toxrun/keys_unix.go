//go:build unix

package main

import (
	"golang.org/x/sys/unix"
)

// keys sends what is pressed, a byte each. mode(true) is on already: lines are not
// waited for and nothing is echoed; ^C and ^Z stay signals, and output is as it
// was. mode(false) is as the terminal was before. Where stdin is no terminal of ours
// there are no keys, and the channel is nil.
func (t *terminal) keys() (pressed <-chan byte, mode func(on bool)) {
	none := func(bool) {}
	if !t.in || !t.foreground() {
		return nil, none
	}
	fd := int(t.std.in.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, none
	}
	single := *before
	single.Lflag &^= unix.ICANON | unix.ECHO
	single.Cc[unix.VMIN], single.Cc[unix.VTIME] = 1, 0
	mode = func(on bool) {
		switch {
		case !t.foreground(): // it is the shell's
		case on:
			_ = unix.IoctlSetTermios(fd, setTermios, &single)
		default:
			_ = unix.IoctlSetTermios(fd, setTermios, before)
		}
	}
	mode(true)
	keys := make(chan byte)
	go func() { // ends with the process: a terminal's read can't be interrupted
		key := make([]byte, 1)
		for {
			if n, err := (foregroundReader{t}).Read(key); err != nil || n == 0 {
				return
			}
			keys <- key[0]
		}
	}()
	return keys, mode
}
