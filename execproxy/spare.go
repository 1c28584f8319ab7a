package execproxy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
)

// A Spare is an exec that has been started already and waits on its stdin to be
// told what command it is. To start an exec takes the Engine 50 to 70 ms, to wake
// one about 1 ms (measured: 20.10). It is a shell, or for [Cmd.Preload] and [Cmd.Learn] a
// Python interpreter.
//
// Whoever holds it may give its parts to another process, after Release. It ends by itself
// when its connection is closed; one with a terminal, which is not told of that, within 25
// seconds, and at once by Close.
type Spare struct {
	Exec  string   // its ID
	Token string   // as in the command's environment
	Conn  net.Conn `json:"-"` // nothing is read ahead of it

	// What it was started with, and a Cmd that is to use it has too.
	Container, User string
	Privileged      bool
	Dir             string
	TTY             bool // it has a terminal, in raw mode until it is woken

	Python  bool     // it is an interpreter
	Env     []string // of the interpreter, as in Cmd; else nil
	Modules int      // that it has imported; 0: none, or it is a shell
	Known   string   `json:"-"` // for the Lesson of the next one; "": nothing
	Woken   bool     // it has become the command of a Cmd that was Run
	Plain   string   // why it is a shell in spite of Preload, or of an interpreter that was there, for a person; else empty

	// State asks about Exec who has a connection to the Engine already, and answers as
	// [Client.ContainerExecInspect], but that the Pid of what has ended may be 0; where it
	// fails the Engine is asked. Nil: there is nobody.
	State func(ctx context.Context) (container.ExecInspect, error) `json:"-"`

	// Whole tells, at Conn's end, whether all has come that the Engine has sent, where
	// another process relays it. Nil: Conn is the Engine's own, and its end means that.
	Whole func(ctx context.Context) bool `json:"-"`

	release func() // ends its heartbeat; nil: it has none
}

// waitScript says that it is there, waits, and becomes what it is told. Its
// variables have names that no command is likely to have been given. Its first line is
// read already.
const waitScript = wakeScript + `printf %s "$` + tokenVariable + `"
printf '%s%s\n' "$` + tokenVariable + `" "${_toxrun_r:+~$_toxrun_r}" >&2
IFS= read -r _toxrun_c && eval "$_toxrun_c"`

// waitTTYScript is waitScript at a terminal, which does nothing to what it is told: it
// echoes nothing, and a line may be longer than the 4,095 bytes of others (termios(3)).
// The end of the connection does not reach it, so it waits only as long as it is told to,
// with empty lines: for 25 seconds, by the terminal's own timer, where 255 tenths are the most
// there is, and by the shell's where read has a -t: busybox waits elsewhere than in the
// terminal.
const waitTTYScript = wakeScript + `if _toxrun_s=$(stty -g 2>/dev/null) && stty raw -echo min 0 time 250 2>/dev/null; then
	printf '%s%s%s\n' "$` + tokenVariable + `" "$` + tokenVariable + `" "${_toxrun_r:+~$_toxrun_r}"
	(read -r -t 1 _toxrun_c) </dev/null 2>/dev/null
	case $? in 1) _toxrun_t='-t 25' ;; *) _toxrun_t= ;; esac
	until [ "$_toxrun_c" ]; do IFS= read -r $_toxrun_t _toxrun_c || exit; done
	eval "$_toxrun_c"
else
	printf '%sno stty\n' "$` + tokenVariable + `"
fi`

// wakeScript has what a spare is told by one word: a shell reads its line byte by byte,
// and 370 of them took it 0.8 ms more than 35 (measured). _toxrun_a goes to a directory, by
// its name: the one that the shell stands in may have been removed since, and another one be
// there. Variables that the shell adds of its own are not for the command.
//
// _toxrun_b says that the command begins. A program that is not there ends the spare before;
// started plainly it gets the error that it always gets. A script without #! is the
// exception: the shell runs it, the Engine would not.
const wakeScript = `_toxrun_a() {
	cd "$1" 2>/dev/null || exit
	unset PWD OLDPWD SHLVL
	export ` + tokenVariable + `
}
_toxrun_b() {
	case $1 in
	*/*) [ -f "$1" ] && [ -x "$1" ] || exit ;;
	*)
		_toxrun_p= IFS=:
		for _toxrun_d in $PATH; do [ -f "$_toxrun_d/$1" ] && [ -x "$_toxrun_d/$1" ] && _toxrun_p=1 && break; done
		unset IFS
		[ $_toxrun_p ] || exit
		;;
	esac
	printf %s "$` + tokenVariable + `" >&2
}
`

// firstLine reads the line that tells an exec that its connection can be used.
const firstLine = `_toxrun_n='
' _toxrun_r=
IFS= read -r _toxrun_c || exit
`

// Prepare starts a Spare that fits c: one that runs in the same container, as the
// same user, with a terminal or without. Without a shell that can be one, or for a terminal
// without stty, the error is a [StartError].
func (c *Cmd) Prepare(ctx context.Context) (*Spare, error) {
	why := ""
	if len(c.Preload) > 0 || c.Learn != nil {
		s, err := c.preload(ctx)
		if _, refused := errors.AsType[refusal](err); refused && c.Learn != nil && *c.Learn != (Lesson{}) {
			fresh := *c
			fresh.Learn = &Lesson{} // it can't import any more what it has been taught
			s, err = fresh.preload(ctx)
		}
		if _, noShell := errors.AsType[*StartError](err); noShell || err == nil {
			return s, err
		}
		why = err.Error()
	}
	script := firstLine + waitScript
	if c.TTY {
		script = firstLine + waitTTYScript
	}
	s, err := c.launch(ctx, []string{"sh", "-c", script}, "\n")
	reason, refused := errors.AsType[refusal](err)
	switch {
	case refused && c.TTY:
		return nil, &StartError{Code: 127, Program: "stty", Text: fmt.Sprintf("no terminal that waits in container %s: %v", cmp.Or(c.Name, short(c.Container)), reason)}
	case refused:
		return nil, fmt.Errorf("no shell that waits in container %s: %w", cmp.Or(c.Name, short(c.Container)), err)
	}
	if s != nil {
		s.Plain = why
	}
	return s, err
}

// beatTime is how often a spare with a terminal is told to wait on, three times in the time
// for which it does.
const beatTime = 8 * time.Second

// beat has the spare wait on, until Release.
func (s *Spare) beat() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	s.release = sync.OnceFunc(func() {
		close(stop)
		<-stopped
	})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(beatTime)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_ = s.Conn.SetWriteDeadline(time.Now().Add(beatTime / 4))
				if _, err := io.WriteString(s.Conn, "\n"); err != nil {
					return
				}
				_ = s.Conn.SetWriteDeadline(time.Time{})
			case <-stop:
				return
			}
		}
	}()
}

// Left are the modules that s has not imported though a run has, and why, in a word each.
func (s *Spare) Left() map[string]string {
	left := map[string]string{}
	for word := range strings.FieldsSeq(s.Known) {
		if word, ok := strings.CutPrefix(word, "-"); ok {
			name, why, _ := strings.Cut(word, "=")
			left[name] = why
		}
	}
	return left
}

// Release ends what this process does to keep the spare. Whoever takes it over has 17
// seconds to wake it.
func (s *Spare) Release() {
	if s.release != nil {
		s.release()
	}
}

// Close ends the spare, unless it was woken; the connection is closed in any case.
func (s *Spare) Close() error {
	s.Release()
	if s.TTY && !s.Woken {
		_ = s.Conn.SetWriteDeadline(time.Now().Add(beatTime / 4))
		_, _ = io.WriteString(s.Conn, "exit\n")
	}
	return s.Conn.Close()
}

// lineLimit is the longest line that a shell is woken with: it reads a byte at a
// time, so 64 KiB take busybox longer than another start, and dash 100 KiB; with 32
// KiB both are the quicker way (measured). Longer commands are started plainly.
const lineLimit = 32 << 10

// exportable tells whether a shell can give a command the variable.
func exportable(key string) bool {
	switch key {
	case "UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "IFS", "OPTIND", tokenVariable:
		return false // a shell's own
	}
	other := func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}
	return key != "" && (key[0] < '0' || key[0] > '9') && !strings.ContainsFunc(key, other)
}

// wakes tells whether s can become the command of c, and what to write to it.
func (s *Spare) wakes(c *Cmd) (line string, ok bool) {
	program := c.Args[0]
	if c.TTY != s.TTY || s.Container != c.Container || s.User != c.User || s.Privileged != c.Privileged || c.Dir != s.Dir && !path.IsAbs(c.Dir) {
		return "", false
	}
	if slices.Contains(c.Env, "HOME") {
		return "", false // removed, and then set by the container's runtime
	}
	if s.Python {
		return s.message(c)
	}
	if strings.HasPrefix(program, "-") {
		return "", false
	}
	var b strings.Builder
	if c.TTY {
		b.WriteString(`stty "$_toxrun_s" 2>/dev/null || exit; `)
	}
	dir := `"$PWD"`
	if c.Dir != "" {
		dir = quote(c.Dir)
	}
	b.WriteString("_toxrun_a " + dir + "; ")
	for _, assignment := range c.Env {
		key, value, assigned := strings.Cut(assignment, "=")
		switch {
		case !exportable(key):
			return "", false
		case assigned:
			b.WriteString("export " + key + "=" + quote(value) + "; ")
		default:
			b.WriteString("unset " + key + "; ")
		}
	}
	b.WriteString("_toxrun_b " + quote(program) + "; exec")
	for _, arg := range c.Args {
		b.WriteString(" " + quote(arg))
	}
	if c.Stdin == nil && !c.TTY {
		b.WriteString(" </dev/null") // as the Engine has it
	}
	b.WriteString("\n")
	return b.String(), b.Len() <= lineLimit
}

// quote makes one word of a POSIX shell, on one line, of any text without NUL.
func quote(text string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "\n", `'"$_toxrun_n"'`).Replace(text) + "'"
}

// errAsleep is a spare that has ended without having begun the command.
var errAsleep = errors.New("the waiting exec did not wake up")

// wake makes the exec of s the run's. It returns errAsleep where the line did not
// get there.
func (r *run) wake(s *Spare) error {
	s.Release()
	r.id, r.token = s.Exec, s.Token
	r.stream = &stream{Conn: s.Conn, output: bufio.NewReaderSize(s.Conn, chunkSize)}
	if r.TTY && r.Size != (Size{}) && r.resize(r.requests, r.id, r.Size) != nil {
		return errAsleep
	}
	if _, err := io.WriteString(s.Conn, r.line); err != nil {
		return errAsleep
	}
	if r.Stdin == nil && !r.TTY {
		_ = r.stream.closeWrite()
	}
	return nil
}

// woken tells whether the exec is a spare.
func (a attempt) woken() bool { return a.line != "" }

// awake cuts the spare's report that it becomes the command from the beginning of
// stderr, or of the terminal's output, with what its shell may have printed before, and returns what is left: the
// command's own output.
func (r *run) awake(data []byte) []byte {
	if r.acknowledged {
		return data
	}
	r.head = append(r.head, data...)
	_, rest, found := bytes.Cut(r.head, []byte(r.token))
	if !found {
		return nil
	}
	r.acknowledged, r.head = true, nil
	r.begun()
	return rest
}
