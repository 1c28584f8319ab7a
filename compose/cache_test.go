package compose_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
)

// listening is a project on an Engine that has its one container.
func listening(t *testing.T, files map[string]string) (*project, *listener) {
	t.Helper()
	p := newProject(t, files)
	l := listen(t, fakeContainer{ID: "first", Project: p.name(), Service: "tests"})
	p.finder.Connect = func() (compose.Engine, error) {
		p.connects.Add(1)
		return l.connect()
	}
	p.query.Engine = l.address
	return p, l
}

// cacheFile is the only file in the cache.
func (p *project) cacheFile() string {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.finder.CacheDir, "*"))
	if err != nil || len(files) != 1 {
		p.t.Fatalf("cache has %v, want one file (%v)", files, err)
	}
	return files[0]
}

func TestWarmFindAsksNobody(t *testing.T) {
	t.Parallel()
	p, l := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
	cold := p.find()
	warm := p.find()
	if loads, connects := p.loads.Load(), p.connects.Load(); loads != 1 || connects != 1 || l.requests != 2 {
		t.Errorf("two finds: %d loads, %d connects, %d requests; want 1, 1 and 2 (list, inspect)", loads, connects, l.requests)
	}
	if cold.Cached || !warm.Cached {
		t.Errorf("cached: %t, then %t", cold.Cached, warm.Cached)
	}
	warm.Cached = false
	if a, b := fmt.Sprintf("%+v", cold), fmt.Sprintf("%+v", warm); a != b {
		t.Errorf("the cache gives\n%s, want\n%s", b, a)
	}
	if warm.APIVersion != "1.41" || warm.Container != "first" || warm.Workdir != "/app" {
		t.Errorf("target %+v", warm)
	}
}

func TestCacheIsPrivate(t *testing.T) {
	t.Parallel()
	p, _ := listening(t, map[string]string{"compose.yaml": "services: {tests: {image: 'a:${SECRET}'}}", ".env": "ALSO=x${SECRET2}"})
	p.env("SECRET=hunter2", "SECRET2=hunter3")
	p.find()
	name := p.cacheFile()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "hunter") {
		t.Errorf("the cache has the value of a variable: %s", content)
	}
	for path, want := range map[string]fs.FileMode{name: 0o600, filepath.Dir(name): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v (%v), want %v", path, info.Mode(), err, want)
		}
	}
}

func TestDamagedCacheIsAsNone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		damage func(file string, content []byte) error
	}{
		{"empty", func(file string, _ []byte) error { return os.WriteFile(file, nil, 0o600) }},
		{"truncated", func(file string, c []byte) error { return os.WriteFile(file, c[:len(c)/2], 0o600) }},
		{"one byte", func(file string, c []byte) error {
			return os.WriteFile(file, []byte(strings.Replace(string(c), `"first"`, `"furst"`, 1)), 0o600)
		}},
		{"other JSON", func(file string, _ []byte) error { return os.WriteFile(file, []byte(`{"version":1}`), 0o600) }},
		{"no JSON", func(file string, _ []byte) error { return os.WriteFile(file, []byte{0, 1, 2}, 0o600) }},
		{"of another query", func(file string, c []byte) error {
			return os.Rename(file, filepath.Join(filepath.Dir(file), strings.Repeat("0", 64)+".json"))
		}},
		{"directory", func(file string, _ []byte) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) }},
		{"directory with a file", func(file string, _ []byte) error {
			return errors.Join(os.Remove(file), os.Mkdir(file, 0o700), os.WriteFile(filepath.Join(file, "x"), nil, 0o600))
		}},
		{"symbolic link to nothing", func(file string, _ []byte) error { return errors.Join(os.Remove(file), os.Symlink("nothing", file)) }},
		{"huge", func(file string, _ []byte) error { return os.Truncate(file, 1<<40) }},
		{"cache directory is a file", func(file string, _ []byte) error {
			dir := filepath.Dir(file)
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600))
		}},
		{"cache directory is gone", func(file string, _ []byte) error { return os.RemoveAll(filepath.Dir(file)) }},
		{"cache directory can't be made", func(file string, _ []byte) error {
			dir := filepath.Dir(file)
			return errors.Join(os.RemoveAll(dir), os.Symlink("/proc/nonesuch/cache", dir))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, _ := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
			p.find()
			file := p.cacheFile()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := test.damage(file, content); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := p.find(); got.Container != "first" {
					t.Errorf("container %q, want first", got.Container)
				}
			}
			if loads := p.loads.Load(); loads < 2 {
				t.Errorf("%d loads, want another one", loads)
			}
		})
	}
}

// A file that is written again at once has the same size, and, since the
// kernel's clock stands still for some milliseconds, the same times.
func TestFileChangesWithinATick(t *testing.T) {
	t.Parallel()
	p, l := listening(t, nil)
	inTick := 0
	var last fs.FileInfo
	for i := range 100 {
		name := fmt.Sprintf("toxrun-%03d", i)
		l.set(fakeContainer{ID: name, Project: name, Service: "tests"})
		p.write("compose.yaml", "name: "+name+"\nservices: {tests: STANDARD}")
		info, err := os.Stat(filepath.Join(p.dir, "compose.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && info.ModTime().Equal(last.ModTime()) {
			inTick++
		}
		last = info
		if got := p.find(); got.Container != name {
			t.Fatalf("container %q, want %q", got.Container, name)
		}
	}
	t.Logf("%d of 100 changes left no trace in the file's time", inTick)
}

func TestOldEntriesAreRemoved(t *testing.T) {
	t.Parallel()
	p, _ := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
	if err := os.Mkdir(p.finder.CacheDir, 0o700); err != nil {
		t.Fatal(err)
	}
	age := func(name string, days int) {
		t.Helper()
		path := filepath.Join(p.finder.CacheDir, name)
		if _, err := os.Stat(path); err != nil {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		then := time.Now().AddDate(0, 0, -days)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	age("old.json", 31)
	age("recent.json", 29)
	age("killed.temp", 31)
	age("of-others", 31)
	p.find()
	var names []string
	files, err := os.ReadDir(p.finder.CacheDir)
	if err != nil {
		t.Fatal(err)
	}
	own := ""
	for _, f := range files {
		if len(f.Name()) == len(".json")+64 {
			own = f.Name()
		} else {
			names = append(names, f.Name())
		}
	}
	if got := strings.Join(names, " "); got != "of-others recent.json" || own == "" {
		t.Errorf("left: %s and %q", got, own)
	}

	// What is in use stays, however long ago it was written.
	age(own, 31)
	p.find()
	p.query.Service = "tests" // another entry
	p.find()
	if _, err := os.Stat(filepath.Join(p.finder.CacheDir, own)); err != nil {
		t.Errorf("the entry in use was removed: %v", err)
	}
	if loads := p.loads.Load(); loads != 2 {
		t.Errorf("%d loads, want 2", loads)
	}
}

func TestManyFillACacheAtOnce(t *testing.T) {
	t.Parallel()
	p, _ := listening(t, map[string]string{"compose.yaml": "services: {tests: STANDARD}"})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 5 {
				if got, err := p.finder.Refresh(t.Context(), p.query); err != nil || got.Container != "first" {
					t.Errorf("Refresh() = %+v, %v", got, err)
				}
				if got, err := p.finder.Find(t.Context(), p.query); err != nil || !got.Cached {
					t.Errorf("Find() = %+v, %v; want it from the cache", got, err)
				}
			}
		})
	}
	wg.Wait()
	p.cacheFile() // and no temporary ones
}

// Which variables, files and options make an answer another one.
func TestKeyAndValidity(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"compose.yaml":    "include: [{path: [inc/a.yaml, inc/b.yaml], env_file: inc/x.env}, './${LIB}/c.yaml']\nservices: {tests: {extends: {file: ext/e.yaml, service: base}, image: '${VAR:-x}'}}",
		"inc/a.yaml":      "services: {a: STANDARD}",
		"inc/b.yaml":      "include: ['${DEEP}.yaml']\nservices: {a: {labels: [b]}}",
		"inc/deep.yaml":   "services: {deep: STANDARD}",
		"inc/x.env":       "DEEP=${INCLUDED-deep}",
		"lib/c.yaml":      "services: {c: {image: '${LIBVAR:-x}', extends: {file: ../ext/c.yaml, service: c}}}",
		"lib/.env":        "LIBVAR=x",
		"ext/e.yaml":      "services: {base: {extends: {file: far/f.yaml, service: f}}}",
		"ext/far/f.yaml":  "services: {f: STANDARD}",
		"ext/c.yaml":      "services: {c: STANDARD}",
		".env":            "LIB=lib\nA=${DOTENV}",
		"unrelated":       "x",
		"other/unrelated": "x",
	}
	touch := func(name string) func(*project) { return func(p *project) { p.write(name, p.read(name)+"\n# x\n") } }
	create := func(name string) func(*project) { return func(p *project) { p.write(name, "services: {}\n") } }
	env := func(v string) func(*project) { return func(p *project) { p.env(v) } }
	for _, test := range []struct {
		name    string
		change  func(*project)
		reloads bool
	}{
		{"nothing", func(p *project) {}, false},
		{"Compose file", touch("compose.yaml"), true},
		{"included file", touch("inc/a.yaml"), true},
		{"override of an included file", touch("inc/b.yaml"), true},
		{"file that an included one includes", touch("inc/deep.yaml"), true},
		{"env file of an include", touch("inc/x.env"), true},
		{".env of an include", touch("lib/.env"), true},
		{"missing .env of an include", func(p *project) { p.write("inc/.env", "X=1") }, true},
		{"included file, path from a variable", touch("lib/c.yaml"), true},
		{"extended file", touch("ext/e.yaml"), true},
		{"file that an extended one extends", touch("ext/far/f.yaml"), true},
		{"file that an included one extends", touch("ext/c.yaml"), true},
		{".env", touch(".env"), true},
		{"override file", create("compose.override.yml"), true},
		{"file removed", func(p *project) { os.Remove(filepath.Join(p.dir, "lib/.env")) }, true}, // it is there
		{"same content, other file", func(p *project) {
			p.write("new", files["compose.yaml"])
			os.Rename(filepath.Join(p.dir, "new"), filepath.Join(p.dir, "compose.yaml")) // both are there
		}, true},
		{"same size and time, other content", func(p *project) {
			path := filepath.Join(p.dir, "inc/a.yaml")
			info, err := os.Stat(path)
			if err != nil {
				p.t.Fatal(err)
			}
			p.write("inc/a.yaml", strings.Replace(files["inc/a.yaml"], "{a:", "{b:", 1))
			os.Chtimes(path, info.ModTime(), info.ModTime()) // it was just written
		}, true},
		{"interpolated variable", env("VAR=1"), true},
		{"interpolated variable of an included file", env("LIBVAR=1"), true},
		{"variable in .env", env("DOTENV=1"), true},
		{"variable in the env file of an include", env("INCLUDED=./deep"), true},
		{"COMPOSE_PROFILES", env("COMPOSE_PROFILES=x"), true},
		{"COMPOSE_ENV_FILES", env("COMPOSE_ENV_FILES=.env"), true},
		{"other variable", env("UNRELATED=1"), false},
		{"other file", touch("unrelated"), false},
		{"other file in a directory searched", create("compose.x.yaml"), false},
		{"directory", func(p *project) { p.query.Dir = filepath.Join(p.dir, "other") }, true},
		{"service", func(p *project) { p.query.Service = "tests" }, true},
		{"index", func(p *project) { p.query.Index = 1 }, true},
		{"profile", func(p *project) { p.query.Profiles = []string{"x"} }, true},
		{"project name", func(p *project) { p.query.ProjectName = p.name() }, true},
		{"project directory", func(p *project) { p.query.ProjectDirectory = p.dir }, true},
		{"file", func(p *project) { p.query.Files = []string{"compose.yaml"} }, true},
		{"engine", func(p *project) { p.query.Engine = "tcp://elsewhere" }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, l := listening(t, files)
			l.set(fakeContainer{ID: "first", Project: p.name(), Service: "tests"})
			p.query.Service = "tests"
			if test.name == "service" {
				p.query.Service = "a"
				l.set(fakeContainer{ID: "first", Project: p.name(), Service: "a"}, fakeContainer{ID: "first", Project: p.name(), Service: "tests"})
			}
			p.env()
			p.find()
			test.change(p)
			p.find()
			if reloads := p.loads.Load() == 2; reloads != test.reloads {
				t.Errorf("%d loads; want another one: %t", p.loads.Load(), test.reloads)
			}
		})
	}
}

func (p *project) read(name string) string {
	p.t.Helper()
	content, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(content)
}

// A warm Find costs what its own inputs cost, not what the project is.
func BenchmarkFind(b *testing.B) {
	for _, services := range []int{1, 200} {
		dir := b.TempDir()
		var text strings.Builder
		text.WriteString("name: bench\nservices:\n")
		for i := range services {
			fmt.Fprintf(&text, "  s%d: {image: x, volumes: ['./src:/app', 'data:/data'], environment: {A: '${A:-a}'}}\n", i)
		}
		text.WriteString("volumes: {data: {}}\n")
		if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		l := listen(b, fakeContainer{ID: "first", Project: "bench", Service: "s0"})
		f := compose.Finder{CacheDir: filepath.Join(dir, "cache"), Connect: l.connect, Load: loadModel}
		q := compose.Query{Engine: l.address, Dir: dir, Service: "s0"}
		b.Run(fmt.Sprintf("cold/services=%d", services), func(b *testing.B) {
			for b.Loop() {
				if _, err := f.Refresh(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("warm/services=%d", services), func(b *testing.B) {
			for b.Loop() {
				if t, err := f.Find(context.Background(), q); err != nil || !t.Cached {
					b.Fatal(t, err)
				}
			}
		})
	}
}

// The cache of a project with many services is no bigger.
func TestCacheHasOneService(t *testing.T) {
	t.Parallel()
	size := func(services int) int64 {
		var text strings.Builder
		text.WriteString("services:\n  tests: STANDARD\n")
		for i := range services {
			fmt.Fprintf(&text, "  s%03d: {image: x}\n", i)
		}
		p, _ := listening(t, map[string]string{"compose.yaml": text.String()})
		p.query.Service = "tests"
		p.find()
		info, err := os.Stat(p.cacheFile())
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if one, many := size(1), size(200); many > one+100 {
		t.Errorf("%d bytes with 1 service more, %d with 200", one, many)
	}
}
