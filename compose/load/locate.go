package load

import (
	"bytes"
	"slices"

	"go.yaml.in/yaml/v4"
)

// locate finds the file and line of a mistake in x-toxrun. files are in the
// order they are merged in, so it is the last one that has the key, be it in
// the service itself or in one that it extends. Nobody needs the lines until
// something is wrong, and compose-go doesn't keep them.
func (s *seen) locate(files []string, service string, path []string) (name string, line int) {
	documents := map[string][]*yaml.Node{}
	for _, name := range files {
		content, err := s.read(name)
		if err != nil {
			continue
		}
		for d := yaml.NewDecoder(bytes.NewReader(content)); ; {
			var n yaml.Node
			if d.Decode(&n) != nil {
				break
			}
			documents[name] = append(documents[name], &n)
		}
	}
	services := []string{service}
	for i := 0; i < len(services); i++ {
		for _, name := range slices.Backward(files) {
			for _, top := range slices.Backward(documents[name]) {
				if key, _ := lookup(top, append([]string{"services", services[i]}, path...)...); key != nil {
					return name, key.Line
				}
				_, extends := lookup(top, "services", services[i], "extends")
				if extends == nil {
					continue
				}
				if _, base := lookup(extends, "service"); base != nil {
					extends = base
				}
				if extends.Kind == yaml.ScalarNode && !slices.Contains(services, extends.Value) {
					services = append(services, extends.Value)
				}
			}
		}
	}
	return "", 0
}

// lookup gives the key and the value at a path of mapping keys, through
// aliases and merge keys ("<<: *base"). Both are nil where there is none. No
// alias leads back to itself: compose-go has loaded the file.
func lookup(n *yaml.Node, path ...string) (key, value *yaml.Node) {
	for _, name := range path {
		if key, n = child(n, name); n == nil {
			return nil, nil
		}
	}
	return key, n
}

func child(n *yaml.Node, name string) (key, value *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		return child(n.Alias, name)
	case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
		return child(n.Content[0], name)
	case n.Kind == yaml.SequenceNode: // of mappings, in a merge key: the first one counts
		for _, n := range n.Content {
			if key, value := child(n, name); key != nil {
				return key, value
			}
		}
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return n.Content[i], n.Content[i+1]
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "<<" {
				return child(n.Content[i+1], name)
			}
		}
	}
	return nil, nil
}
