package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	file, err := os.CreateTemp(dir, shimRecords+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // after the rename there is none
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(dir, shimRecords))
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
	return paths.Words{Dir: here, Translate: func(_, full string, _ bool) string {
		inside, _ := t.PathForFile(full) // "" leaves it
		return inside
	}}.Args(env)
}

func newShim(o *options, std stdio) *cobra.Command {
	shims := &cobra.Command{
		Use:   "shim",
		Short: "Programs here that run in the container, for editors, make and hooks",
		Long: `Make programs of this machine that run in the container: editors, make, git hooks
and scripts call them as if they were installed here. Paths are mapped both ways, and
files that no mount has go along (see --map-paths and --carry).`,
		Example: `  docker toxrun shim add pytest python mypy
  docker toxrun shim add -s docs sphinx-build
  docker toxrun shim list
  docker toxrun shim remove mypy`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("shim needs a command: add, list or remove", cmd.CommandPath()+" add pytest")
		},
	}
	var dir, format string
	directory := func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&dir, "dir", "", "the shims' `directory` (default "+shimDir+", of this directory or one above)")
	}
	add := &cobra.Command{
		Use:     "add [OPTIONS] NAME...",
		Short:   "Make programs that run in the container, with these options",
		Example: "  docker toxrun shim add pytest python mypy\n  docker toxrun shim add -s web --dir bin npm",
		Args:    someNames,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := o.oneOnly(cmd); err != nil {
				return err
			}
			return o.addShims(cmd, std, dir, names)
		},
	}
	list := &cobra.Command{
		Use:   "list [OPTIONS]",
		Short: "List them",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := onlyJSON(format); err != nil {
				return err
			}
			return listShims(std, shimsIn(dir), format)
		},
	}
	list.Flags().StringVar(&format, "format", "", "`json`, or a table if left out")
	remove := &cobra.Command{
		Use:   "remove [OPTIONS] NAME...",
		Short: "Remove them",
		Args:  someNames,
		RunE:  func(cmd *cobra.Command, names []string) error { return removeShims(cmd, shimsIn(dir), names) },
	}
	for _, cmd := range []*cobra.Command{add, list, remove} {
		directory(cmd)
		shims.AddCommand(cmd)
	}
	return shims
}

func someNames(cmd *cobra.Command, names []string) error {
	if len(names) == 0 {
		return usage("shim "+cmd.Name()+" needs the name of a program", cmd.CommandPath()+" pytest")
	}
	for _, name := range names {
		switch {
		case name == "", name == ".", name == "..", strings.HasPrefix(name, "-"), strings.ContainsAny(name, `/\`), visible(name) != name, !utf8.ValidString(name), isProgram(name), strings.HasPrefix(name, "toxrun-compose"):
			return usage(fmt.Sprintf("%q can't be the name of a shim", name), "")
		}
	}
	return nil
}

// shimsIn is the directory that --dir names, else the nearest with shims, else the one
// that would be made here. It is absolute.
func shimsIn(dir string) string {
	here, _ := filepath.Abs(dir)
	if dir != "" {
		return here
	}
	for at := here; ; at = filepath.Dir(at) {
		if info, err := os.Stat(filepath.Join(at, shimDir)); err == nil && info.IsDir() {
			return filepath.Join(at, shimDir)
		}
		if at == filepath.Dir(at) {
			return filepath.Join(here, shimDir)
		}
	}
}

func (o *options) addShims(cmd *cobra.Command, std stdio, dir string, names []string) error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if o.container == "" {
		if err := o.serviceIsThere(cmd); err != nil {
			return err
		}
	}
	target, err := os.Executable()
	if err != nil {
		return err
	}
	if name, err := exec.LookPath(programName); err == nil && sameFile(name, target) {
		target, _ = filepath.Abs(name) // it may lead to another version later
	}
	bare := dir == ""
	dir = shimsIn(dir)
	for _, name := range names {
		if old := filepath.Join(dir, name); !isShim(old) {
			if _, err := os.Lstat(old); err == nil {
				return fmt.Errorf("%s is there, and is no shim", old)
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if ignored := filepath.Join(filepath.Dir(dir), ".gitignore"); bare { // as a link to a place on this machine it is nobody else's
		if _, err := os.Lstat(ignored); err != nil {
			if err := os.WriteFile(ignored, []byte("*\n"), 0o644); err != nil {
				return err
			}
		}
	}
	unlock, err := lockShims(dir)
	if err != nil {
		return err
	}
	defer unlock()
	records, err := readShims(dir)
	if err != nil {
		return err
	}
	record := shimRecord{From: here, Options: o.given(cmd)}
	if rel, err := filepath.Rel(dir, here); err == nil && (bare || isBelow(dir, here)) {
		record.From = filepath.ToSlash(rel)
	}
	for _, name := range names {
		link := filepath.Join(dir, name)
		if isShim(link) {
			if err := os.Remove(link); err != nil {
				return err
			}
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
		records[name] = record
	}
	if err := writeShims(dir, records); err != nil {
		return err
	}
	for _, name := range names {
		fmt.Fprintln(std.out, visible(filepath.Join(dir, name)))
	}
	if slices.Contains(filepath.SplitList(os.Getenv("PATH")), dir) {
		return nil
	}
	short := dir
	if rel, err := filepath.Rel(here, dir); err == nil && filepath.IsLocal(rel) {
		short = rel
	}
	quoted := func(name string) string { return compose.CommandLine([]string{name}) }
	fmt.Fprintf(std.out, "\nto be called by name, in a shell:       export PATH=%s:\"$PATH\"\n", quoted(dir))
	fmt.Fprintf(std.out, "with direnv, in %s: PATH_add %s\n", visible(filepath.Join(here, ".envrc")), quoted(short))
	return nil
}

// serviceIsThere is the error of options that mean no service of the project's.
func (o *options) serviceIsThere(cmd *cobra.Command) error {
	received, stop := receiveSignals()
	defer stop()
	_, err := until(received, func() (string, error) {
		engine, err := findEngine(o.docker)
		if err != nil {
			return "", err
		}
		query, err := o.query(engine.host)
		if err != nil {
			return "", err
		}
		service, _, err := o.finder(engine, messages{quiet: true}).Config(cmd.Context(), query)
		return service, err
	})
	return err
}

// given are the options that were given to a command besides its own, --name=value each.
func (o *options) given(cmd *cobra.Command) (args []string) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch values, isList := f.Value.(pflag.SliceValue); {
		case cmd.LocalNonPersistentFlags().Lookup(f.Name) != nil:
		case f.Name == "host":
			args = append(args, "--host="+o.docker.Hosts[0])
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

// isShim tells whether a file is a shim.
func isShim(name string) bool {
	target, err := os.Readlink(name)
	return err == nil && isProgram(target) && !isProgram(name)
}

// shimNames are the shims in a directory.
func shimNames(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if isShim(filepath.Join(dir, e.Name())) {
			names = append(names, e.Name())
		}
	}
	return names
}

// A shimReport is what shim list says of one.
type shimReport struct {
	Name    string   `json:"name"`
	Path    string   `json:"path"`
	From    string   `json:"from"`
	Options []string `json:"options"`
}

func listShims(std stdio, dir, format string) error {
	reports := []shimReport{}
	for _, name := range shimNames(dir) {
		s, err := openShim(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		reports = append(reports, shimReport{name, filepath.Join(dir, name), s.from, append([]string{}, s.Options...)})
	}
	if format == "json" {
		encoder := newJSON(std.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(reports)
	}
	table := tabwriter.NewWriter(std.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "SHIM\tPROJECT OF\tOPTIONS")
	for _, r := range reports {
		fmt.Fprintf(table, "%s\t%s\t%s\n", visible(r.Path), visible(r.From), visible(compose.CommandLine(r.Options)))
	}
	return table.Flush()
}

func removeShims(cmd *cobra.Command, dir string, names []string) error {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(shimNames(dir)) > 0 {
		unlock, err := lockShims(dir)
		if err != nil {
			return err
		}
		defer unlock()
	}
	there := shimNames(dir)
	for _, name := range names {
		if !slices.Contains(there, name) {
			return hinted(fmt.Errorf("there is no shim %s in %s", name, dir), cmd.Parent().CommandPath()+" list")
		}
	}
	records, err := readShims(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	maps.DeleteFunc(records, func(name string, _ shimRecord) bool { return slices.Contains(names, name) })
	if len(records) > 0 {
		return writeShims(dir, records)
	}
	if err := os.Remove(filepath.Join(dir, shimRecords)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
