package paths

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// project is a mount, one inside it that is a volume, one with a name that a URL
// writes in another way, and one of a single file.
func project() *Map {
	return NewMap([]Pair{
		{"/app", "/home/me/my project"},
		{"/app/.tox", ""},
		{"/application", "/srv/a"},
		{"/app/é t", "/elsewhere"},
		{"/etc/app.ini", "/home/me/app.ini"},
		{"/host", "/"},
	})
}

var mapped = []struct{ name, in, out string }{
	{"file and line", "/app/t.py:3: AssertionError\n", "/home/me/my project/t.py:3: AssertionError\n"},
	{"in a sentence", "rootdir: /app, configfile: /app/tox.ini\n", "rootdir: /home/me/my project, configfile: /home/me/my project/tox.ini\n"},
	{"quoted", `File "/app/a.py", line 1` + "\n", `File "/home/me/my project/a.py", line 1` + "\n"},
	{"at the very end", "cwd=/app", "cwd=/home/me/my project"},
	{"a file that is mounted", "'/etc/app.ini'", "'/home/me/app.ini'"},
	{"JSON", `{"file":"/app/a.py","text":"1\n/app/b.py\t/app"}`, `{"file":"/home/me/my project/a.py","text":"1\n/home/me/my project/b.py\t/home/me/my project"}`},
	{"a backslash before a name", `a\\n/app`, `a\\n/app`},
	{"URL", "see file:///app/a.html", "see file:///home/me/my%20project/a.html"},
	{"URL, escaped", "file:///app/%C3%A9%20t/a", "file:///elsewhere/a"},
	{"URL with a host", "file://box.lan/app/a", "file://box.lan/home/me/my%20project/a"},
	{"another URL", "http://localhost/app/a http:///app file:///x/app", "http://localhost/app/a http:///app file:///x/app"},
	{"coloured", "\x1b[1m\x1b[31m/app/a.py\x1b[0m:1", "\x1b[1m\x1b[31m/home/me/my project/a.py\x1b[0m:1"},
	{"coloured, behind a name", "x\x1b[31m/app", "x\x1b[31m/app"},
	{"coloured in JSON", `"\u001b[31m/app/a\u001b[0m"`, `"\u001b[31m/home/me/my project/a\u001b[0m"`},
	{"a link of a terminal", "\x1b]8;;file:///app/a\x1b\\/app/a\x1b]8;;\x1b\\", "\x1b]8;;file:///home/me/my%20project/a\x1b\\/home/me/my project/a\x1b]8;;\x1b\\"},
	{"a list of paths", "PATH=/usr/bin:/app/bin", "PATH=/usr/bin:/home/me/my project/bin"},
	{"after another letter", "“/app/a” é/app │/app/│", "“/home/me/my project/a” é/app │/home/me/my project/│"},
	{"a longer name", "/apps /app.py /app-1 /app_ /app~ /appé", "/apps /app.py /app-1 /app_ /app~ /appé"},
	{"part of a path", "/srv/app/a ./app ../app a/app $HOME/app ~/app -/app", "/srv/app/a ./app ../app a/app $HOME/app ~/app -/app"},
	{"in a mount over it", "/app/.tox/py/lib /app/.toxic /app/.tox", "/app/.tox/py/lib /home/me/my project/.toxic /app/.tox"},
	{"the longest name", "/application/x /app/é t/y", "/srv/a/x /elsewhere/y"},
	{"the root", "/host/etc /host", "/etc /"},
	{"no UTF-8", "\xff/app \x01/app\x01", "\xff/app \x01/home/me/my project\x01"},
	{"no text", "PK\x00\n/app/a\n\x00/app", "PK\x00\n/app/a\n\x00/app"},
	{"nothing of ours", "abc\r\ndef /usr/lib\n", "abc\r\ndef /usr/lib\n"},
}

// However the output is cut, the paths are whole.
func TestPathsAreMapped(t *testing.T) {
	for _, test := range mapped {
		t.Run(test.name, func(t *testing.T) {
			for size := 1; size <= len(test.in); size++ {
				var got bytes.Buffer
				w := NewWriter(&got, project())
				w.Patience = time.Hour
				for rest := []byte(test.in); len(rest) > 0; rest = rest[min(size, len(rest)):] {
					piece := bytes.Clone(rest[:min(size, len(rest))])
					if n, err := w.Write(piece); n != len(piece) || err != nil {
						t.Fatal(n, err)
					}
					clear(piece) // the writer must not hold on to it
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if got.String() != test.out {
					t.Fatalf("in pieces of %d: %q, want %q", size, got.String(), test.out)
				}
			}
		})
	}
}

// A shown is what a Writer's timer may write to as well.
type shown struct {
	mu   sync.Mutex
	text []byte
}

func (s *shown) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p...)
	return len(p), nil
}

// take returns what was written since the last time.
func (s *shown) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := string(s.text)
	s.text = nil
	return text
}

// What may be the begin of a path waits, nothing else does, and not for long.
func TestOnlyTheBeginOfAPathWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got shown
		w := NewWriter(&got, project())
		w.Patience = time.Second
		expect := func(after, want string) {
			t.Helper()
			if got := got.take(); got != want {
				t.Errorf("after %s: %q, want %q", after, got, want)
			}
		}
		write := func(text, want string) {
			t.Helper()
			io.WriteString(w, text)
			expect(text, want)
		}
		wait := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		write("a line\nand more", "a line\nand more")
		write("? /ap", "? ")
		write("p/x", "/home/me/my project/x")
		write(" y /a", " y ")
		wait(999 * time.Millisecond)
		write("p", "")
		wait(999 * time.Millisecond)
		expect("not yet its time", "")
		wait(time.Millisecond)
		expect("its time", "/ap")
		write("p", "p") // the begin is shown already: it is no path any more
		write("\n/app", "\n")
		wait(time.Second)
		expect("its time", "/app") // it might be /apple
		w.Close()
		expect("the end", "")
	})
}

// A program that draws counts the columns itself.
func TestDrawingIsLeftAlone(t *testing.T) {
	in := "/app\r\n\x1b[?1049h/app\n\x1b[?25l/app\x1b[?25;1049l/app \n\x1b[?2004h/app# \n\x1b[?2004l\r\n/app "
	const ours = "/home/me/my project"
	want := ours + "\r\n\x1b[?1049h/app\n\x1b[?25l/app\x1b[?25;1049l" + ours + " \n\x1b[?2004h/app# \n\x1b[?2004l\r\n" + ours + " "
	for size := 1; size <= len(in); size++ {
		var got bytes.Buffer
		w := NewWriter(&got, project())
		w.Terminal = true
		w.Patience = time.Hour
		for at := 0; at < len(in); at += size {
			io.WriteString(w, in[at:min(at+size, len(in))])
		}
		w.Close()
		if got.String() != want {
			t.Fatalf("in pieces of %d: %q, want %q", size, got.String(), want)
		}
	}
}

// At a terminal a path waits for the end of its line, and is left as it is where there is
// none: a prompt, a line that is edited, a progress bar.
func TestALineWithoutAnEndIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got shown
		w := NewWriter(&got, project())
		w.Terminal = true
		for _, step := range []struct{ in, at, after string }{
			{"in /app/a: 3", "in ", "/app/a: 3"},
			{" errors\r\n", " errors\r\n", ""},
			{"/app/a: ", "", ""},
			{"1\r\n/app/b\r\n/app> ", "/home/me/my project/a: 1\r\n/home/me/my project/b\r\n", "/app> "},
			{"\r/app 50%", "\r", "/app 50%"},
			{"\x1b[?1049h /app\n", "\x1b[?1049h /app\n", ""},
			{"\x1b[?1049l/app\x1b[?1049h", "\x1b[?1049l", "/app\x1b[?1049h"},
			{"/app\n", "/app\n", ""},
		} {
			io.WriteString(w, step.in)
			if got := got.take(); got != step.at {
				t.Errorf("after %q: %q, want %q", step.in, got, step.at)
			}
			if step.at == "" {
				continue
			}
			time.Sleep(DefaultPatience)
			synctest.Wait()
			if got := got.take(); got != step.after {
				t.Errorf("a while after %q: %q, want %q", step.in, got, step.after)
			}
		}
		w.Close()
	})
}

// What a filter was given it must give back.
func TestExact(t *testing.T) {
	var got bytes.Buffer
	w := NewWriter(&got, project())
	io.WriteString(w, "/app /ap")
	w.Exact()
	io.WriteString(w, "p /app")
	w.Close()
	if want := "/home/me/my project /app /app"; got.String() != want {
		t.Errorf("%q, want %q", got.String(), want)
	}
}

// Whatever comes, and however it is cut, only paths change.
func FuzzWriter(f *testing.F) {
	for _, test := range mapped {
		f.Add([]byte(test.in), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		run := func(size int) string {
			var got bytes.Buffer
			w := NewWriter(&got, project())
			w.Patience = time.Hour
			for rest := in; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				w.Write(rest[:min(size, len(rest))])
			}
			w.Close()
			return got.String()
		}
		if bytes.IndexByte(in, 0) >= 0 {
			in = bytes.ReplaceAll(in, []byte{0}, nil) // how much is mapped before depends on the cuts
		}
		whole := run(len(in) + 1)
		if cut := run(int(size) + 1); cut != whole {
			t.Errorf("in pieces of %d: %q, at once: %q", int(size)+1, cut, whole)
		}
		if !bytes.Contains(in, []byte("/app")) && !bytes.Contains(in, []byte("/etc/app.ini")) && !bytes.Contains(in, []byte("/host")) && whole != string(in) {
			t.Errorf("%q became %q", in, whole)
		}
	})
}

type failing struct{ after int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestErrorOfTheWriterBelowStays(t *testing.T) {
	w := NewWriter(&failing{5}, project())
	if n, err := io.WriteString(w, "four /app"); n != 9 || err != nil {
		t.Error(n, err)
	}
	for range 2 {
		if _, err := io.WriteString(w, "/more"); err != errFull {
			t.Errorf("error %v", err)
		}
	}
	if err := w.Close(); err != errFull {
		t.Errorf("Close: %v", err)
	}
}

func TestMapThatChangesNothing(t *testing.T) {
	for _, pairs := range [][]Pair{nil, {{"/a", "/a"}}, {{"/a", ""}}, {{"/", "/home"}}} {
		if NewMap(pairs) != nil {
			t.Errorf("%v is not nil", pairs)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	for name, line := range map[string]string{
		"text":  "2024-01-01 12:00:00 INFO some.module: this is what a line of a log looks like\n",
		"paths": "/app/tests/test_greeting.py:31: in test_greeting\n",
		"other": "/usr/lib/python3/dist-packages/_pytest/python.py:194: in pytest_pyfunc_call\n",
	} {
		b.Run(name, func(b *testing.B) {
			text := []byte(strings.Repeat(line, 32<<10/len(line)))
			w := NewWriter(io.Discard, NewMap([]Pair{{"/app", "/home/me/project"}, {"/app/.tox", ""}}))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				w.Write(text)
			}
		})
	}
}
