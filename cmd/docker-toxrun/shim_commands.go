package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/toxrun/docker-toxrun/compose"
)

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
			if _, err := o.engines(); err != nil {
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
		case name == "", name == ".", name == "..", strings.HasPrefix(name, "-"), strings.ContainsAny(name, `/\`), visible(name) != name, isProgram(name), strings.HasPrefix(name, "toxrun-compose"):
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
		if _, err := o.named(cmd.Context()); err != nil { // the service is not there
			return err
		}
	}
	program, err := callable()
	if err != nil {
		return err
	}
	target, err := exec.LookPath(program) // by its name it may lead to another version later
	if err != nil {
		return err
	}
	bare := dir == ""
	dir = shimsIn(dir)
	for _, name := range names {
		if old := filepath.Join(dir, name); !isLink(old) {
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
	own := cmd.LocalNonPersistentFlags()
	record := shimRecord{From: here, Options: o.given(func(f *pflag.Flag) bool { return own.Lookup(f.Name) == nil })}
	if rel, err := filepath.Rel(dir, here); err == nil && (bare || isBelow(dir, here)) {
		record.From = filepath.ToSlash(rel)
	}
	for _, name := range names {
		records[name] = record
	}
	if err := writeShims(dir, records); err != nil { // first: a link without a record would be this program
		return err
	}
	for _, name := range names {
		link := filepath.Join(dir, name)
		if isLink(link) {
			if err := os.Remove(link); err != nil {
				return err
			}
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
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

// isLink tells whether a file is a link to this program by another name.
func isLink(name string) bool {
	target, err := os.Readlink(name)
	return err == nil && isProgram(target) && !isProgram(name)
}

// shimsOf are the shims in a directory, by their names.
func shimsOf(dir string) ([]*shim, error) {
	entries, _ := os.ReadDir(dir)
	var shims []*shim
	for _, e := range entries {
		link := filepath.Join(dir, e.Name())
		if !isLink(link) {
			continue
		}
		s, err := openShim(link)
		if err != nil {
			return nil, err
		}
		if s != nil {
			shims = append(shims, s)
		}
	}
	return shims, nil
}

// A shimReport is what shim list says of one.
type shimReport struct {
	Name    string   `json:"name"`
	Path    string   `json:"path"`
	From    string   `json:"from"`
	Options []string `json:"options"`
}

func listShims(std stdio, dir, format string) error {
	shims, err := shimsOf(dir)
	if err != nil {
		return err
	}
	reports := []shimReport{}
	for _, s := range shims {
		reports = append(reports, shimReport{s.name, filepath.Join(dir, s.name), s.from, append([]string{}, s.Options...)})
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
	if _, err := os.Stat(dir); err == nil {
		unlock, err := lockShims(dir)
		if err != nil {
			return err
		}
		defer unlock()
	}
	there, err := shimsOf(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(there, func(s *shim) bool { return s.name == name }) {
			return hinted(fmt.Errorf("there is no shim %s in %s", name, dir), cmd.Parent().CommandPath()+" list")
		}
	}
	records, err := readShims(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) { // named twice
			return err
		}
		delete(records, name)
	}
	if len(records) == 0 {
		return os.Remove(filepath.Join(dir, shimRecords))
	}
	return writeShims(dir, records)
}
