package compose

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A Target is a container that a command can be run in.
type Target struct {
	Engine     string `json:"engine"`     // address, from the Query
	APIVersion string `json:"apiVersion"` // agreed with the Engine

	Project       string `json:"project"`       // "" for a container that Compose hasn't made
	Service       string `json:"service"`       // likewise
	Number        int    `json:"number"`        // of the replica; counts from 1, 0 without a service
	Container     string `json:"container"`     // ID
	ContainerName string `json:"containerName"` // when it was looked up: docker rename may have changed it since

	User    string `json:"user"`    // the container's own; "" is root
	Workdir string `json:"workdir"` // the container's own; "" is /

	ProjectDir string  `json:"projectDir,omitempty"` // absolute; "" without a Compose file
	Mounts     []Mount `json:"mounts,omitempty"`     // by Target
	Develop    []Watch `json:"develop,omitempty"`    // the service's develop.watch
	Config     Config  `json:"config,omitzero"`      // the service's x-toxrun

	Cached bool `json:"cached,omitempty"` // the answer comes from the cache, the Engine wasn't asked

	// Warning is a line for the user where the Compose files could not be
	// loaded and the container was found without them; otherwise "".
	Warning string `json:"warning,omitempty"`
}

// A Mount is a place in a container where something else than its image is.
type Mount struct {
	Source string `json:"source,omitempty"` // path on this machine; "" for volumes, tmpfs and what can't be told
	Target string `json:"target"`           // path in the container
}

// PathFor gives the path in the container of a directory of this machine, and
// whether it has one: it is in a bind mount, and no other mount of the
// container lies on top of it there.
//
// Symbolic links are resolved first. In the container they may lead elsewhere
// or nowhere, the way without them is the same on both sides.
func (t *Target) PathFor(dir string) (string, bool) {
	if !filepath.IsAbs(dir) {
		return "", false
	}
	inside, in := t.inside(resolve(dir))
	if in != Mounted {
		return "", false
	}
	return inside, true
}

// Where a file or directory of this machine is in a container.
type Where int

const (
	Outside Where = iota // nowhere
	Covered              // its path is there, and another mount lies on top of it
	Mounted
)

// PathForFile is PathFor for a file or a directory whose own name counts: one that is a
// symbolic link keeps it where the link leads to the same file in the container. The path is
// "" for what is Outside.
func (t *Target) PathForFile(name string) (string, Where) {
	if !filepath.IsAbs(name) {
		return "", Outside
	}
	dir, base := filepath.Split(filepath.Clean(name))
	here, in := t.inside(filepath.Join(resolve(dir), base))
	link, err := os.Readlink(name)
	if err != nil || in == Covered {
		return here, in
	}
	to, leads := t.inside(resolve(name))
	if leads == Mounted && in == Mounted && !filepath.IsAbs(link) && path.Join(path.Dir(here), filepath.ToSlash(link)) == to {
		return here, Mounted
	}
	return to, leads
}

// inside is the path in the container of one of this machine without symbolic links.
func (t *Target) inside(name string) (inside string, in Where) {
	type place struct{ source, rest, target string }
	var places []place
	for _, m := range t.Mounts {
		if !filepath.IsAbs(m.Source) {
			continue
		}
		source := resolve(m.Source)
		rest, err := filepath.Rel(source, name)
		if err == nil && filepath.IsLocal(rest) {
			places = append(places, place{source, filepath.ToSlash(rest), clean(m.Target)})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return len(b.source) - len(a.source) })
	for _, p := range places {
		at := path.Join(p.target, p.rest)
		if inside == "" {
			inside, in = at, Covered
		}
		if !slices.ContainsFunc(t.Mounts, func(m Mount) bool {
			over := clean(m.Target)
			return over != p.target && within(over, p.target) && within(at, over)
		}) {
			return at, Mounted
		}
	}
	return inside, in
}

// resolve is filepath.EvalSymlinks, or the path itself where that fails: on a
// mount of an Engine elsewhere, say, whose source isn't on this machine.
func resolve(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	return filepath.Clean(name)
}

// clean is path.Clean for what is absolute in a container, written so or not.
func clean(target string) string { return path.Clean("/" + target) }

// within reports whether a path in a container is dir or below it. Both are
// clean.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// mounts are those of a container, with sources on this machine. The Compose
// files say where these are: an Engine in a virtual machine has paths of its
// own. But the container may be older than the last edit of the files; it has
// what the Engine says it has.
func mounts(binds []Mount, c *container) []Mount {
	var list []Mount
	for _, m := range c.mounts {
		target := clean(m.target)
		mount := Mount{Target: target}
		if m.bind {
			mount.Source = hostPath(m.source)
			for _, b := range binds {
				if clean(b.Target) == target && (mount.Source == "" || sameFile(b.Source, mount.Source)) {
					mount.Source = b.Source
				}
			}
		}
		list = append(list, mount)
	}
	slices.SortFunc(list, func(a, b Mount) int { return strings.Compare(a.Target, b.Target) })
	return list
}

// hostPath gives the path on this machine of a mount's source as the Engine
// reports it, or "" where there is no such file here.
func hostPath(source string) string {
	for _, name := range hostPaths(source) {
		if _, err := os.Stat(name); err == nil && filepath.IsAbs(name) {
			return name
		}
	}
	return ""
}

func sameFile(a, b string) bool {
	if a == b {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
