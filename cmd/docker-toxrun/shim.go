package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"
	"github.com/moby/sys/atomicwriter"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/internal/paths"
)

// A shim is a program of this machine that runs in the container: a symbolic link to
// this one, whose name is the command's.
type shim struct {
	name string // the command
	dir  string // where it lies, absolute
	from string // where its project is looked for, absolute
	shimRecord
}

// A shimRecord is what is kept of a shim besides its name: how shim add was called.
type shimRecord struct {
	// From is where shim add was called: relative to the shim's directory where both are
	// of one project, so that this can be moved, else absolute.
	From string `json:"from"`
	// Options are shim add's, --name=value each.
	Options []string `json:"options,omitempty"`
}

// shimRecords is the file beside the shims that holds the record of each, by its name. A
// link that has none is this program by another name.
const shimRecords = ".docker-toxrun.json"

// shimDir is where shims are unless --dir says so.
var shimDir = filepath.Join(".toxrun", "bin")

// findShim finds the shim that argv0, the name of this process, stands for: nil where it
// was started under a name of its own.
func findShim(argv0 string) (*shim, error) {
	if isProgram(argv0) {
		return nil, nil
	}
	called := whichIs(argv0)
	if called == "" {
		return nil, hinted(fmt.Errorf("called as %q, where there is no such shim", argv0), "call a shim by its path, or by its name where its directory is in the PATH")
	}
	for range 40 { // as Linux follows
		target, err := os.Readlink(called)
		if err != nil {
			return nil, nil // the program itself, by another name
		}
		if isProgram(target) {
			return openShim(called)
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(called), target)
		}
		called = target
	}
	return nil, nil
}

// isProgram tells whether a file's name is this program's.
func isProgram(name string) bool { return strings.HasPrefix(filepath.Base(name), programName) }

// whichIs is the absolute path of the link that this process was called by: the first of
// that name in the PATH that leads to this program. It is "" where there is none.
func whichIs(argv0 string) string {
	if filepath.Base(argv0) != argv0 {
		name, _ := filepath.Abs(argv0)
		return name
	}
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		name, err := filepath.Abs(filepath.Join(dir, argv0)) // an empty dir is this one
		if err == nil && sameFile(name, self) {
			return name
		}
	}
	return ""
}

// openShim is the shim that a link is, nil for none.
func openShim(link string) (*shim, error) {
	s := &shim{name: filepath.Base(link), dir: filepath.Dir(link)}
	records, err := readShims(s.dir)
	if err != nil {
		return nil, err
	}
	record, ok := records[s.name]
	if !ok {
		return nil, nil
	}
	s.shimRecord = record
	s.from = filepath.FromSlash(s.From)
	if !filepath.IsAbs(s.from) {
		s.from = filepath.Join(s.dir, s.from)
	}
	return s, nil
}

// readShims reads the records of a directory's shims.
func readShims(dir string) (map[string]shimRecord, error) {
	records := map[string]shimRecord{}
	name := filepath.Join(dir, shimRecords)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return records, nil
	}
	if err == nil {
		if err = json.Unmarshal(text, &records); err != nil {
			err = hinted(fmt.Errorf("%s is not as shim add writes it: %w", name, err), "remove it, and add the shims again")
		}
	}
	return records, err
}

// lockShims keeps others from changing the records of a directory's shims meanwhile.
func lockShims(dir string) (unlock func(), err error) {
	lock := flock.New(filepath.Join(dir, shimRecords+".lock"))
	if err := lock.Lock(); err != nil {
		return nil, err
	}
	return func() { lock.Unlock() }, nil
}

// writeShims writes the records of a directory's shims.
func writeShims(dir string, records map[string]shimRecord) error {
	text, err := json.MarshalIndent(records, "", "  ")
	if err != nil {
		return err
	}
	return atomicwriter.WriteFile(filepath.Join(dir, shimRecords), append(text, '\n'), 0o644)
}

// run runs the shim's command with args, all of which are the command's.
func (s *shim) run(args []string, std stdio) int {
	root, o := newRoot(std)
	o.shim, o.carry = s, true
	return execute(root, o, slices.Concat(s.Options, []string{"exec", s.name}, args), std)
}

// environment is what the command of a shim gets of the caller's variables, with the paths
// as they are in the container. What is about this machine's own programs is not for it,
// whatever a pattern says.
func (s *shim) environment(t *compose.Target) []string {
	if s == nil {
		return nil
	}
	var env []string
	for _, assignment := range os.Environ() {
		name, _, _ := strings.Cut(assignment, "=")
		wanted := func(pattern string) bool {
			matches, _ := path.Match(pattern, name)
			return matches && (pattern == name || !slices.Contains([]string{"PATH", "HOME", "PWD"}, name))
		}
		if name != "VIRTUAL_ENV" && slices.ContainsFunc(t.Config.Shim.Environment, wanted) {
			env = append(env, assignment)
		}
	}
	here, _ := os.Getwd()
	return paths.Words{Dir: here, Translate: func(_, full string) string {
		inside, _ := t.PathForFile(full) // "" leaves it
		return inside
	}}.Args(env)
}
