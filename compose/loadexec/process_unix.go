//go:build !windows

package loadexec

import "syscall"

// name is the program's.
const name = "toxrun-compose"

// apart keeps the terminal's signals from the program: ^C is for the caller,
// who knows what it means, and with whom the program ends.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
