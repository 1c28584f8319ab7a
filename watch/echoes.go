package watch

import (
	"path/filepath"
	"slices"
	"time"
)

// Echoes find the files that runs themselves write, so that no run begins because
// of the one before. That a file changes while a run is going on shows nothing: it
// is what people do, and a script that saves once a run has begun does it at the
// same moment each time. So only runs that ended by themselves count as evidence,
// and a muted file is one again when it changes while nothing is running.
type echoes struct {
	trails map[string]*trail
	noted  map[string]time.Duration // in the run that is going on: when, from its begin
	runs   int                      // that have ended by themselves
	named  map[string]Kind
}

// A trail is what is known of a path, or of what comes and goes in a directory, the
// name of which then ends in a slash.
type trail struct {
	run    int           // the last that it changed in
	offset time.Duration // when, from its begin
	ended  int           // runs in a row that it changed in
	steady int           // of those, in a row at about the same moment
	muted  bool
}

// How many runs in a row a file changes in until it is muted. At the same moment of
// each, a person saves it by chance, less likely so early in a run; at any moment, in
// 12 runs that follow each other, hardly anybody does.
const (
	enoughEarly  = 3
	enoughSteady = 5
	enoughEnded  = 12
	early        = 2 * time.Second
)

// note takes in changes of the run that is going on.
func (e *echoes) note(b Batch, offset time.Duration) {
	if e.noted == nil {
		e.noted = make(map[string]time.Duration)
	}
	e.collect(e.noted, b, offset)
}

// collect adds the paths of a batch to noted. A new name each time is one for the
// directory that it is in.
func (e *echoes) collect(noted map[string]time.Duration, b Batch, offset time.Duration) {
	for _, c := range b.Changes {
		names := []string{c.Path}
		if c.Op.named() && e.trails[c.Path] == nil {
			names = append(names, inDir(c.Path))
		}
		for _, name := range names {
			if _, ok := noted[name]; !ok {
				noted[name] = offset
			}
		}
	}
}

// inDir is the name under which files in path's directory come and go.
func inDir(path string) string {
	return filepath.Dir(path) + string(filepath.Separator)
}

// ended takes in that the run has ended, by itself or not, and returns the paths that
// are muted from now on.
func (e *echoes) ended(byItself bool) []string {
	noted := e.noted
	e.noted = nil
	if !byItself {
		return nil
	}
	e.runs++
	return e.weigh(noted)
}

// late takes in changes of the run that has ended last.
func (e *echoes) late(b Batch, offset time.Duration, byItself bool) []string {
	if !byItself {
		return nil
	}
	noted := make(map[string]time.Duration)
	e.collect(noted, b, offset)
	return e.weigh(noted)
}

// weigh adds what was noted in the last run that ended by itself to the evidence.
func (e *echoes) weigh(noted map[string]time.Duration) (muted []string) {
	if e.trails == nil {
		e.trails = make(map[string]*trail)
	}
	if e.named == nil {
		e.named = make(map[string]Kind)
	}
	for name, offset := range noted {
		t := e.trails[name]
		if t == nil {
			t = new(trail)
			e.trails[name] = t
		}
		if t.run == e.runs {
			continue
		}
		if t.run < e.runs-1 {
			t.ended, t.steady = 0, 0
		}
		if t.ended == 0 || !near(t.offset, offset) {
			t.steady = 0
		}
		t.ended++
		t.steady++
		t.run, t.offset = e.runs, offset
		if !t.muted && t.enough() {
			t.muted = true
			if e.named[name] != Muted && len(e.named) < MaxChanges {
				e.named[name] = Muted
				muted = append(muted, name)
			}
		}
	}
	slices.Sort(muted)
	return muted
}

// unnamed returns those of the paths that were not named before, and from now on are.
func (e *echoes) unnamed(paths []string) (suspected []string) {
	for _, path := range paths {
		if _, ok := e.named[path]; !ok && len(e.named) < MaxChanges {
			if e.named == nil {
				e.named = make(map[string]Kind)
			}
			e.named[path] = Suspected
			suspected = append(suspected, path)
		}
	}
	return suspected
}

// enough reports whether the evidence is.
func (t *trail) enough() bool {
	return t.steady >= enoughSteady || t.steady >= enoughEarly && t.offset < early || t.ended >= enoughEnded
}

// near reports whether a program may have got to the same point at these moments.
func near(x, y time.Duration) bool {
	return (x - y).Abs() <= 200*time.Millisecond+min(x, y)/10
}

// begin forgets the paths that did not change in the last two runs: those of the
// last one may still be to come.
func (e *echoes) begin() {
	for name, t := range e.trails {
		if t.run < e.runs-1 {
			delete(e.trails, name)
		}
	}
}

// forget takes in changes that no run has made.
func (e *echoes) forget(b Batch) {
	for _, c := range b.Changes {
		delete(e.trails, c.Path)
		if c.Op.named() {
			delete(e.trails, inDir(c.Path))
		}
	}
}

// mutes reports whether a change in a run is of no interest.
func (e *echoes) mutes(path string, op Op) bool {
	if t := e.trails[path]; t != nil && t.muted {
		return true
	}
	t := e.trails[inDir(path)]
	return op.named() && t != nil && t.muted
}
