package enginetest

import (
	"errors"
	"os"
	"syscall"
)

// There are no sessions, groups and terminals here: the package builds, and no
// exec starts.
var errWindows = errors.New("enginetest: no execs on windows")

func processAttr(bool, *account) *syscall.SysProcAttr { return nil }

func exitCode(state *os.ProcessState) int { return state.ExitCode() }

func openTerminal(*[2]uint) (terminal, side *os.File, err error) { return nil, nil, errWindows }

func setSize(*os.File, uint16, uint16) error { return errWindows }

func outputPipe() (r, w *os.File, err error) { return nil, nil, errWindows }

func processes() ([]Process, error) { return nil, nil }

func killProcess(int)     {}
func stopProcess(int)     {}
func continueProcess(int) {}
