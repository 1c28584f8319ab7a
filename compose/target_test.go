package compose

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a directory with some others in it; "a -> b" is a symbolic link.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		link, to, ok := strings.Cut(name, " -> ")
		if !ok {
			err = os.MkdirAll(filepath.Join(root, name), 0o700)
		} else {
			err = os.Symlink(strings.ReplaceAll(to, "ROOT", root), filepath.Join(root, link))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// A file's own name is kept where it leads to the same file in the container.
func TestPathForFile(t *testing.T) {
	t.Parallel()
	root := tree(t, "proj/src/pkg", "shared", "link -> proj", "proj/same -> src/pkg", "proj/src/up -> ../src",
		"proj/abs -> ROOT/proj/src", "proj/out -> ../shared", "proj/away -> ROOT/away", "away", "proj/dangling -> nowhere")
	target := &Target{Mounts: []Mount{{filepath.Join(root, "proj"), "/app"}, {filepath.Join(root, "shared"), "/lib"}, {"", "/app/volume"}}}
	for name, want := range map[string]string{ // "-" in front: something lies on top of it
		"proj":          "/app",
		"proj/src/new":  "/app/src/new",
		"link/src/pkg":  "/app/src/pkg",
		"link":          "/app",
		"proj/same":     "/app/same",
		"proj/src/up":   "/app/src/up",
		"proj/same/x":   "/app/src/pkg/x",
		"proj/abs":      "/app/src",
		"proj/out":      "/lib",
		"proj/away":     "",
		"proj/away/x":   "",
		"proj/dangling": "/app/dangling",
		"proj/volume":   "-/app/volume",
		"proj/volume/x": "-/app/volume/x",
		"away":          "",
	} {
		got, in := target.PathForFile(filepath.Join(root, name))
		path, covered := strings.CutPrefix(want, "-")
		where := Mounted
		if covered {
			where = Covered
		} else if want == "" {
			where = Outside
		}
		if got != path || in != where {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, in, path, where)
		}
	}
	if got, in := target.PathForFile("proj"); got != "" || in != Outside {
		t.Errorf("a relative path: %q, %v", got, in)
	}
}

func TestPathFor(t *testing.T) {
	t.Parallel()
	root := tree(t, "proj/src/pkg", "proj/.tox", "shared/lib", "proj-2", "proj/..odd",
		"link -> proj", "proj/in -> src", "proj/abs -> ROOT/proj/src", "proj/out -> ../shared", "proj/dangling -> nowhere")
	if err := os.WriteFile(filepath.Join(root, "proj/tox.ini"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		mounts []Mount // below root, unless absolute
		dir    string
		want   string // "" is no path
	}{
		{"the source itself", []Mount{{"proj", "/app"}}, "proj", "/app"},
		{"below", []Mount{{"proj", "/app"}}, "proj/src/pkg", "/app/src/pkg"},
		{"above", []Mount{{"proj/src", "/app"}}, "proj", ""},
		{"beside, same beginning", []Mount{{"proj", "/app"}}, "proj-2", ""},
		{"name with dots", []Mount{{"proj", "/app"}}, "proj/..odd", "/app/..odd"},
		{"no mounts", nil, "proj", ""},
		{"longest source", []Mount{{"proj", "/app"}, {"proj/src", "/lib"}}, "proj/src/pkg", "/lib/pkg"},
		{"target with slash", []Mount{{"proj", "/app/"}}, "proj/src", "/app/src"},
		{"target is the root", []Mount{{"proj", "/"}}, "proj/src", "/src"},
		{"source is the root", []Mount{{"/", "/host"}}, "proj", "/host" + root + "/proj"},
		{"under a volume", []Mount{{"proj", "/app"}, {"", "/app/.tox"}}, "proj/.tox", ""},
		{"beside a volume", []Mount{{"proj", "/app"}, {"", "/app/.tox"}}, "proj/src", "/app/src"},
		{"above a volume", []Mount{{"proj", "/app"}, {"", "/app/src/pkg"}}, "proj/src", "/app/src"},
		{"below a volume", []Mount{{"proj", "/app"}, {"", "/app/src"}}, "proj/src/pkg", ""},
		{"volume with the same beginning", []Mount{{"proj", "/app"}, {"", "/app/sr"}}, "proj/src", "/app/src"},
		{"volume above the target", []Mount{{"", "/data"}, {"proj", "/data/app"}}, "proj", "/data/app"},
		{"under another bind", []Mount{{"proj", "/app"}, {"shared", "/app/src"}}, "proj/src", ""},
		{"under a volume in one of two", []Mount{{"proj", "/app"}, {"proj/src", "/lib"}, {"", "/lib/pkg"}}, "proj/src/pkg", "/app/src/pkg"},
		{"file", []Mount{{"proj/tox.ini", "/app/tox.ini"}}, "proj", ""},
		{"file in a directory", []Mount{{"proj", "/app"}, {"proj/tox.ini", "/app/tox.ini"}}, "proj/src", "/app/src"},
		{"link to the source", []Mount{{"proj", "/app"}}, "link/src", "/app/src"},
		{"source by a link", []Mount{{"link", "/app"}}, "proj/src", "/app/src"},
		{"link inside", []Mount{{"proj", "/app"}}, "proj/in/pkg", "/app/src/pkg"},
		{"absolute link inside", []Mount{{"proj", "/app"}}, "proj/abs", "/app/src"},
		{"link out of it", []Mount{{"proj", "/app"}}, "proj/out/lib", ""},
		{"link into another", []Mount{{"proj", "/app"}, {"shared", "/shared"}}, "proj/out/lib", "/shared/lib"},
		{"source that isn't here", []Mount{{"/nonesuch/x", "/app"}}, "/nonesuch/x/y", "/app/y"},
		{"relative source", []Mount{{"./proj", "/app"}}, "proj", "/app"}, // made absolute below
	} {
		target := Target{}
		for _, m := range test.mounts {
			if m.Source != "" {
				m.Source = abs(root, m.Source)
			}
			target.Mounts = append(target.Mounts, m)
		}
		got, ok := target.PathFor(abs(root, test.dir))
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%s: PathFor(%s) = %q, %t; want %q", test.name, test.dir, got, ok, test.want)
		}
	}
	relative := Target{Mounts: []Mount{{"proj", "/app"}}}
	if got, ok := relative.PathFor("proj"); ok {
		t.Errorf("PathFor of relative paths = %q", got)
	}
}

func abs(root, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(root, name)
}

// Wherever the caller is: the path is in the target of a mount that has the
// directory in its source.
func FuzzPathFor(f *testing.F) {
	f.Add("/a", "/app", "/a/b", "", "/app/b")
	f.Add("/", "/", "/a/../b", "/a", "/x")
	f.Add("/a/b", "/app/..", "/a/b/../../etc", "/a", "//app//")
	f.Add("/a", "/app", "/ab", "/a/b", "/app/c/../..")
	f.Add("/tmp/..", "/x", "/tmp/../etc", "/tmp", "y")
	f.Fuzz(func(t *testing.T, source1, target1, dir, source2, target2 string) {
		target := Target{Mounts: []Mount{{source1, target1}, {source2, target2}}}
		got, ok := target.PathFor(dir)
		if !ok {
			return
		}
		if got != path.Clean(got) {
			t.Errorf("PathFor(%q) = %q, which isn't clean", dir, got)
		}
		for _, m := range target.Mounts {
			below, err := filepath.Rel(resolve(m.Source), resolve(dir))
			if err == nil && filepath.IsLocal(below) && within(got, clean(m.Target)) {
				return
			}
		}
		t.Errorf("PathFor(%q) = %q is in no mount of %+v that has the directory", dir, got, target.Mounts)
	})
}

func TestMountSources(t *testing.T) {
	t.Parallel()
	root := tree(t, "proj", "old", "link -> proj")
	proj, old, link := filepath.Join(root, "proj"), filepath.Join(root, "old"), filepath.Join(root, "link")
	for _, test := range []struct {
		name   string
		binds  []Mount
		engine mount
		want   string
	}{
		{"as in the file", []Mount{{proj, "/app"}}, mount{true, proj, "/app"}, proj},
		{"by the name the file has", []Mount{{link, "/app/"}}, mount{true, proj, "/app"}, link},
		{"file has changed since", []Mount{{proj, "/app"}}, mount{true, old, "/app"}, old},
		{"no longer in the file", nil, mount{true, old, "/app"}, old},
		{"now a volume", []Mount{{proj, "/app"}}, mount{false, "/var/lib/docker/volumes/x/_data", "/app"}, ""},
		{"Docker Desktop", []Mount{{proj, "/app"}}, mount{true, "/host_mnt" + proj, "/app"}, proj},
		{"Docker Desktop without files", nil, mount{true, "/host_mnt" + proj, "/app"}, proj},
		{"a path that says nothing here", []Mount{{proj, "/app"}}, mount{true, "/run/desktop/mnt/host/wsl/docker-desktop-bind-mounts/Debian/0123", "/app"}, proj},
		{"the same without files", nil, mount{true, "/run/desktop/mnt/host/wsl/docker-desktop-bind-mounts/Debian/0123", "/app"}, ""},
		{"Engine elsewhere", []Mount{{"/nonesuch/there", "/app"}}, mount{true, "/nonesuch/there", "/app"}, "/nonesuch/there"},
	} {
		got := mounts(test.binds, &container{mounts: []mount{test.engine}})
		if len(got) != 1 || got[0].Source != test.want || got[0].Target != "/app" {
			t.Errorf("%s: %+v, want the source %q", test.name, got, test.want)
		}
	}
}
