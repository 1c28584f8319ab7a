package compose

import "time"

// A Config is the x-toxrun block of a service. Everything in it is optional;
// a zero value leaves the choice to the caller.
//
// Where a block comes from several files, Compose has merged it by its rules
// for keys it doesn't know: mappings key by key, lists one after the other.
// "command: !override [tox, -p]" replaces a list.
type Config struct {
	Command      []string      `json:"command,omitempty"`     // a string is split as Compose splits its own commands
	User         string        `json:"user,omitempty"`        // as of docker exec, or "self"
	Workdir      string        `json:"workdir,omitempty"`     // in the container
	Environment  []string      `json:"environment,omitempty"` // KEY=VALUE, or KEY alone for the caller's value; sorted where it was a mapping
	Shell        string        `json:"shell,omitempty"`
	ShellHistory bool          `json:"shell_history,omitempty"` // is kept on this machine
	StopGrace    time.Duration `json:"stop_grace,omitempty"`
	Standby      time.Duration `json:"standby,omitempty"`
	Preload      []string      `json:"preload,omitzero"` // nil: what runs teach; empty: nothing
	Watch        WatchConfig   `json:"watch,omitzero"`
	Shim         ShimConfig    `json:"shim,omitzero"`

	Commands map[string]Command `json:"commands,omitempty"` // by name

	// Nodes are the docker contexts, or the addresses, of the Engines of a Swarm's nodes,
	// by the node's name, ID or address.
	Nodes map[string]string `json:"nodes,omitempty"`
}

// A Command is a command that has a name.
type Command struct {
	Command     []string `json:"command"`               // as Config's; one word at least
	Description string   `json:"description,omitempty"` // a line for people
	Service     string   `json:"service,omitempty"`     // where it runs; "" is the service that names it
	TTY         bool     `json:"tty,omitempty"`         // it takes the terminal, where there is one
	Env         []string `json:"env,omitempty"`         // as Config.Environment, over it
}

// A ShimConfig is about programs of this machine that run in the container.
type ShimConfig struct {
	Environment []string `json:"environment,omitempty"` // names of the caller's variables, with * and ?, that the command gets
}

// A WatchConfig says what a watch looks at, and what it does about it.
type WatchConfig struct {
	Paths    []string      `json:"paths,omitempty"` // absolute; written relative to the project directory
	Ignore   []string      `json:"ignore,omitempty"`
	Debounce time.Duration `json:"debounce,omitempty"`
	OnBusy   OnBusy        `json:"on_busy,omitempty"`
}

// OnBusy is what a change does while a run is going on.
type OnBusy string

// The choices of on_busy. The empty string is none of them: the default is
// the caller's.
const (
	Restart OnBusy = "restart"
	Queue   OnBusy = "queue"
	Ignore  OnBusy = "ignore"
)
