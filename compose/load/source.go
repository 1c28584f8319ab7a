package load

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"github.com/toxrun/docker-toxrun/compose"
)

// A source is what docker compose knows when it begins to load a project.
type source struct {
	query compose.Query
	seen  *seen

	env      types.Mapping      // the process's, then what .env adds
	files    []types.ConfigFile // the Compose files, with their content
	named    bool               // the files were named, not searched for
	dir      string             // project directory
	profiles []string
	name     string // of the project
}

// find goes docker compose's way to its files. The order matters: .env may
// name the Compose files, whose directory may have another .env, which may
// name the project.
func find(q compose.Query) (*source, error) {
	src := &source{
		query: q,
		seen:  newSeen(),
		env:   environment(q),
	}
	envFiles := src.envFiles()
	if err := src.addFiles(q.Files); err != nil {
		return nil, err
	}
	src.exportDotEnv(envFiles)
	envErr := src.mergeDotEnv(envFiles)
	if list, ok := src.env["COMPOSE_FILE"]; ok && !src.named {
		separator := src.env["COMPOSE_PATH_SEPARATOR"]
		if separator == "" {
			separator = string(filepath.ListSeparator)
		}
		if err := src.addFiles(strings.Split(list, separator)); err != nil {
			return nil, err
		}
	}
	if !src.named && !src.search() {
		return nil, &compose.NoFileError{Dir: src.workingDir()}
	}
	src.dir = src.workingDir()
	if envErr == nil {
		envErr = src.mergeDotEnv(envFiles)
	}
	if envErr != nil {
		return nil, src.error(envErr)
	}

	src.profiles = q.Profiles
	if len(src.profiles) == 0 {
		for name := range strings.SplitSeq(src.env["COMPOSE_PROFILES"], ",") {
			src.profiles = append(src.profiles, strings.TrimSpace(name))
		}
	}
	for i := range src.files {
		f := &src.files[i]
		var err error
		if f.Content, err = src.seen.read(f.Filename); err != nil {
			return nil, src.error(err)
		}
	}
	var err error
	if src.name, err = src.projectName(); err != nil {
		return nil, src.error(err)
	}
	src.env["COMPOSE_PROJECT_NAME"] = src.name
	return src, nil
}

func (src *source) error(err error) error {
	e := &compose.LoadError{Dir: src.workingDir(), Project: src.name, Err: err}
	if src.named {
		for _, f := range src.files {
			e.Files = append(e.Files, f.Filename)
		}
	}
	return e
}

// addFiles takes the Compose files that the user has named.
func (src *source) addFiles(names []string) error {
	for _, name := range names {
		if name == "-" {
			return errors.New("a Compose file can't come from standard input, which is the command's: give it by its name")
		}
		if (remote{}).Accept(name) {
			return remoteError(name)
		}
		src.files = append(src.files, types.ConfigFile{Filename: join(src.query.Dir, name)})
		src.named = true
	}
	return nil
}

// search looks for a Compose file in the working directory and those above it,
// and for an override file beside it. All that is not there is seen, too.
func (src *source) search() bool {
	first := func(dir string, names []string) bool {
		for _, name := range names {
			path := filepath.Join(dir, name)
			if !src.seen.look(path).Absent {
				src.files = append(src.files, types.ConfigFile{Filename: path})
				return true
			}
		}
		return false
	}
	for dir := src.workingDir(); ; dir = filepath.Dir(dir) {
		if first(dir, cli.DefaultFileNames) {
			first(dir, cli.DefaultOverrideFileNames)
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// workingDir is where Compose stands at this point: in the given project
// directory, or where the first Compose file is, or else where the caller is.
func (src *source) workingDir() string {
	switch {
	case src.query.ProjectDirectory != "":
		return join(src.query.Dir, src.query.ProjectDirectory)
	case len(src.files) > 0:
		return filepath.Dir(src.files[0].Filename)
	}
	return src.query.Dir
}

// projectName is the option, or the variable, or what the files say, or else
// the directory's name.
func (src *source) projectName() (string, error) {
	name := src.query.ProjectName
	if name == "" {
		name = src.env["COMPOSE_PROJECT_NAME"]
	}
	if name != "" {
		if name != loader.NormalizeProjectName(name) {
			return "", loader.InvalidProjectNameErr(name)
		}
		return name, nil
	}
	name = filepath.Base(src.dir)
	if text := src.topLevelName(); text != "" {
		var err error
		if name, err = src.seen.substitute(text, src.env.Resolve); err != nil {
			return "", err
		}
	}
	if name = loader.NormalizeProjectName(name); name == "" {
		return "", errors.New("project name must not be empty")
	}
	return name, nil
}

// topLevelName is the last "name:" of the files, before interpolation. A file
// that isn't YAML is compose-go's to complain about.
func (src *source) topLevelName() string {
	var top struct {
		Name string `yaml:"name"`
	}
	name := ""
	for _, f := range src.files {
		for d := yaml.NewDecoder(bytes.NewReader(f.Content)); d.Decode(&top) == nil; {
			if top.Name != "" {
				name = top.Name
			}
		}
	}
	return name
}
