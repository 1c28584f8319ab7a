package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/atomicwriter"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
)

// An inside is a container that is asked what somebody may go on typing. What goes wrong
// is nobody's concern: then there is no answer.
type inside struct {
	o      *options
	engine engine
	target *compose.Target
}

// A question is a command whose output is a list.
type question struct {
	args []string
	read func(output string) []string
	wait time.Duration // for an answer
	keep time.Duration // for which it is believed
}

const (
	// A start takes the Engine 50 to 70 ms, tox 0.4 s (measured), and both take more on a busy
	// machine. What has not answered in time gets endTime to end.
	askTime    = time.Second
	askToxTime = 3 * time.Second
	endTime    = 500 * time.Millisecond

	// What is on a PATH seldom changes; files and tox.ini are being worked on.
	commandsTime     = time.Minute
	filesTime        = 5 * time.Second
	environmentsTime = 10 * time.Second

	// answerLimit is the longest output that is an answer, far above what a person would
	// look through: /usr/bin of a large image makes 30 kB.
	answerLimit = 1 << 20
)

// inside finds the container that the options mean, as a run does.
func (o *options) inside(ctx context.Context) (*inside, error) {
	engine, err := o.firstEngine()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	target, err := o.find(ctx, engine, stdio{}) // quiet
	return &inside{o, engine, target}, err
}

// tellScript has a list go out in a few large writes, each item with its kind before and a
// slash behind, which no name has in it.
const tellScript = `l=
tell() {
	l=$l$1${2##*/}/
	[ ${#l} -lt 4000 ] || { printf %s "$l"; l=; }
}
`

// programsScript lists what can be called by its name.
const programsScript = tellScript + `set -f
IFS=:
set -- $PATH
set +f
for d; do
	for f in "${d:-.}"/*; do
		[ -f "$f" ] && [ -x "$f" ] && tell x "$f"
	done
done
printf %s "$l"`

// listScript lists what is in a directory, the empty one or with a slash at its end.
const listScript = tellScript + `for f in "$1"* "$1".[!.]* "$1"..?*; do
	if [ -d "$f" ]; then
		tell d "$f"
	elif [ -f "$f" ] && [ -x "$f" ]; then
		tell x "$f"
	elif [ -e "$f" ] || [ -h "$f" ]; then
		tell f "$f"
	fi
done
printf %s "$l"`

// readFiles makes items of what the scripts tell.
func readFiles(output string) []string {
	var list []string
	for item := range strings.SplitSeq(output, "/") {
		if len(item) > 1 && fit(item[1:]) {
			list = append(list, item)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// programs are the names of what is on the PATH.
func (in *inside) programs(ctx context.Context) []string {
	var names []string
	for _, item := range in.ask(ctx, question{[]string{"sh", "-c", programsScript}, readFiles, askTime, commandsTime}) {
		names = append(names, item[1:])
	}
	return names
}

// files are what is in a directory, each with its kind before its name.
func (in *inside) files(ctx context.Context, dir string) []string {
	return in.ask(ctx, question{[]string{"sh", "-c", listScript, "sh", dir}, readFiles, askTime, filesTime})
}

// environments are all that a tox knows of.
func (in *inside) environments(ctx context.Context, tox []string) []string {
	return in.ask(ctx, question{append(tox, "-a"), readEnvironments, askToxTime, environmentsTime})
}

// ask returns the answer to q, or nil.
func (in *inside) ask(ctx context.Context, q question) []string {
	list, err := in.answer(ctx, q)
	if in.target.Cached && outdated(err) {
		target, problem := in.o.refind(ctx, in.engine, stdio{})
		if problem != nil {
			return nil
		}
		in.target = target
		list, err = in.answer(ctx, q)
	}
	if err != nil {
		return nil
	}
	return list
}

// answer returns what was answered lately, or else asks by a run.
func (in *inside) answer(ctx context.Context, q question) ([]string, error) {
	connected, err := in.engine.connect(in.target.APIVersion)
	if err != nil {
		return nil, err
	}
	defer connected.Close()
	c, err := in.o.command(connected, in.target, &terminal{}, command{args: func(compose.Config) []string { return q.args }})
	if err != nil {
		return nil, err
	}
	answers, key := openAnswers(), keyOf(in.engine.host, c)
	if list, ok := answers.lately(key, q.keep); ok {
		return list, nil
	}
	var out answerWriter
	c.Stdout, c.Stderr = &out, nil
	c.StopSignal, c.StopGrace = nil, endTime/5
	// Python that has imported for the next run is not for anything else, and whoever only
	// types leaves no keeper behind.
	c.Preload, c.Learn = nil, nil
	keeper := in.o.keeper(in.engine, in.target, c, true)
	keeper.take(c)
	keeper.spawn = false
	limit, cancel := context.WithTimeout(ctx, q.wait+endTime)
	defer cancel()
	_, err = untilDone(limit, func() (any, error) {
		ctx, cancel := context.WithTimeout(limit, q.wait)
		defer cancel()
		err := c.Run(ctx)
		keeper.done(err)
		return nil, err
	})
	if err != nil {
		return nil, err
	}
	list := q.read(out.String())
	answers.keep(key, list)
	return list, nil
}

// An answerWriter takes up to answerLimit bytes.
type answerWriter struct{ strings.Builder }

func (w *answerWriter) Write(p []byte) (int, error) {
	if w.Len()+len(p) > answerLimit {
		return 0, errors.New("too long for an answer")
	}
	return w.Builder.Write(p)
}

// answers are those of the last minute, by their keys, in a file that is written anew with
// each: of two at the same time one is lost, and asked for again.
type answers struct {
	file string // empty: nowhere
	list map[string]answer
}

type answer struct {
	At   time.Time `json:"at"`
	List []string  `json:"list"`
}

// openAnswers reads them. A damaged file is as none.
func openAnswers() answers {
	var a answers
	dir, err := cacheDir()
	if err != nil {
		return a
	}
	a.file = filepath.Join(dir, "answers.json") // which Finder removes when it is a month old
	if file, err := os.Open(a.file); err == nil {
		defer file.Close()
		_ = json.NewDecoder(io.LimitReader(file, 4*answerLimit)).Decode(&a.list)
	}
	return a
}

// keyOf is the same for two commands that would say the same.
func keyOf(host string, c *execproxy.Cmd) string {
	env := slices.DeleteFunc(slices.Clone(c.Env), func(v string) bool { return strings.HasPrefix(v, execproxy.ClientVariable+"=") })
	text, _ := json.Marshal([]any{host, c.Container, c.User, c.Privileged, cmp.Or(c.Dir, "."), env, c.Args})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// lately returns an answer that is not older than keep.
func (a answers) lately(key string, keep time.Duration) ([]string, bool) {
	last, ok := a.list[key]
	return last.List, ok && last.recent(keep)
}

// recent is also false where the clock has been put back.
func (a answer) recent(keep time.Duration) bool {
	age := time.Since(a.At)
	return 0 <= age && age < keep
}

// keep adds an answer, and forgets those that nobody believes any more.
func (a answers) keep(key string, list []string) {
	if a.file == "" || os.MkdirAll(filepath.Dir(a.file), 0o700) != nil {
		return
	}
	kept := map[string]answer{key: {time.Now(), list}}
	for other, last := range a.list {
		if other != key && last.recent(commandsTime) {
			kept[other] = last
		}
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return
	}
	_ = atomicwriter.WriteFile(a.file, text, 0o600)
}
