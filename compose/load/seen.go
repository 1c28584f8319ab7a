package load

import (
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/template"

	"github.com/toxrun/docker-toxrun/compose"
)

// seen is what a model depends on: the files that were looked for or read, and
// the variables that were looked up.
type seen struct {
	files     map[string]file
	variables map[string]bool
}

// A file is read once, however often it is needed, so that its state and its
// content belong together.
type file struct {
	compose.Input
	read    bool
	content []byte
	err     error
}

func newSeen() *seen {
	return &seen{
		files:     map[string]file{},
		variables: map[string]bool{home: true}, // paths may start with "~"
	}
}

// look gives the state of a file.
func (s *seen) look(path string) compose.Input {
	f, ok := s.files[path]
	if !ok {
		f.Input = compose.Look(path)
		s.files[path] = f
	}
	return f.Input
}

// read gives the content of a file.
func (s *seen) read(path string) ([]byte, error) {
	f := s.files[path]
	if !f.read {
		f.read = true
		f.Input, f.content, f.err = compose.Read(path)
		s.files[path] = f
	}
	return f.content, f.err
}

// substitute is compose-go's substitution of variables.
func (s *seen) substitute(text string, lookup template.Mapping) (string, error) {
	return template.Substitute(text, func(name string) (string, bool) {
		s.variables[name] = true
		return lookup(name)
	})
}

// list gives all that was seen, sorted.
func (s *seen) list() (inputs []compose.Input, variables []string) {
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		inputs = append(inputs, s.files[path].Input)
	}
	return inputs, slices.Sorted(maps.Keys(s.variables))
}
