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
	"strconv"
	"strings"
	"syscall"
)

// launch starts an exec that is to wait, writes line to its stdin, and returns when
// it says that it is there: its token, on stdout and on stderr, and a line feed.
func (c *Cmd) launch(ctx context.Context, args []string, line string) (*Spare, error) {
	waiting := &Cmd{
		Engine: c.Engine, Container: c.Container, Name: c.Name,
		Args: args,
		Dir:  c.Dir, User: c.User, Privileged: c.Privileged, TTY: c.TTY,
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
	report := ""
	if _, err = io.WriteString(stream, line); err == nil {
		if c.TTY {
			report, err = readyTTY(stream.output, token, line)
		} else {
			report, err = ready(stream.output, token)
		}
	}
	if err == nil {
		s := &Spare{
			Exec: id, Token: token, Conn: stream.Conn,
			Container: c.Container, User: c.User, Privileged: c.Privileged, Dir: c.Dir, TTY: c.TTY,
		}
		if known, ok := strings.CutPrefix(report, isPython); ok {
			s.Python, s.Known = true, known
			count, _, _ := strings.Cut(known, " ")
			s.Modules, _ = strconv.Atoi(count)
		}
		if why, ok := strings.CutPrefix(report, isShell); ok {
			s.Plain = why
		}
		if s.TTY {
			s.beat()
		}
		return s, nil
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

// What follows the token in a report, with more behind it; nothing: it is a plain shell.
const (
	isPython = "=" // what it has to tell of its modules
	isShell  = "~" // why it is no Python

	reportLimit = 256 << 10 // of bytes; preload/verdict.py keeps to less than half
)

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
// order between the two is not kept, and on stderr more about itself, which it returns.
// What follows is for whoever wakes the exec. One that does not wait reports why, which is
// a refusal. One that has ended without a report is an ending.
func ready(output *bufio.Reader, token string) (report string, err error) {
	reported := errors.New("reported")
	var text [frameStderr + 1]strings.Builder
	err = readFrames(output, func(stream int, data []byte) error {
		text[stream].Write(data)
		if text[stream].Len() > reportLimit {
			return reported
		}
		if stream == frameStderr && !bytes.HasSuffix(data, []byte("\n")) {
			return nil
		}
		_, reason, _ := strings.Cut(text[frameStderr].String(), token)
		if strings.HasSuffix(reason, "\n") && (!waits(strings.TrimSpace(reason)) || strings.Contains(text[frameStdout].String(), token)) {
			return reported
		}
		return nil
	})
	printed, _, _ := strings.Cut(text[frameStdout].String(), token)
	before, reason, _ := strings.Cut(text[frameStderr].String(), token)
	before, reason = strings.TrimSpace(printed+"\n"+before), strings.TrimSpace(reason)
	switch {
	case err != nil && err != reported:
		return "", err
	case !waits(reason):
		return "", refusal(reason)
	case err == nil:
		return "", ending(before)
	case before != "":
		return "", prints(before)
	case output.Buffered() > 0:
		return "", refusal("it prints what was not expected")
	}
	return reason, nil
}

// waits tells whether a report is of an exec that waits.
func waits(report string) bool {
	return report == "" || strings.HasPrefix(report, isPython) || strings.HasPrefix(report, isShell)
}

// readyTTY is ready for an exec with a terminal, where all is one stream. The terminal
// may have echoed the line that was written to it.
func readyTTY(output *bufio.Reader, token, line string) (report string, err error) {
	var text strings.Builder
	for buffer := make([]byte, chunkSize); ; {
		n, err := output.Read(buffer)
		text.Write(buffer[:n])
		if text.Len() > reportLimit {
			return "", refusal("it prints what was not expected")
		}
		if err == nil && !bytes.Contains(buffer[:n], []byte("\n")) {
			continue
		}
		before, said, _ := strings.Cut(text.String(), token)
		before = strings.TrimSpace(strings.Replace(before, strings.ReplaceAll(line, "\n", "\r\n"), "", 1))
		report, rest, whole := strings.Cut(said, "\n")
		report, marked := strings.CutPrefix(strings.TrimSpace(report), token)
		switch {
		case whole && (!marked || !waits(report)):
			return "", refusal(report)
		case whole && before != "":
			return "", prints(before)
		case whole && rest != "":
			return "", refusal("it prints what was not expected")
		case whole:
			return report, nil
		case err == io.EOF:
			return "", ending(before)
		case err != nil:
			return "", err
		}
	}
}
