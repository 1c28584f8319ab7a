package execproxy

import (
	"strconv"

	"github.com/docker/docker/api/types/versions"
)

// A Size is a terminal's, in characters. The zero Size is unknown.
type Size struct {
	Rows, Columns uint
}

// console is the size as the Engine takes it, nil where it is unknown.
func (s Size) console() *[2]uint {
	if s == (Size{}) {
		return nil
	}
	return &[2]uint{s.Rows, s.Columns}
}

// sizeScript sets the terminal's size before the command's first instruction. A
// resize after the start comes too late for a quick program. The variables are
// those that a shell adds of its own.
const sizeScript = `stty rows "$1" cols "$2" 2>/dev/null; shift 2; unset PWD OLDPWD SHLVL; exec "$@"`

// sized is the command behind a shell that sets the size, where that is needed:
// before API 1.42 the Engine ignores the size given at creation and begins with
// 0x0.
func (c *Cmd) sized() (args []string, ok bool) {
	if !c.TTY || c.Size == (Size{}) || !versions.LessThan(c.Engine.ClientVersion(), "1.42") {
		return nil, false
	}
	rows, columns := strconv.Itoa(int(c.Size.Rows)), strconv.Itoa(int(c.Size.Columns))
	return append([]string{"sh", "-c", sizeScript, "sh", rows, columns}, c.Args...), true
}
