package watch

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// watches counts this process's watches and instances of inotify, those of tests
// that run in parallel too.
func watches(t testing.TB) int {
	n, _ := inotify(t)
	return n
}

func inotify(t testing.TB) (watches, instances int) {
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	must(t, err)
	for _, info := range infos {
		text, err := os.ReadFile(info)
		if err != nil {
			continue
		}
		n := bytes.Count(text, []byte("inotify wd:"))
		watches += n
		if n > 0 {
			instances++
		}
	}
	return watches, instances
}

// rerun runs the test of t alone in a process of its own, for which command may set
// up what it likes; the environment has WATCH_TEST_LIMITED set.
func rerun(t *testing.T, command func(*exec.Cmd)) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), "WATCH_TEST_LIMITED=1")
	command(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v: %s", err, out)
	}
}

// asNobody runs the test as a user whom permissions stop.
func asNobody(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for up := dir; up != os.TempDir() && up != "/"; up = filepath.Dir(up) {
		must(t, os.Chmod(up, 0o755))
	}
	binary := filepath.Join(dir, "test")
	data, err := os.ReadFile(os.Args[0])
	must(t, err)
	syscall.ForkLock.RLock() // a child that has the file open for writing would make it busy
	err = os.WriteFile(binary, data, 0o755)
	syscall.ForkLock.RUnlock()
	must(t, err)
	must(t, os.Chmod(binary, 0o755)) // whatever the umask
	tmp := filepath.Join(dir, "tmp")
	mkdir(t, tmp)
	must(t, os.Chown(tmp, 65534, 65534))
	rerun(t, func(cmd *exec.Cmd) {
		cmd.Path, cmd.Args[0] = binary, binary
		cmd.Dir = tmp
		cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	})
}

// limitTo lowers a limit of inotify's in a user namespace of its own, and reports
// whether the test is to go on: it is in there.
func limitTo(t *testing.T, limit string, n int) bool {
	t.Helper()
	if limited() {
		must(t, os.WriteFile("/proc/sys/user/"+limit, []byte(fmt.Sprint(n)), 0))
		return true
	}
	rerun(t, func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	})
	return false
}

func TestTooFewWatchesFromTheStart(t *testing.T) {
	t.Parallel()
	if !limitTo(t, "max_inotify_watches", 10) {
		return
	}
	dir := t.TempDir()
	for i := range 20 {
		tree(t, dir, fmt.Sprintf("d%d/f", i))
	}
	w := watch(t, dir, Tree{})
	text, hint, _ := strings.Cut(<-w.notices, "\n")
	if !strings.Contains(text, "fs.inotify.max_user_watches is ") || !strings.HasPrefix(hint, "sudo sysctl fs.inotify.max_user_watches=") {
		t.Errorf("notice: %s\nhint: %s", text, hint)
	}
	if !strings.HasPrefix(w.Mode(), "polling every 500ms (fs.inotify.max_user_watches is ") {
		t.Errorf("mode: %s", w.Mode())
	}
	if n := watches(t); n != 0 {
		t.Errorf("%d watches are kept", n)
	}
	write(t, filepath.Join(dir, "d3/f"), "2")
	tree(t, dir, "d19/e/f")
	w.expect("~d3/f", "+d19/e/f")
	w.expectNone()
}

func TestTooFewWatchesLater(t *testing.T) {
	t.Parallel()
	if !limitTo(t, "max_inotify_watches", 10) {
		return
	}
	dir := t.TempDir()
	tree(t, dir, "a.py", "d/f")
	w := watch(t, dir, Tree{})
	if w.Mode() != "file events" {
		t.Errorf("mode: %s", w.Mode())
	}
	var want []string
	for i := range 20 {
		tree(t, dir, fmt.Sprintf("d%d/f", i))
		want = append(want, fmt.Sprintf("+d%d/f", i))
	}
	if n := <-w.notices; !strings.Contains(n, "fs.inotify.max_user_watches is ") {
		t.Errorf("notice: %s", n)
	}
	w.expect(want...)
	write(t, filepath.Join(dir, "d19/f"), "2")
	w.expect("~d19/f")
	if !strings.HasPrefix(w.Mode(), "polling") {
		t.Errorf("mode: %s", w.Mode())
	}
}

func TestTooFewInstances(t *testing.T) {
	t.Parallel()
	if !limitTo(t, "max_inotify_instances", 0) {
		return
	}
	dir := t.TempDir()
	tree(t, dir, "a.py")
	w := watch(t, dir, Tree{})
	if n := <-w.notices; !strings.Contains(n, "fs.inotify.max_user_instances is ") {
		t.Errorf("notice: %s", n)
	}
	write(t, filepath.Join(dir, "a.py"), "2")
	w.expect("~a.py")
}

// An ignored directory is not even looked into.
func TestAnIgnoredDirectoryNeedNotBeReadable(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		asNobody(t)
		return
	}
	dir := t.TempDir()
	tree(t, dir, "a.py", "node_modules/", "secret/x", "closed/x")
	for _, name := range []string{"node_modules", "secret", "closed"} {
		path := filepath.Join(dir, name)
		must(t, os.Chmod(path, 0))
		defer os.Chmod(path, 0o700)
	}
	w := watch(t, dir, Tree{Ignore: []string{"secret"}})
	if n := <-w.notices; !strings.Contains(n, "can't watch "+filepath.Join(dir, "closed")+": permission denied\nignore it") {
		t.Errorf("notice: %s", n)
	}
	w.expectNone()
	must(t, os.Chmod(filepath.Join(dir, "closed"), 0o700))
	w.expect("+closed/x") // it was never seen before
	tree(t, dir, "closed/y")
	w.expect("+closed/y")
}

// What the rules come to ignore gives its watches back, and what they don't any more
// gets some.
func TestWatchesFollowTheRules(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, "src/a.py", "gen/x", "gen/deep/y")
	w := watch(t, dir, Tree{})
	if n := watches(t); n != 4 {
		t.Errorf("%d watches, want 4", n)
	}
	write(t, filepath.Join(dir, ".gitignore"), "gen\n")
	w.expect("+.gitignore")
	if n := watches(t); n != 2 {
		t.Errorf("%d watches, want 2", n)
	}
	must(t, os.Remove(filepath.Join(dir, ".gitignore")))
	w.expect("-.gitignore")
	if n := watches(t); n != 4 {
		t.Errorf("%d watches, want 4", n)
	}
}
