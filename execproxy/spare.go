package execproxy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// A Spare is an exec that has been started already and waits on its stdin to be
// told what command it is. To start an exec takes the Engine 50 to 70 ms, to wake
// one about 1 ms (measured: 20.10). It is a shell, or for [Cmd.Preload] a Python
// interpreter.
//
// Whoever holds it may give its parts to another process. It ends by itself when
// its connection is closed.
type Spare struct {
	Exec  string   // its ID
	Token string   // as in the command's environment
	Conn  net.Conn `json:"-"` // nothing is read ahead of it

	// What it was started with, and a Cmd that is to use it has too.
	Container, User string
	Privileged      bool
	Dir             string

	Python bool     // it is an interpreter
	Env    []string // of the interpreter, as in Cmd; else nil
	Woken  bool     // it has become the command of a Cmd that was Run
	Plain  string   // why it is a shell in spite of Preload, for a person; else empty
}

// waitScript says that it is there, waits, and becomes what it is told. Its
// variables have names that no command is likely to have been given.
const waitScript = `_toxrun_n='
'
IFS= read -r _toxrun_c || exit
printf %s "$` + tokenVariable + `"
printf '%s\n' "$` + tokenVariable + `" >&2
IFS= read -r _toxrun_c && eval "$_toxrun_c"`

// Prepare starts a Spare that fits c: one that runs in the same container, as the
// same user. Without a shell that can be one the error is a [StartError].
func (c *Cmd) Prepare(ctx context.Context) (*Spare, error) {
	why := ""
	if len(c.Preload) > 0 {
		s, err := c.preload(ctx)
		if _, noShell := errors.AsType[*StartError](err); noShell || err == nil {
			return s, err
		}
		why = err.Error()
	}
	s, err := c.launch(ctx, []string{"sh", "-c", waitScript}, "\n")
	if _, ok := errors.AsType[refusal](err); ok {
		return nil, fmt.Errorf("no shell that waits in container %s: %w", cmp.Or(c.Name, short(c.Container)), err)
	}
	if s != nil {
		s.Plain = why
	}
	return s, err
}

// launch starts an exec that is to wait, writes line to its stdin, and returns when
// it says that it is there: its token, on stdout and on stderr, and a line feed.
func (c *Cmd) launch(ctx context.Context, args []string, line string) (*Spare, error) {
	waiting := &Cmd{
		Engine: c.Engine, Container: c.Container, Name: c.Name,
		Args: args,
		Dir:  c.Dir, User: c.User, Privileged: c.Privileged,
		Stdin: strings.NewReader(""),
	}
	if err := waiting.prepare(); err != nil {
		return nil, err
	}
	token := rand.Text()
	id, err := waiting.create(ctx, waiting.Args, token)
	if err != nil {
		return nil, waiting.notCreated(ctx, err)
	}
	stream, err := waiting.start(context.WithoutCancel(ctx), id)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { stream.Close() })
	defer stop()
	// The exec prints nothing before it has this line: output that comes along with the
	// Engine's own answer would keep the connection from being passed on.
	if _, err = io.WriteString(stream, line); err == nil {
		err = ready(stream.output, token)
	}
	if err == nil {
		return &Spare{
			Exec: id, Token: token, Conn: stream.Conn,
			Container: c.Container, User: c.User, Privileged: c.Privileged, Dir: c.Dir,
		}, nil
	}
	stream.Close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ended, ok := errors.AsType[ending](err)
	if !ok {
		return nil, err
	}
	switch now, problem := waiting.inspect(ctx, id); {
	case problem != nil:
		return nil, problem
	case !now.started:
		return nil, waiting.refused("sh", cmp.Or(string(ended), "sh: the engine has not started it"))
	case now.code == 128+int(syscall.SIGALRM):
		return nil, refusal("the import takes too long")
	case ended != "":
		return nil, prints(string(ended))
	default:
		return nil, refusal(fmt.Sprintf("it ended with exit status %d", now.code))
	}
}

// A refusal is why an exec does not wait, for a person.
type refusal string

func (r refusal) Error() string { return string(r) }

// prints is the refusal of an exec that prints more than its report.
func prints(text string) refusal {
	return refusal(fmt.Sprintf("it prints %.200q", text[strings.LastIndexByte(text, '\n')+1:]))
}

// An ending is what an exec has printed that has ended without a report. It may be the
// Engine's message.
type ending string

func (ending) Error() string { return "it ended" }

// ready reads an exec's report that it waits: its token, on both streams, since the
// order between the two is not kept. What follows is for whoever wakes the exec. One
// that does not wait reports why, which is a refusal. One that has ended without a
// report is an ending.
func ready(output *bufio.Reader, token string) error {
	reported := errors.New("reported")
	var text [frameStderr + 1]string
	err := readFrames(output, func(stream int, data []byte) error {
		text[stream] += string(data)
		_, reason, _ := strings.Cut(text[frameStderr], token)
		if strings.HasSuffix(reason, "\n") && (reason != "\n" || strings.Contains(text[frameStdout], token)) || len(text[stream]) > chunkSize {
			return reported
		}
		return nil
	})
	printed, _, _ := strings.Cut(text[frameStdout], token)
	before, reason, _ := strings.Cut(text[frameStderr], token)
	before, reason = strings.TrimSpace(printed+"\n"+before), strings.TrimSpace(reason)
	switch {
	case err != nil && err != reported:
		return err
	case reason != "":
		return refusal(reason)
	case err == nil:
		return ending(before)
	case before != "":
		return prints(before)
	case output.Buffered() > 0:
		return refusal("it prints what was not expected")
	}
	return nil
}

// Close ends the spare, which has no use for it any more.
func (s *Spare) Close() error { return s.Conn.Close() }

// lineLimit is the longest line that a shell is woken with: it reads a byte at a
// time, so 64 KiB take busybox longer than another start, and dash 100 KiB; with 32
// KiB both are the quicker way (measured). Longer commands are started plainly.
const lineLimit = 32 << 10

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// exportable tells whether a shell can give a command the variable.
func exportable(key string) bool {
	switch key {
	case "UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "IFS", "OPTIND", tokenVariable:
		return false // a shell's own
	}
	return identifier.MatchString(key)
}

// wakes tells whether s can become the command of c, and what to write to it.
func (s *Spare) wakes(c *Cmd) (line string, ok bool) {
	program := c.Args[0]
	if c.TTY || s.Container != c.Container || s.User != c.User || s.Privileged != c.Privileged || c.Dir != s.Dir && !path.IsAbs(c.Dir) {
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
	// By its name: the one that the shell stands in may have been removed since, and
	// another one be there.
	dir := `"$PWD"`
	if c.Dir != "" {
		dir = quote(c.Dir)
	}
	// Those that the shell adds of its own are not for the command.
	b.WriteString("cd " + dir + " 2>/dev/null || exit; unset PWD OLDPWD SHLVL; export " + tokenVariable + "; ")
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
	// A program that is not there ends the spare before the command has begun;
	// started plainly it gets the error that it always gets. A script without #! is
	// the exception: the shell runs it, the Engine would not.
	if strings.Contains(program, "/") {
		b.WriteString("[ -f " + quote(program) + " ] && [ -x " + quote(program) + " ] || exit; ")
	} else {
		file := `"$_toxrun_d"/` + quote(program)
		b.WriteString("_toxrun_p=; IFS=:; for _toxrun_d in $PATH; do [ -f " + file + " ] && [ -x " + file + " ] && _toxrun_p=1 && break; done; unset IFS; [ $_toxrun_p ] || exit; ")
	}
	b.WriteString(`printf %s "$` + tokenVariable + `" >&2; exec`)
	for _, arg := range c.Args {
		b.WriteString(" " + quote(arg))
	}
	if c.Stdin == nil {
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
	r.id, r.token = s.Exec, s.Token
	r.stream = &stream{Conn: s.Conn, output: bufio.NewReaderSize(s.Conn, chunkSize)}
	if _, err := io.WriteString(s.Conn, r.line); err != nil {
		return errAsleep
	}
	if r.Stdin == nil {
		_ = r.stream.closeWrite()
	}
	return nil
}

// woken tells whether the exec is a spare.
func (a attempt) woken() bool { return a.line != "" }

// awake cuts the spare's report that it becomes the command from the beginning of
// stderr, with what its shell may have printed before, and returns what is left: the
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
