package watch

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatIsPolledFromTheStart(t *testing.T) {
	t.Parallel()
	for magic, name := range map[uint32]string{
		0x01021997: "9p", 0x6969: "nfs", 0x65735546: "fuse", 0xfe534d42: "smb", 0xff534d42: "cifs", 0x786f4256: "vboxsf",
		unix.EXT4_SUPER_MAGIC: "", unix.TMPFS_MAGIC: "", unix.OVERLAYFS_SUPER_MAGIC: "", unix.BTRFS_SUPER_MAGIC: "", unix.XFS_SUPER_MAGIC: "",
	} {
		if got := remotes[magic]; got != name {
			t.Errorf("%#x: %q, want %q", magic, got, name)
		}
	}
	for _, path := range []string{t.TempDir(), "/proc", "/missing"} {
		if got := remote(path); got != "" {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// mount mounts a FUSE filesystem over what is in dir.
func mount(t *testing.T, dir string) {
	t.Helper()
	give := t.Skipf
	if os.Getenv("TOXRUN_TEST_ENGINE") == "required" {
		give = t.Fatalf
	}
	program, err := exec.LookPath("fuse-overlayfs")
	if err != nil {
		give("no fuse-overlayfs")
	}
	above := t.TempDir()
	mkdir(t, filepath.Join(above, "upper"))
	mkdir(t, filepath.Join(above, "work"))
	options := "lowerdir=" + dir + ",upperdir=" + above + "/upper,workdir=" + above + "/work"
	if out, err := exec.Command(program, "-o", options, dir).CombinedOutput(); err != nil {
		if errors.Is(os.ErrPermission, err) || os.Getuid() != 0 {
			give("%s: %s", program, out)
		}
		t.Fatalf("%s: %v: %s", program, err, out)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// A real FUSE filesystem is polled, as a root and in a tree that is not.
func TestFUSEIsPolled(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, "a.py", "src/b.py", "mnt/c.py", "mnt/deep/d.py")
	mount(t, filepath.Join(dir, "mnt"))

	root := watch(t, filepath.Join(dir, "mnt"), Tree{})
	if root.Mode() != "polling every 500ms (fuse)" {
		t.Errorf("mode: %s", root.Mode())
	}
	if n := watches(t); n != 0 {
		t.Errorf("%d watches", n)
	}
	sh(t, root.dir, "echo 2 >c.py; mkdir new; echo >new/e.py; rm deep/d.py")
	root.expect("~c.py", "+new/e.py", "-deep/d.py")
	root.expectNone()
	root.Close()

	both := watch(t, dir, Tree{})
	if !strings.HasPrefix(both.Mode(), "file events, and polling every 500ms where there are none") {
		t.Errorf("mode: %s", both.Mode())
	}
	if n := watches(t); n != 2 {
		t.Errorf("%d watches, want those of the root and src", n)
	}
	sh(t, dir, "echo 3 >mnt/c.py")
	both.expect("~mnt/c.py")
	sh(t, dir, "echo 3 >src/b.py")
	both.expect("~src/b.py")
	sh(t, dir, "mkdir mnt/more; echo >mnt/more/f.py")
	both.expect("+mnt/more/f.py")
	both.expectNone()
}

// The inodes of remote files may be others at each look.
func TestRemoteInodesDontCount(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.py")
	write(t, path, "x")
	info, err := os.Lstat(path)
	must(t, err)
	if s := (&dir{remote: "fuse"}).stamp(info); s.inode != 0 || !s.isFile() {
		t.Errorf("stamp: %+v", s)
	}
	if s := (&dir{}).stamp(info); s.inode == 0 {
		t.Errorf("stamp: %+v", s)
	}
}
