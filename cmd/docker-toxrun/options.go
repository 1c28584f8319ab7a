package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/cli/cli/flags"
	"github.com/moby/sys/signal"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/compose/loadexec"
)

// options is the command line, with TOXRUN_* variables for what it leaves out.
type options struct {
	docker *flags.ClientOptions

	load             loader // of Compose files
	files            []string
	projectName      string
	projectDirectory string
	profiles         []string
	service          string
	index            int
	container        string
	every            bool // replica of the service
	split            splitOptions
	noCache          bool
	up               bool          // start the service first
	upTurn           sync.Mutex    // of several engines
	wait             time.Duration // for it to be ready; 0: not at all

	env, envFiles []string
	envFrom       envReader // of envFiles
	user, workdir string
	privileged    bool
	tty, noTTY    bool
	noStdin       bool
	noPrefix      bool
	interactive   bool // as docker exec has it; it changes nothing
	detach        bool // exec starts the command and leaves it running
	timeout       time.Duration
	stopSignal    string
	stop          os.Signal // stopSignal, or nil
	stopGrace     time.Duration
	standby       time.Duration
	noStandby     bool
	parallel      int           // how many may take turns at a time; 0: any number
	waitLock      time.Duration // below 0: as long as it takes
	cancelOrphans bool
	mapPaths      string // in, out, in,out, none; "": as it is best
	carry         bool   // files that the command names, where no mount has them
	shim          *shim  // that was called; nil: none

	quiet, verbose bool
	warned         sync.Map // with what, a line each

	dockerFlags, targetFlags, runFlags *pflag.FlagSet
	all                                *pflag.FlagSet // what was parsed
	typed                              []string       // the command line that is to be completed; nil: none is
}

func newOptions() *options {
	o := &options{docker: flags.NewClientOptions(), load: loader(loadexec.Program{}.Model).together()}

	o.targetFlags = pflag.NewFlagSet("target", pflag.ContinueOnError)
	t := o.targetFlags
	t.StringArrayVarP(&o.files, "file", "f", nil, "Compose `file`, repeatable")
	t.StringVarP(&o.projectName, "project-name", "p", "", "Compose project `name`")
	t.StringVar(&o.projectDirectory, "project-directory", "", "Compose project's `directory`")
	t.StringArrayVar(&o.profiles, "profile", nil, "Compose `profile` to enable, repeatable")
	t.StringVarP(&o.service, "service", "s", "", "`service` to run in, or several as a,b; else the one with x-toxrun, else the only one")
	t.IntVar(&o.index, "index", 0, "`number` of the service's container, where there are several")
	t.BoolVar(&o.every, "all", false, "run in all running containers of the service at once")
	t.StringVar(&o.container, "container", "", "run in this container (`name` or ID), with no Compose file")
	t.BoolVar(&o.up, "up", false, "start the service first, as docker compose up -d does")
	t.DurationVar(&o.wait, "wait", 0, "wait so long for the service to run and to be healthy")
	t.BoolVar(&o.noCache, "no-cache", false, "look the container up again")

	o.runFlags = pflag.NewFlagSet("run", pflag.ContinueOnError)
	r := o.runFlags
	r.StringArrayVar(&o.env, "env", nil, "set `KEY[=VALUE]`; KEY alone takes the value it has here")
	r.StringArrayVar(&o.envFiles, "env-file", nil, "read variables from a `file`")
	r.StringVarP(&o.user, "user", "u", "", "`user` as name|uid[:group|gid], or self for your own uid:gid")
	r.StringVarP(&o.workdir, "workdir", "w", "", "`directory` in the container; else the one mounted from here")
	r.BoolVar(&o.privileged, "privileged", false, "give the command all capabilities")
	r.BoolVarP(&o.tty, "tty", "t", false, "give the command a terminal")
	r.BoolVarP(&o.noTTY, "no-tty", "T", false, "give it none, so that stdout and stderr stay apart")
	r.BoolVarP(&o.noStdin, "no-stdin", "n", false, "leave stdin alone")
	r.BoolVar(&o.noPrefix, "no-prefix", false, "of several containers' lines, don't say whose they are")
	o.split.add(r)
	r.DurationVar(&o.timeout, "timeout", 0, "end the command after this `time`, with status 124")
	r.StringVar(&o.stopSignal, "stop-signal", "", "`signal` that asks the command to end (default: the one received)")
	r.DurationVar(&o.stopGrace, "stop-grace", 0, "`time` it then has before it is killed (default 10s)")
	r.DurationVar(&o.standby, "standby", 0, "keep an exec waiting for the next run, until none has come for this `time`")
	r.BoolVar(&o.noStandby, "no-standby", false, "use and leave none; watch too has one waiting otherwise")
	r.IntVar(&o.parallel, "parallel", 1, "don't wait for others that run in the container, but from `N` on")
	r.Lookup("parallel").NoOptDefVal = "0"
	r.Lookup("parallel").DefValue = "0" // which --help does not show
	r.DurationVar(&o.waitLock, "wait-lock", -1, "wait so long for them (default: to their end; 0 fails at once)")
	r.Lookup("wait-lock").DefValue = "0s"
	r.BoolVar(&o.cancelOrphans, "cancel-orphans", false, "end what a killed toxrun has left running, instead of waiting for it")
	r.StringVar(&o.mapPaths, "map-paths", "", "`in,out` or one of them: of this machine in the command's words, in its output; or none")
	r.BoolVar(&o.carry, "carry", false, "take files along that the command names and no mount has, and bring back what it writes")
	r.BoolVarP(&o.quiet, "quiet", "q", false, "say nothing but errors")
	r.BoolVarP(&o.verbose, "verbose", "v", false, "say what is done")

	o.dockerFlags = pflag.NewFlagSet("docker", pflag.ContinueOnError)
	o.docker.InstallFlags(o.dockerFlags)
	o.addEngines()
	return o
}

// addEngines has docker's options name several engines.
func (o *options) addEngines() {
	several := pflag.NewFlagSet("engines", pflag.ContinueOnError)
	several.StringArrayVar(&o.docker.Hosts, "host", nil, "")
	host := o.dockerFlags.Lookup("host")
	host.Value, host.DefValue = several.Lookup("host").Value, several.Lookup("host").DefValue
	host.Usage = "Daemon `socket` to connect to, repeatable as --context's names"
	o.dockerFlags.Lookup("context").Usage += "; several as a,b for --all, --split, ps, cancel and ping"
}

// addExecHabits gives cmd the short forms that fingers know from docker exec. They
// are no options of `toxrun --`, where -e is most often tox's.
func (o *options) addExecHabits(cmd *cobra.Command) {
	env := o.runFlags.Lookup("env")
	cmd.Flags().VarP(env.Value, env.Name, "e", env.Usage)
	cmd.Flags().BoolVarP(&o.interactive, "interactive", "i", false, "taken and not needed: stdin is always passed on")
}

// composeOwn are the target options that have a variable of Compose's own, which
// compose reads.
var composeOwn = map[string]bool{"file": true, "project-name": true, "project-directory": true, "profile": true}

// instead are the options that leave no room for another one's variable.
var instead = map[string][]string{
	"tty":        {"no-tty"},
	"no-tty":     {"tty"},
	"timeout":    {"detach"},
	"standby":    {"no-standby"},
	"no-standby": {"standby"},
	"container":  {"service", "index", "all"},
	"service":    {"container"},
	"index":      {"container", "all"},
	"all":        {"container", "index"},
}

// complete fills in from TOXRUN_* variables what the command line has left out,
// and checks what can be checked without an Engine.
func (o *options) complete() error {
	var errs []error
	fill := func(f *pflag.Flag) {
		if o.all.Changed(f.Name) || composeOwn[f.Name] || slices.ContainsFunc(instead[f.Name], o.all.Changed) {
			return
		}
		variable := "TOXRUN_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, set := os.LookupEnv(variable)
		if !set || value == "" {
			return
		}
		if err := f.Value.Set(value); err != nil {
			errs = append(errs, usage(fmt.Sprintf("%s=%s: %v", variable, value, err), ""))
		}
	}
	o.targetFlags.VisitAll(fill)
	o.runFlags.VisitAll(fill)
	o.docker.SetDefaultOptions(o.all)
	if o.stopSignal != "" {
		sig, err := signal.ParseSignal(o.stopSignal)
		if err != nil || !signal.ValidSignalForPlatform(sig) {
			errs = append(errs, usage(fmt.Sprintf("--stop-signal %s: no such signal", o.stopSignal), ""))
		}
		o.stop = sig
	}
	if err := o.split.check(); err != nil {
		errs = append(errs, err)
	}
	if name := o.empty(); name != "" {
		errs = append(errs, usage(fmt.Sprintf("--%s is empty", name), "leave it out, or give it a value"))
	}
	switch {
	case len(errs) > 0:
		return errs[0]
	case !slices.Contains([]string{"", "in", "out", "in,out", "none"}, o.mapPaths):
		return usage(fmt.Sprintf("--map-paths %s: it is in, out, in,out or none", o.mapPaths), "")
	case o.carry && (o.several() || o.detach):
		return usage("--carry is for one command whose end is waited for: --all, --split, several services and --detach don't go with it", "")
	case o.interactive && o.noStdin:
		return usage("--interactive and --no-stdin exclude each other", "")
	case o.tty && o.noTTY:
		return usage("--tty and --no-tty exclude each other", "")
	case o.detach && o.timeout > 0:
		return usage("--detach and --timeout exclude each other: nobody is there to end the command", "")
	case o.index < 0:
		return usage(fmt.Sprintf("--index %d: containers are numbered from 1", o.index), "")
	case o.wait < 0:
		return usage("--wait takes a time such as 30s", "")
	case o.parallel < 0:
		return usage("--parallel takes a number from 1 on, or none", "")
	case o.all.Changed("wait-lock") && o.waitLock < 0:
		return usage("--wait-lock takes a time such as 30s", "")
	case o.standby < 0:
		return usage("--standby takes a time such as 10m", "")
	case o.standby > 0 && o.noStandby:
		return usage("--standby and --no-standby exclude each other", "")
	case o.timeout < 0 || o.stopGrace < 0:
		return usage("--timeout and --stop-grace take a time such as 30s", "")
	case o.all.Changed("container") && (o.all.Changed("service") || o.all.Changed("index") || o.all.Changed("all")):
		return usage("--container names one container: --service, --index and --all don't go with it", "")
	case o.several() && slices.Contains(strings.Split(o.service, ","), "") && o.service != "":
		return usage(fmt.Sprintf("--service %s: a name is missing", o.service), "")
	case o.split.split && (o.index > 0 || o.container != "" || o.detach):
		return usage("--split deals over all replicas: --index, --container and --detach don't go with it", "")
	case o.every && o.index > 0:
		return usage("--all and --index exclude each other", "")
	case o.several() && o.tty:
		return usage("-t gives the command a terminal, which several can't share", oneContainer)
	}
	return nil
}

// empty is the name of an option that was given without a value, or "". Most often
// that is a script's variable that is not set: what then runs would run elsewhere
// than was meant.
func (o *options) empty() string {
	var name string
	o.all.Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if o.dockerFlags.Lookup(f.Name) == nil && slices.Contains(values, "") {
			name = f.Name
		}
	})
	return name
}

// given are the options that were given and are wanted, --name=value each, so that they
// mean the same in another directory, but for Compose's.
func (o *options) given(wanted func(*pflag.Flag) bool) (args []string) {
	o.all.Visit(func(f *pflag.Flag) {
		switch values, isList := f.Value.(pflag.SliceValue); {
		case !wanted(f):
		case isList:
			for _, value := range values.GetSlice() {
				if f.Name == "env-file" {
					value, _ = filepath.Abs(value)
				}
				args = append(args, "--"+f.Name+"="+value)
			}
		default:
			args = append(args, fmt.Sprintf("--%s=%s", f.Name, f.Value))
		}
	})
	return args
}

// once has a line said that was not said before.
func (o *options) once(say func(string), line string) {
	if _, told := o.warned.LoadOrStore(line, true); !told {
		say(line)
	}
}

// several tells whether the command may run in more than one container.
func (o *options) several() bool { return o.every || o.split.split || strings.Contains(o.service, ",") }

// oneOnly is the error of a command that is for one container.
func (o *options) oneOnly(cmd *cobra.Command) error {
	if !o.several() {
		return nil
	}
	service, _, _ := strings.Cut(o.service, ",")
	hint := cmd.CommandPath()
	if service != "" {
		hint += " -s " + compose.CommandLine([]string{service})
	}
	return usage(cmd.Name()+" is for one container: --all, --split and several services don't go with it", hint+" --index 1")
}

// noRun is the error of a command that runs nothing, for options that are about a run.
func (o *options) noRun(cmd *cobra.Command) error {
	if !o.up && o.wait == 0 {
		return nil
	}
	return usage("--up and --wait are for what runs a command, which "+cmd.Name()+" does not", cmd.Root().CommandPath()+" exec --up --wait 1m true")
}

// query is the part of the options that says which container is wanted.
func (o *options) query(engine string) (compose.Query, error) {
	var dir string
	if o.shim != nil {
		dir = o.shim.from
	} else {
		var err error
		if dir, err = os.Getwd(); err != nil && o.container == "" {
			return compose.Query{}, errors.New("the current directory is gone: " + err.Error())
		}
	}
	return compose.Query{
		Engine:           engine,
		Dir:              dir,
		Files:            o.files,
		ProjectName:      o.projectName,
		ProjectDirectory: o.projectDirectory,
		Profiles:         o.profiles,
		Service:          o.service,
		Index:            o.index,
		Container:        o.container,
	}, nil
}
