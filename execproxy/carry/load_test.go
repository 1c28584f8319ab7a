package carry

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/toxrun/docker-toxrun/execproxy/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.Unignore()
	os.Exit(m.Run())
}

// files makes files with contents below dir: a name that ends in / is a directory, and
// "-> x" a link's.
func files(t *testing.T, dir string, contents map[string]string) {
	t.Helper()
	for name, content := range contents {
		name = filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if to, link := strings.CutPrefix(content, "-> "); err == nil && link {
			err = os.Symlink(to, name)
		} else if err == nil {
			err = os.WriteFile(name, []byte(content), 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// hasText fails the test unless a file holds text; "" is no such file.
func hasText(t *testing.T, name, text string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if string(got) != text || err != nil && (text != "" || !errors.Is(err, os.ErrNotExist)) {
		t.Errorf("%s: %q (%v), want %q", name, got, err, text)
	}
}

func add(t *testing.T, l *Load, name string) string {
	t.Helper()
	inside, err := l.Add(name)
	if err != nil {
		t.Fatal(err)
	}
	return inside
}

// What goes in is what is here, and what comes back is what was written, and no more.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	e := enginetest.Real(t, "toxrun-test:busybox")
	here := t.TempDir()
	files(t, here, map[string]string{
		"a/script": "one\n", "a/untouched": "two\n", "a/not added": "three\n",
		"dir/sub/x": "x\n", "dir/sub/y": "y\n", "dir/link": "-> sub/x", "dir/away": "-> /etc/passwd",
		"dir/gone/z": "z\n", "away/real": "real\n", "b/link": "-> ../away/real", "b/gone": "gone\n",
	})
	l := &Load{Engine: e.Client, Container: e.Container, Dir: "/tmp/run", UID: 7, GID: 8}
	script := add(t, l, filepath.Join(here, "a/script"))
	if again := add(t, l, filepath.Join(here, "a/script")); again != script || !strings.HasPrefix(script, "/tmp/run/") || filepath.Base(script) != "script" {
		t.Errorf("%s and %s", script, again)
	}
	untouched, report := add(t, l, filepath.Join(here, "a/untouched")), add(t, l, filepath.Join(here, "a/report"))
	dir, link, gone := add(t, l, filepath.Join(here, "dir")), add(t, l, filepath.Join(here, "b/link")), add(t, l, filepath.Join(here, "b/gone"))
	real, err := os.Open(filepath.Join(here, "away/real")) // as an editor has its temporary file
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	if err := l.Send(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got, want := e.Exec(t, "sh", "-c", "cd /tmp/run && stat -c '%u:%g %a' . && cat "+script+" "+untouched+" "+dir+"/link && readlink "+dir+"/away && ls "+filepath.Dir(script)),
		"7:8 700\none\ntwo\nx\n/etc/passwd\nscript\nuntouched\n"; got != want {
		t.Errorf("in the container: %q, want %q", got, want)
	}
	// What did not change there must not be written here.
	files(t, here, map[string]string{"a/untouched": "changed here\n", "a/there": "mine\n", "a/same": "same\n"})
	e.Exec(t, "sh", "-c", `set -e
		echo REAL > `+link+`; rm `+gone+`; rm -r `+dir+`/gone
		echo ONE > `+script+`; mkdir `+filepath.Dir(script)+`/__pycache__; echo c > `+filepath.Dir(script)+`/__pycache__/c; echo same > `+filepath.Dir(script)+`/same; echo report > `+report+`; cd `+filepath.Dir(script)+`
		echo beside > beside; echo over > there
		cd `+dir+`; mkdir -p new/er; echo z > new/er/z; echo X >> sub/x; ln -s z new/er/l; ln -s /etc new/etc; mkfifo new/pipe`)
	err = l.Receive(context.Background())
	for _, lost := range []string{"a/there: ", "dir/new/etc: it is a link to /etc", "dir/new/pipe: "} {
		if err == nil || !strings.Contains(err.Error(), filepath.Join(here, lost[:strings.Index(lost, ":")])+lost[strings.Index(lost, ":"):]) {
			t.Errorf("the error says nothing of %s: %v", lost, err)
		}
	}
	for name, text := range map[string]string{
		"a/script": "ONE\n", "a/untouched": "changed here\n", "a/report": "report\n", "a/beside": "beside\n", "a/there": "mine\n",
		"dir/new/er/z": "z\n", "dir/new/er/l": "z\n", "dir/sub/x": "x\nX\n", "dir/sub/y": "y\n",
		"a/__pycache__/c": "", "away/real": "REAL\n", "b/gone": "", "dir/gone/z": "",
	} {
		hasText(t, filepath.Join(here, name), text)
	}
	if text, err := io.ReadAll(real); string(text) != "REAL\n" {
		t.Errorf("who has the file open reads %q (%v)", text, err)
	}
	if _, err := os.Lstat(filepath.Join(here, "dir/gone")); err == nil {
		t.Error("a directory that was removed is there")
	}
	if len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("more was lost: %v", err)
	}
}

// A user that only the image knows the number of can read and write all.
func TestAnyUserCanUseWhatIsShared(t *testing.T) {
	t.Parallel()
	e := enginetest.Real(t, "toxrun-test:busybox")
	here := t.TempDir()
	files(t, here, map[string]string{"private": "text\n"})
	if err := os.Chmod(filepath.Join(here, "private"), 0o500); err != nil {
		t.Fatal(err)
	}
	l := &Load{Engine: e.Client, Container: e.Container, Dir: "/tmp/run", Shared: true}
	inside := add(t, l, filepath.Join(here, "private"))
	if err := l.Send(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := e.Exec(t, "stat", "-c", "%a", "/tmp/run", filepath.Dir(inside), inside); got != "777\n777\n777\n" {
		t.Errorf("modes %q", got)
	}
}

func TestWhatCantBeCarried(t *testing.T) {
	t.Parallel()
	here := t.TempDir()
	big := filepath.Join(here, "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, maxSize+1); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(here, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	l := &Load{Dir: "/tmp/run"}
	for _, name := range []string{big, socket} {
		if _, err := l.Add(name); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !l.Empty() {
		t.Error("some of it was added")
	}
}

// An archived is an Engine that gives an archive.
type archived struct{ entries []tar.Header }

func (archived) CopyToContainer(context.Context, string, string, io.Reader, container.CopyToContainerOptions) error {
	return nil // without reading to the end
}

func (a archived) CopyFromContainer(context.Context, string, string) (io.ReadCloser, container.PathStat, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range a.entries {
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			return nil, container.PathStat{}, err
		}
		if h.Typeflag == tar.TypeReg {
			io.WriteString(w, "evil")
		}
	}
	return io.NopCloser(&b), container.PathStat{}, w.Close()
}

// Whatever a container gives back, nothing is written outside the directories that files
// were from.
func TestNothingIsWrittenElsewhere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	files(t, root, map[string]string{"secret": "mine", "a/x/file": "text"})
	var entries []tar.Header
	for _, name := range []string{
		"run/0/../secret", "run/0/x/../../../secret", "run/1/secret", "run/-1/secret", "run//secret", "secret", "/secret",
		"run/0/x/link/secret", "run/0/x/up/secret",
	} {
		entries = append(entries, tar.Header{Typeflag: tar.TypeReg, Name: name})
	}
	links := []tar.Header{
		{Typeflag: tar.TypeSymlink, Name: "run/0/x/link", Linkname: root},
		{Typeflag: tar.TypeSymlink, Name: "run/0/x/up", Linkname: "../.."},
		{Typeflag: tar.TypeLink, Name: "run/0/x/hard", Linkname: "/etc/passwd"},
	}
	l := &Load{Engine: archived{append(links, entries...)}, Dir: "/tmp/run"}
	add(t, l, filepath.Join(root, "a/x"))
	if err := l.Send(context.Background()); err != nil && !strings.Contains(err.Error(), "stopped reading") {
		t.Fatal(err)
	}
	if err := l.Receive(context.Background()); err == nil {
		t.Error("no error")
	}
	hasText(t, filepath.Join(root, "secret"), "mine")
	for _, name := range []string{"a/x/link", "a/x/up", "a/x/hard"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
}
