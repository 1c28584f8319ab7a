package standby

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// A Want is what a client asks a keeper for: a spare for a command such as its
// own. It is also what a new keeper is told to start with.
type Want struct {
	Engine     string            // address; one keeper serves one engine
	APIVersion string            // of the Engine, agreed on before
	Headers    map[string]string // for each request to the engine

	// Secret is what the keeper has to know to reach Engine as this client does, a key for
	// example; nil: nothing. Only [Spawn] tells it. With another one it is another keeper's.
	Secret []byte `json:"-"`

	Container  string // ID
	Name       string // of the container, for messages
	User       string // as in execproxy.Cmd, the next five too
	Privileged bool
	Dir        string
	TTY        bool
	Program    []string // as execproxy.Program has it of the command
	Env        []string // KEY=VALUE

	Preload, Sources []string // as in execproxy.Cmd
	Watchers         []string // as execproxy.Watchers has them of the command
	Learn            bool     // the spare has what earlier runs of the program have imported
	Taught           string   // the token of a run before the keeper's first, for Learn; empty: none

	Shell bool // only a shell will do, and the next spare is not for this command

	StopSignal syscall.Signal // to end what a killed client has left; 0: SIGTERM
	StopGrace  time.Duration  // as in execproxy.Cmd

	Idle time.Duration // unused for this long, the keeper ends
}

// WantFor is a Want for commands such as c.
func WantFor(c *execproxy.Cmd, engine, apiVersion string, idle time.Duration) Want {
	stop, _ := c.StopSignal.(syscall.Signal)
	return Want{
		Engine: engine, APIVersion: apiVersion,
		Container: c.Container, Name: c.Name, User: c.User, Privileged: c.Privileged, Dir: c.Dir, TTY: c.TTY,
		Program: execproxy.Program(c.Args), Env: c.Env, Preload: c.Preload, Learn: c.Learn != nil, Sources: c.Sources,
		Watchers:   execproxy.Watchers(c.Args[len(execproxy.Program(c.Args)):]),
		StopSignal: stop, StopGrace: c.StopGrace,
		Idle: idle,
	}
}

// cmd is the command that a spare is prepared for, and signalled as.
func (w Want) cmd(engine execproxy.Engine) *execproxy.Cmd {
	c := execproxy.Command(engine, w.Container, slices.Concat(w.Program, w.Watchers)...)
	c.Name, c.User, c.Privileged, c.Dir, c.TTY = w.Name, w.User, w.Privileged, w.Dir, w.TTY
	c.Env, c.Preload, c.Sources = w.Env, w.Preload, w.Sources
	if c.StopGrace = w.StopGrace; w.StopSignal != 0 {
		c.StopSignal = w.StopSignal
	}
	return c
}

// python tells whether the spare may be an interpreter.
func (w Want) python() bool { return w.Learn || len(w.Preload) > 0 }

// lessonKey is the same for two wants to which the same lesson applies.
func (w Want) lessonKey() string {
	env := slices.DeleteFunc(slices.Clone(w.Env), func(v string) bool { return strings.HasPrefix(v, execproxy.ClientVariable+"=") })
	key, _ := json.Marshal([]any{w.Program, w.Watchers, env, w.Dir, w.TTY, w.Sources})
	return string(key)
}

// socket is the name of the keeper's socket: one for each engine and way to it, container
// and user there. Nothing else makes a spare useless for good.
func (w Want) socket() string {
	sum := sha256.New()
	for _, part := range []string{w.Engine, string(w.Secret), w.Container, w.User, strconv.FormatBool(w.Privileged)} {
		part, _ := json.Marshal(part) // so that no two lists read alike
		sum.Write(append(part, '\n'))
	}
	// A path has room for 108 bytes in a socket's address (unix(7)), 104 on macOS.
	return hex.EncodeToString(sum.Sum(nil)[:8]) + socketSuffix
}

const socketSuffix = ".sock"
