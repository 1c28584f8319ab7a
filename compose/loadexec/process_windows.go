package loadexec

import "syscall"

// name is the program's.
const name = "toxrun-compose.exe"

// apart keeps the console's signals from the program: ^C is for the caller,
// who knows what it means, and with whom the program ends.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
