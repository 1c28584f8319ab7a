package enginetest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// marker is the variable that tells a container's processes.
const marker = "ENGINETEST_CONTAINER"

// environment is what the Engine gives a process, in its order: its own, the
// container's, the exec's, and from the runtime HOME.
func (x *instance) environment(u *account) []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOSTNAME=" + x.box.id[:12],
	}
	if x.opts.Tty {
		env = append(env, "TERM=xterm")
	}
	env = override(env, x.box.Env)
	env = override(env, x.opts.Env)
	if _, ok := lookup(env, "HOME"); !ok {
		env = append(env, "HOME="+u.home)
	}
	return append(env, marker+"="+x.box.id)
}

// override sets variables; one without a value is removed.
func override(env, with []string) []string {
	for _, kv := range with {
		k, _, ok := strings.Cut(kv, "=")
		i := slices.IndexFunc(env, func(s string) bool { return strings.HasPrefix(s, k+"=") })
		switch {
		case i < 0 && ok:
			env = append(env, kv)
		case i >= 0 && ok:
			env[i] = kv
		case i >= 0:
			env = slices.Delete(env, i, i+1)
		}
	}
	return env
}

func lookup(env []string, key string) (string, bool) {
	for _, kv := range env {
		if k, v, _ := strings.Cut(kv, "="); k == key {
			return v, true
		}
	}
	return "", false
}

// workDir is the directory of the machine that stands for one in the container.
func (b *box) workDir(dir string) (string, error) {
	if dir == "" {
		dir = "/"
	}
	if !filepath.IsAbs(dir) {
		return "", &startError{"Cwd must be an absolute path: unknown", 128}
	}
	at := filepath.Clean(dir)
	for _, m := range b.Mounts {
		if rel, err := filepath.Rel(m.Destination, at); err == nil && filepath.IsLocal(rel) {
			at = filepath.Join(m.Source, rel)
			break
		}
	}
	cannot := `chdir to cwd ("` + dir + `") set in config.json failed: `
	switch info, err := os.Stat(at); {
	case errors.Is(err, fs.ErrNotExist):
		return "", cannotStart(127, cannot+"no such file or directory: unknown")
	case err != nil:
		return "", cannotStart(126, cannot+err.Error()+": unknown")
	case !info.IsDir():
		return "", cannotStart(127, cannot+"not a directory: unknown: Are you trying to mount a directory onto a file "+
			"(or vice-versa)? Check if the specified host path exists and is the expected type")
	}
	return at, nil
}

// lookPath finds the program as the runtime does: in the PATH that it will
// have, from the directory where it will be.
func (b *box) lookPath(name string, env []string, dir string) (string, error) {
	cannot := `exec: "` + name + `": `
	if b.NoShell && !slices.Contains(strings.Fields("cat echo env false sleep true yes"), filepath.Base(name)) {
		if strings.Contains(name, "/") {
			return "", cannotStart(127, cannot+"stat "+name+": no such file or directory: unknown")
		}
		return "", cannotStart(127, cannot+"executable file not found in $PATH: unknown")
	}
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		switch ok, err := executable(path); {
		case errors.Is(err, fs.ErrNotExist):
			return "", cannotStart(127, cannot+"stat "+name+": no such file or directory: unknown")
		case err != nil:
			return "", cannotStart(126, cannot+err.Error()+": unknown")
		case !ok:
			return "", cannotStart(126, cannot+"permission denied: unknown")
		}
		return name, nil // a script is told, and it begins in dir
	}
	path, _ := lookup(env, "PATH")
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		if ok, err := executable(filepath.Join(d, name)); ok && err == nil {
			return filepath.Join(d, name), nil
		}
	}
	return "", cannotStart(127, cannot+"executable file not found in $PATH: unknown")
}

func executable(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return info.Mode().IsRegular() && info.Mode()&0o111 != 0, nil
}
