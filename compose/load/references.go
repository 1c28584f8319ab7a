package load

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/paths"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// references lists all files of the project: the Compose files and what they
// include and extend, each after those it builds on. compose-go doesn't tell
// which files it reads, and once it has read them it is too late to look.
//
// A reference that can't be followed is compose-go's to complain about. One
// file too many does no harm: a change of it costs a reload.
func (src *source) references() []string {
	w := walk{seen: src.seen, done: map[string]bool{}}
	for _, f := range src.files {
		w.file(f.Filename, src.dir, src.env)
	}
	return w.files
}

type walk struct {
	seen  *seen
	files []string
	done  map[string]bool
}

// file follows the references of a file. Relative ones start at dir: the
// project directory, also of an include, or the directory of a file that is
// extended.
func (w *walk) file(path, dir string, env types.Mapping) {
	visit := fmt.Sprintf("%q %q %q", path, dir, env)
	if w.done[visit] || (remote{}).Accept(path) {
		return
	}
	w.done[visit] = true
	content, err := w.seen.read(path)
	if err != nil {
		return
	}
	if bytes.Contains(content, []byte("include")) || bytes.Contains(content, []byte("extends")) {
		w.content(content, dir, env)
	}
	if !slices.Contains(w.files, path) {
		w.files = append(w.files, path)
	}
}

// content follows what is in a file, which may have several documents.
func (w *walk) content(content []byte, dir string, env types.Mapping) {
	type entries map[string]struct {
		Extends any `yaml:"extends"`
	}
	for d := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var top struct {
			Include  []any   `yaml:"include"`
			Services entries `yaml:"services"`
			Jobs     entries `yaml:"jobs"`
		}
		if d.Decode(&top) != nil {
			return
		}
		for _, include := range top.Include {
			w.include(include, dir, env)
		}
		for _, e := range []entries{top.Services, top.Jobs} {
			for _, s := range e {
				extends, _ := s.Extends.(map[string]any)
				for _, name := range w.strings(extends["file"], env) {
					path := join(dir, paths.ExpandUser(name))
					w.file(path, filepath.Dir(path), env)
				}
			}
		}
	}
}

// include follows an entry of include: the path of a file, or a mapping with
// one or more, of which the others override the first.
func (w *walk) include(entry any, dir string, env types.Mapping) {
	fields, ok := entry.(map[string]any)
	if !ok {
		fields = map[string]any{"path": entry}
	}
	files := w.strings(fields["path"], env)
	if len(files) == 0 {
		return
	}
	projectDir := filepath.Dir(join(dir, files[0]))
	for _, name := range w.strings(fields["project_directory"], env) {
		projectDir = join(dir, name)
	}
	var envFiles []string
	for _, name := range w.strings(fields["env_file"], env) {
		envFiles = append(envFiles, join(dir, name))
	}
	if len(envFiles) == 0 {
		path := filepath.Join(projectDir, ".env")
		if in := w.seen.look(path); !in.Absent && !in.Kind.IsDir() {
			envFiles = []string{path}
		}
	}
	if values, err := w.seen.dotEnv(env, envFiles); err == nil {
		env = env.Clone().Merge(values)
	}
	for _, name := range files {
		w.file(join(dir, name), projectDir, env)
	}
}

// strings gives the string, or the strings of the list, that value is, with
// the variables in them replaced.
func (w *walk) strings(value any, env types.Mapping) []string {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var texts []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			if s, err := w.seen.substitute(s, env.Resolve); err == nil {
				texts = append(texts, s)
			}
		}
	}
	return texts
}

// join is filepath.Join for a name that may be absolute already.
func join(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}
