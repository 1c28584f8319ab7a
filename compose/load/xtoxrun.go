package load

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/toxrun/docker-toxrun/compose"
)

// decode makes a Config of an x-toxrun block. It is strict: a key that would
// be ignored, or a value that would be read as something else, is a mistake
// the user wants to hear of.
func decode(raw any, dir string) (*compose.Config, *mistake) {
	c := &compose.Config{}
	m := mapping(raw, fields{
		"command":       func(v any) *mistake { return command(v, &c.Command) },
		"user":          func(v any) *mistake { return text(v, &c.User) },
		"workdir":       func(v any) *mistake { return text(v, &c.Workdir) },
		"environment":   func(v any) *mistake { return variables(v, &c.Environment) },
		"shell":         func(v any) *mistake { return text(v, &c.Shell) },
		"shell_history": func(v any) *mistake { return boolean(v, &c.ShellHistory) },
		"stop_grace":    func(v any) *mistake { return duration(v, &c.StopGrace) },
		"standby":       func(v any) *mistake { return duration(v, &c.Standby) },
		"preload":       func(v any) *mistake { return preload(v, &c.Preload) },
		"nodes":         func(v any) *mistake { return nodes(v, &c.Nodes) },
		"commands":      func(v any) *mistake { return commands(v, &c.Commands) },
		"shim": func(v any) *mistake {
			return mapping(v, fields{"environment": func(v any) *mistake { return names(v, &c.Shim.Environment) }})
		},
		"watch": func(v any) *mistake {
			return mapping(v, fields{
				"paths":    func(v any) *mistake { return texts(v, &c.Watch.Paths) },
				"ignore":   func(v any) *mistake { return texts(v, &c.Watch.Ignore) },
				"debounce": func(v any) *mistake { return duration(v, &c.Watch.Debounce) },
				"on_busy":  func(v any) *mistake { return onBusy(v, &c.Watch.OnBusy) },
			})
		},
	})
	for i, name := range c.Watch.Paths {
		c.Watch.Paths[i] = join(dir, name)
	}
	if m != nil {
		m.path = append(m.path, "x-toxrun")
		slices.Reverse(m.path)
	}
	return c, m
}

// A mistake is what is wrong in a block, and where.
type mistake struct {
	problem string
	path    []string // of keys; innermost first while it is on its way up
	keys    []string // those there are, where a key isn't one of them
}

// wrong is the mistake of a value that isn't what is wanted.
func wrong(v any, wanted string) *mistake {
	is := ""
	switch v := v.(type) {
	case string:
		is = fmt.Sprintf("%q", v)
	case map[string]any:
		is = "a mapping"
	case []any:
		is = "a list"
	case nil:
		is = "nothing"
	default:
		is = fmt.Sprint(v)
	}
	return &mistake{problem: fmt.Sprintf("must be %s, not %s", wanted, is)}
}

type fields map[string]func(any) *mistake

// mapping decodes each key with its function. A key without a value is as if
// it weren't there.
func mapping(v any, f fields) *mistake {
	if v == nil {
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return wrong(v, "a mapping")
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		decode, ok := f[key]
		if !ok {
			return &mistake{
				problem: "there is no such key",
				path:    []string{key},
				keys:    slices.Sorted(maps.Keys(f)),
			}
		}
		if m[key] == nil {
			continue
		}
		if wrong := decode(m[key]); wrong != nil {
			wrong.path = append(wrong.path, key)
			return wrong
		}
	}
	return nil
}

func text(v any, to *string) *mistake {
	s, ok := v.(string)
	if !ok {
		return wrong(v, "a string")
	}
	*to = s
	return nil
}

// nodes takes a mapping of strings.
func nodes(v any, to *map[string]string) *mistake {
	m, ok := v.(map[string]any)
	if !ok {
		return wrong(v, "a mapping")
	}
	*to = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		at, ok := m[name].(string)
		if !ok || at == "" {
			bad := wrong(m[name], "a context or an address")
			bad.path = []string{name}
			return bad
		}
		(*to)[name] = at
	}
	return nil
}

func texts(v any, to *[]string) *mistake {
	list, ok := v.([]any)
	if !ok {
		return wrong(v, "a list of strings")
	}
	*to = nil
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return wrong(v, "a list of strings with no other value in it")
		}
		*to = append(*to, s)
	}
	return nil
}

// preload takes a list, which may be empty, or auto for nil.
func preload(v any, to *[]string) *mistake {
	if v == "auto" {
		*to = nil
		return nil
	}
	if _, ok := v.([]any); !ok {
		return wrong(v, "auto, or a list of modules' names")
	}
	if wrong := texts(v, to); wrong != nil {
		return wrong
	}
	if *to == nil {
		*to = []string{}
	}
	return nil
}

// names takes a list of variables' names, which may be patterns of package path.
func names(v any, to *[]string) *mistake {
	if wrong := texts(v, to); wrong != nil {
		return wrong
	}
	for _, name := range *to {
		if _, err := path.Match(name, ""); err != nil || name == "" || strings.Contains(name, "=") {
			return wrong(name, "a variable's name, or a pattern such as PYTEST_*")
		}
	}
	return nil
}

// command takes a list as it is and splits a string as Compose does with the
// commands of services.
func command(v any, to *[]string) *mistake {
	s, ok := v.(string)
	if !ok {
		if _, ok := v.([]any); !ok {
			return wrong(v, "a string or a list of strings")
		}
		return texts(v, to)
	}
	var words types.ShellCommand
	if words.DecodeMapstructure(s) != nil {
		return wrong(v, "a command with its quotes closed")
	}
	*to = words
	return nil
}

// commands takes a mapping of names to commands: each as command has it, or a mapping
// with more about it.
func commands(v any, to *map[string]compose.Command) *mistake {
	m, ok := v.(map[string]any)
	if !ok {
		return wrong(v, "a mapping of names to commands")
	}
	*to = map[string]compose.Command{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if name == "" || strings.HasPrefix(name, "-") || strings.ContainsFunc(name, unicode.IsSpace) {
			return &mistake{problem: fmt.Sprintf("%q is no name for a command", name), path: []string{name}}
		}
		var c compose.Command
		var wrong *mistake
		if more, ok := m[name].(map[string]any); ok {
			wrong = mapping(more, fields{
				"command":     func(v any) *mistake { return command(v, &c.Command) },
				"description": func(v any) *mistake { return text(v, &c.Description) },
				"service":     func(v any) *mistake { return text(v, &c.Service) },
				"tty":         func(v any) *mistake { return boolean(v, &c.TTY) },
				"env":         func(v any) *mistake { return variables(v, &c.Env) },
			})
		} else {
			wrong = command(m[name], &c.Command)
		}
		if wrong == nil && (len(c.Command) == 0 || c.Command[0] == "") {
			wrong = &mistake{problem: "names no command"}
		}
		if wrong != nil {
			wrong.path = append(wrong.path, name)
			return wrong
		}
		(*to)[name] = c
	}
	return nil
}

func boolean(v any, to *bool) *mistake {
	b, ok := v.(bool)
	if !ok {
		return wrong(v, "true or false")
	}
	*to = b
	return nil
}

// variables takes KEY=VALUE and KEY from a list, or a mapping in which KEY
// may have no value.
func variables(v any, to *[]string) *mistake {
	if _, ok := v.([]any); ok {
		if wrong := texts(v, to); wrong != nil {
			return wrong
		}
		for _, s := range *to {
			if s == "" || strings.HasPrefix(s, "=") {
				return wrong(s, "KEY or KEY=VALUE")
			}
		}
		return nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return wrong(v, "a mapping, or a list of KEY=VALUE")
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key == "" || strings.Contains(key, "=") {
			return &mistake{problem: fmt.Sprintf("%q is no name of a variable", key)}
		}
		switch v := m[key].(type) {
		case nil:
			*to = append(*to, key)
		case map[string]any, []any:
			mistake := wrong(v, "a string")
			mistake.path = []string{key}
			return mistake
		default:
			*to = append(*to, key+"="+fmt.Sprint(v))
		}
	}
	return nil
}

// duration takes what Compose takes for one: "1m30s", also with days.
func duration(v any, to *time.Duration) *mistake {
	s, ok := v.(string)
	if !ok {
		return wrong(v, "a duration with its unit, such as 10s")
	}
	var d types.Duration
	if d.DecodeMapstructure(s) != nil || d < 0 {
		return wrong(v, "a duration such as 10s or 1m30s")
	}
	*to = time.Duration(d)
	return nil
}

func onBusy(v any, to *compose.OnBusy) *mistake {
	s, _ := v.(string)
	switch b := compose.OnBusy(s); b {
	case compose.Restart, compose.Queue, compose.Ignore:
		*to = b
		return nil
	}
	return wrong(v, "restart, queue or ignore")
}
