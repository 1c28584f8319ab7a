package paths

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Only what names a file of this machine is translated, and all else stays to the byte.
func TestWords(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"p/tests/a.py", "p/x y.ini", "p/a:3", "out/there.xml"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "out/dangling")); err != nil {
		t.Fatal(err)
	}
	words := Words{Dir: filepath.Join(dir, "p"), Translate: func(name, path string) string {
		to := "<" + strings.TrimPrefix(path, dir) + ">"
		if _, err := os.Stat(path); err != nil {
			to = "new" + to
		}
		return to
	}}
	for _, test := range []struct{ args, want []string }{ // D/ is dir; nil is as it was
		{[]string{"D/p/tests/a.py"}, []string{"</p/tests/a.py>"}},
		{[]string{"D/p/tests/"}, []string{"</p/tests>/"}},
		{[]string{"D/p/tests/a.py::test_x[D/p]"}, []string{"</p/tests/a.py>::test_x[D/p]"}},
		{[]string{"D/p/tests/a.py:31"}, []string{"</p/tests/a.py>:31"}},
		{[]string{"D/p/tests/a.py:31:7:"}, []string{"</p/tests/a.py>:31:7:"}},
		{[]string{"D/p/a:3"}, []string{"</p/a:3>"}},
		{[]string{"--rootdir=D/p"}, []string{"--rootdir=</p>"}},
		{[]string{"-cD/p/x y.ini"}, []string{"-c</p/x y.ini>"}},
		{[]string{"-o", "cache_dir=D/p/tests"}, []string{"-o", "cache_dir=</p/tests>"}},
		{[]string{"KEY=D/p"}, []string{"KEY=</p>"}},
		{[]string{"@D/p/x y.ini"}, []string{"@</p/x y.ini>"}},
		{[]string{"tests/a.py"}, []string{"</p/tests/a.py>"}},
		{[]string{"../out/there.xml"}, []string{"</out/there.xml>"}},
		{[]string{"--junitxml=D/out/new.xml"}, []string{"--junitxml=new</out/new.xml>"}},
		{[]string{"--junitxml", "D/out/new.xml"}, []string{"--junitxml", "new</out/new.xml>"}},
		{[]string{"-D/out/new.xml"}, nil},
		{[]string{"D/out/new.xml"}, nil},
		{[]string{"-x=1", "D/out/new.xml"}, nil},
		{[]string{"--", "D/out/new.xml"}, nil},
		{[]string{"KEY=D/out/new.xml"}, nil},
		{[]string{"--x=D/nowhere/new.xml"}, nil},
		{[]string{"--x=D/out/there.xml/new"}, nil},
		{[]string{"--x=D/out/dangling"}, nil},
		{[]string{"--x=out/new"}, nil},
		{[]string{"--x=D/out/new/"}, nil},
		{[]string{"tests"}, nil},
		{[]string{"tests/b.py"}, nil},
		{[]string{"cd D/p && ls"}, nil},
		{[]string{"see D/p"}, nil},
		{[]string{"a/b=D/p"}, nil},
		{[]string{"D/pp"}, nil},
		{[]string{"x", "xD/p"}, nil},
		{[]string{"--x"}, nil},
		{[]string{""}, nil},
		{[]string{"="}, nil},
	} {
		in := func(args []string) []string {
			var got []string
			for _, arg := range args {
				got = append(got, strings.ReplaceAll(arg, "D/", dir+"/"))
			}
			return got
		}
		args, given := in(test.args), in(test.args)
		want := in(test.want)
		if want == nil {
			want = given
		}
		if got := words.Args(args); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
		if !slices.Equal(args, given) {
			t.Errorf("%q was changed to %q", given, args)
		}
	}
}
