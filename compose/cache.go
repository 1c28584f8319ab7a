package compose

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

const (
	// cacheVersion is raised when entry, Target or Config change their meaning.
	cacheVersion = 1

	// unused is how long an entry is kept that nobody asks for.
	unused = 30 * 24 * time.Hour

	// cacheFileLimit is far above what an entry needs: a project of 200
	// services that reads 50 files makes 20 kB.
	cacheFileLimit = 1 << 20
)

// An entry is the answer to a query, and all that would have to change for it
// to be another one.
type entry struct {
	Version   int               `json:"version"`
	Key       string            `json:"key"`
	Inputs    []Input           `json:"inputs"`
	Variables map[string]string `json:"variables"` // name to the digest of its value, "" where it is not set
	Target    Target            `json:"target"`
}

// A cacheFile is an entry as it is on disk. With the digest, damage of any
// kind is the same as no file.
type cacheFile struct {
	Sum   string          `json:"sum"`
	Entry json.RawMessage `json:"entry"`
}

func newEntry(q Query, m *Model, t *Target) *entry {
	e := &entry{Version: cacheVersion, Key: q.key(), Inputs: m.Inputs, Variables: map[string]string{}, Target: *t}
	for _, name := range m.Variables {
		e.Variables[name] = q.variable(name)
	}
	return e
}

// variable is what an entry remembers of a variable: enough to see that it
// has changed, but not its value, which may be a secret.
func (q Query) variable(name string) string {
	value, ok := q.LookupEnv(name)
	if !ok {
		return ""
	}
	return digest([]byte(name + "=" + value))
}

// fresh reports whether the answer still holds, and whether checking it has
// made the entry cheaper to check the next time.
func (e *entry) fresh(q Query) (ok, improved bool) {
	for name, sum := range e.Variables {
		if q.variable(name) != sum {
			return false, false
		}
	}
	for i := range e.Inputs {
		sum := e.Inputs[i].Sum
		if !e.Inputs[i].unchanged() {
			return false, false
		}
		improved = improved || e.Inputs[i].Sum != sum
	}
	return true, improved
}

func (f *Finder) cachePath(key string) string {
	return filepath.Join(f.CacheDir, key+".json")
}

// read gives the entry of that key, whether it still holds or not. Whatever
// can't be read as one is as none.
func (f *Finder) read(key string) *entry {
	if f.CacheDir == "" {
		return nil
	}
	path := f.cachePath(key)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > cacheFileLimit {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var file cacheFile
	if json.Unmarshal(content, &file) != nil || digest(file.Entry) != file.Sum {
		return nil
	}
	var e entry
	if json.Unmarshal(file.Entry, &e) != nil || e.Version != cacheVersion || e.Key != key {
		return nil
	}
	// The time of the file tells prune when it was last of use. A day is
	// exact enough and spares a write on each run.
	if now := time.Now(); now.Sub(info.ModTime()) > 24*time.Hour {
		os.Chtimes(path, now, now) // costs a lookup in 30 days
	}
	return &e
}

// write keeps an entry. It reports no errors: without a cache the next run
// takes longer, and that is all. Writers don't disturb each other or a
// reader, since each file appears complete, by its rename.
func (f *Finder) write(e *entry) {
	if f.CacheDir == "" {
		return
	}
	text, err := json.Marshal(e)
	if err != nil {
		return
	}
	text, err = json.Marshal(cacheFile{Sum: digest(text), Entry: text})
	if err != nil {
		return
	}
	if os.MkdirAll(f.CacheDir, 0o700) != nil {
		return
	}
	temp, err := os.CreateTemp(f.CacheDir, "*.temp") // mode 0600
	if err != nil {
		return
	}
	_, err = temp.Write(text)
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp.Name(), f.cachePath(e.Key))
	}
	if err != nil {
		os.Remove(temp.Name()) // prune finds it
		return
	}
	f.prune()
}

// prune removes what has not been of use for long: entries, and what a killed
// writer has left. It runs where time has been spent already.
func (f *Finder) prune() {
	files, err := os.ReadDir(f.CacheDir)
	if err != nil {
		return
	}
	for _, file := range files {
		switch filepath.Ext(file.Name()) {
		case ".json", ".temp":
		default:
			continue // not ours
		}
		info, err := file.Info()
		if err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > unused {
			os.Remove(filepath.Join(f.CacheDir, file.Name())) // so it stays
		}
	}
}
