package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
)

// A watchReport tells what a watch does: a status line each on stderr or, with
// --format json, an object a line on stdout.
type watchReport struct {
	to   messages
	json io.Writer // nil: lines
	dir  string    // the user's, for shorter paths

	clear, notify, color bool
	screen               io.Writer // of clear and notify: stderr

	engine, container string // that it tells of, where there are several; or empty
}

// about is the report that tells of one lane of several.
func (r *watchReport) about(l lane) *watchReport {
	own := *r
	own.to, own.container = l.to, l.target.ContainerName
	if l.target.engine.others {
		own.engine = l.target.engine.name
	}
	return &own
}

// A watchEvent is one object of --format json. Which fields there are depends on
// the event.
type watchEvent struct {
	Event        string   `json:"event"` // started, changed, run-started, run-ended, waiting, notice
	Time         string   `json:"time"`  // RFC 3339, with milliseconds
	Paths        []string `json:"paths,omitempty"`
	Count        int      `json:"count,omitempty"` // of all that changed, where paths are not all
	Mode         string   `json:"mode,omitempty"`  // how changes are seen
	Command      []string `json:"command,omitempty"`
	Engine       string   `json:"engine,omitempty"` // its name, where there are several
	Container    string   `json:"container,omitempty"`
	Status       *int     `json:"status,omitempty"` // exit status, as of toxrun
	Milliseconds *int64   `json:"milliseconds,omitempty"`
	Text         string   `json:"text,omitempty"`
}

// emit writes e, or the line that says it.
func (r *watchReport) emit(e watchEvent, line string) {
	if r.json == nil {
		if line != "" {
			r.to.say(line)
		}
		return
	}
	e.Engine = cmp.Or(e.Engine, r.engine)
	e.Container = cmp.Or(e.Container, r.container)
	e.Time = time.Now().Format("2006-01-02T15:04:05.000Z07:00")
	to := newJSON(r.json) // which makes one Write of it
	to.SetEscapeHTML(false)
	_ = to.Encode(e)
}

func (r *watchReport) started(roots []string, mode string) {
	r.emit(watchEvent{Event: "started", Paths: roots, Mode: mode},
		fmt.Sprintf("watching %s (%s)", r.list(roots, len(roots)), mode))
}

// keys tells that there are some. Which, they tell themselves.
func (r *watchReport) keys() {
	if r.json == nil {
		r.to.say("press ? for the keys")
	}
}

func (r *watchReport) changed(paths []string, count int) {
	r.emit(watchEvent{Event: "changed", Paths: paths, Count: count}, "")
}

// clears makes place for the output of a run, where that is wanted.
func (r *watchReport) clears() {
	if r.clear && r.json == nil {
		_, _ = io.WriteString(r.screen, "\x1b[H\x1b[2J\x1b[3J")
	}
}

// running says what runs and why: for paths that changed, or none. where is empty for one
// container.
func (r *watchReport) running(paths []string, count int, command []string, where string) {
	if r.json != nil {
		return
	}
	line := "running " + compose.CommandLine(command) + where
	if count > 0 {
		line = r.list(paths, count) + " changed: " + line
	}
	r.to.say(line)
}

func (r *watchReport) runStarted(command []string, container string) {
	r.emit(watchEvent{Event: "run-started", Command: command, Container: container}, "")
}

// runEnded tells of the end of a run in a container; that is empty where it has not come
// to run in one.
func (r *watchReport) runEnded(container string, status int, took time.Duration) {
	milliseconds := took.Milliseconds()
	r.emit(watchEvent{Event: "run-ended", Container: container, Status: &status, Milliseconds: &milliseconds}, "")
	if r.json == nil {
		r.to.ended(status, took, r.color)
	}
}

// notified tells the terminal of the end of a run.
func (r *watchReport) notified(status int) {
	if r.notify {
		fmt.Fprintf(r.screen, "\x1b]9;toxrun: %s\x07\a", verdict(status))
	}
}

// canceled tells of a run that was ended to make place for the next, or by key.
func (r *watchReport) canceled(took time.Duration, in ...*watchLane) {
	if r.json == nil {
		r.to.say("canceled, " + brief(took))
		return
	}
	milliseconds := took.Milliseconds()
	for _, l := range in {
		r.emit(watchEvent{Event: "run-ended", Engine: l.report.engine, Container: l.on.target.ContainerName, Text: "canceled", Milliseconds: &milliseconds}, "")
	}
}

func (r *watchReport) waiting(why string) {
	r.emit(watchEvent{Event: "waiting", Text: why}, "waiting: "+why)
}

func (r *watchReport) notice(text, hint string) {
	r.emit(watchEvent{Event: "notice", Text: text}, text)
	if hint != "" && r.json == nil && !r.to.quiet {
		r.to.hint(hint)
	}
}

// list names a few paths as the user would.
func (r *watchReport) list(paths []string, count int) string {
	const few = 3
	var names []string
	for _, path := range paths[:min(few, len(paths))] {
		if short, err := filepath.Rel(r.dir, path); err == nil && filepath.IsLocal(short) {
			path = short
		}
		names = append(names, printable(path))
	}
	line := strings.Join(names, ", ")
	if more := count - len(names); more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	return line
}

// printable is a path that can do nothing to a terminal.
func printable(path string) string {
	quoted := fmt.Sprintf("%q", path)
	if quoted[1:len(quoted)-1] == path {
		return path
	}
	return quoted
}

// brief is a duration as a person says it.
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
