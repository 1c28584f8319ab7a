package execproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/containerd/errdefs"
)

// A Cmd is one command in a running container. Set its fields, then call Run
// or Start, once.
type Cmd struct {
	Engine    Engine
	Container string   // ID, or name
	Name      string   // of the container, for messages; empty: Container
	Args      []string // program and arguments; no shell is involved

	Env        []string // KEY=VALUE, over the container's own; the last of a key wins
	Dir        string   // absolute; empty: the container's own
	User       string   // name|uid[:group|gid]; empty: the container's own
	Privileged bool     // all capabilities, as docker exec --privileged

	// Stdin is read to its end, or until the command has ended; nil, and without
	// TTY /dev/null, gives the command the Engine's /dev/null. A Read that is
	// under way at the end is not waited for, since a terminal's can't be
	// interrupted: what it returns later is lost.
	Stdin io.Reader

	// Stdout and Stderr get the output as it comes; nil discards. Where both are
	// the same writer, it is written by one goroutine at a time and in the order
	// of the output. With TTY there is one stream, on Stdout.
	//
	// A slow receiver holds the command back and loses nothing. One that fails
	// ends the command, with SIGPIPE first. It may be written to after Run has
	// returned only if a signal has ended the run meanwhile.
	Stdout, Stderr io.Writer

	// Spare is used in place of a new exec where it can become the command; nil,
	// or one that can't, starts a new one. Run closes it in any case.
	Spare *Spare

	// Token is what the command carries in its environment, should it be started
	// anew: letters and digits that nobody can guess. Whoever knows it can Reap.
	// Empty: a new one.
	Token string

	// Preload are Python modules that Prepare's spare imports before it waits, where
	// Args begins with a Python script, or with a Python and a file or module. With
	// Learn it imports what earlier runs have imported from the standard library and
	// what is installed; both nil prepare a shell. Sources are absolute directories in
	// the container with code that is being worked on: a module from there, unless it
	// is below a site-packages, is not imported beforehand.
	Preload []string
	Learn   *Lesson
	Sources []string

	// TTY gives the command a terminal of Size, which follows Resize. A nil
	// Resize never changes it.
	TTY    bool
	Size   Size
	Resize <-chan Size

	// Signals are passed on to the command's whole group, and to all that
	// carries its token. Of SIGHUP, SIGINT, SIGQUIT and SIGTERM the first starts
	// StopGrace, and a second of the same kind kills. A nil channel passes on
	// none.
	Signals <-chan os.Signal

	// StopSignal is sent in place of the signals that end a run, and when ctx is
	// done; nil passes on what came, SIGTERM for ctx.
	StopSignal os.Signal

	// StopGrace is how long a command may take to end after the first signal; then
	// it is killed. 0 means 10 seconds, as docker stop has it.
	StopGrace time.Duration

	// Suspend stops this process after SIGTSTP has stopped the command, and
	// returns when it goes on. Nil passes no SIGTSTP on.
	Suspend func()

	// Notice is told what a person who waits should know, one line each and at
	// most a few in a run: the container was paused, say. Nil discards.
	Notice func(line string)

	detached bool // Start is at work
	quiet    bool // it is about another run, which does the looking
}

const (
	// tokenVariable is in the environment of each command, with 26 random
	// characters. By it a run's processes are found again.
	tokenVariable = "TOXRUN_RUN"

	defaultGrace = 10 * time.Second
)

// Command returns a Cmd for args in a container, with no streams.
func Command(engine Engine, container string, args ...string) *Cmd {
	return &Cmd{Engine: engine, Container: container, Args: args}
}

// Run starts the command, passes its streams and signals through, waits for its
// end and returns nil for exit status 0. When ctx is done the command is ended
// as by a signal.
//
// Its errors are [ExitError], and where there is no exit status [StartError],
// [GoneError], [SignalError], [InputError], [OutputError], [LostError], or the error of a
// request to the Engine. When ctx was done before the command's end, the error
// also wraps ctx's cause. A Run that returns nil or an ExitError has written all
// of the output, but where Notice was told otherwise: the command had ended, and for
// 7 seconds the Engine neither sent any more of its output nor ended it.
func (c *Cmd) Run(ctx context.Context) error {
	if c.Spare != nil {
		defer c.Spare.Close()
	}
	if err := c.prepare(); err != nil {
		return err
	}
	select {
	case sig := <-c.Signals:
		if !Suspends(sig) {
			return &SignalError{Signal: sig}
		}
		if c.Suspend != nil {
			c.Suspend()
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
	}
	if c.Spare != nil {
		if line, ok := c.Spare.wakes(c); ok {
			if err := c.run(ctx, attempt{args: c.Args, line: line}); err != errAsleep {
				c.Spare.Woken = true
				return err
			}
		}
		c.Spare.Close() // else it would wait on, among the processes of the run
	}
	if args, ok := c.sized(); ok {
		err := c.run(ctx, attempt{args: args, behindShell: true})
		if start, ok := errors.AsType[*StartError](err); !ok || start.Program != args[0] {
			return err
		}
	}
	return c.run(ctx, attempt{args: c.Args})
}

// An attempt is one way to start the command. Where it fails before the command
// has begun, there is another one.
type attempt struct {
	args        []string
	behindShell bool   // args are a shell's that becomes the command
	line        string // wakes the spare; else empty
}

func (c *Cmd) prepare() error {
	switch {
	case c.Engine == nil:
		return errors.New("no engine")
	case len(c.Args) == 0 || c.Args[0] == "":
		return errors.New("no command")
	}
	for _, text := range slices.Concat(c.Args, c.Env) {
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			return fmt.Errorf("%q: neither arguments nor variables may hold other bytes than UTF-8, for the engine's API", text)
		}
	}
	if c.Name == "" {
		c.Name = short(c.Container)
	}
	if c.StopGrace == 0 {
		c.StopGrace = defaultGrace
	}
	if !c.TTY && isNull(c.Stdin) {
		c.Stdin = nil
	}
	if c.Stdout == nil {
		c.Stdout = io.Discard
	}
	if c.Stderr == nil {
		c.Stderr = io.Discard
	}
	return nil
}

func (c *Cmd) notice(line string) {
	if c.Notice != nil {
		c.Notice(line)
	}
}

// notCreated makes sense of what exec create says of a container that can't take
// an exec, or of a user that is not there: Engines from API 1.50 on tell that here.
func (c *Cmd) notCreated(ctx context.Context, err error) error {
	switch {
	case errdefs.IsNotFound(err), errdefs.IsConflict(err):
		now, _, _ := c.condition(ctx, "")
		return &GoneError{Container: c.Name, Paused: now == paused, Err: err}
	case isUnknownUser(err.Error()):
		return c.refused(c.Args[0], err.Error())
	}
	return err
}
