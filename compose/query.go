package compose

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime"
	"strings"
)

// A Query says whose container is wanted, in the words of the command line.
type Query struct {
	// Engine is the address of the Engine. It is never dialed: it keeps the
	// answers of several Engines apart.
	Engine string

	Dir     string   // the caller's directory: absolute, symbolic links as the caller sees them
	Environ []string // KEY=VALUE; nil is the process's own environment

	// What docker compose has under the same names. Relative paths start at Dir.
	Files            []string // --file
	ProjectName      string   // --project-name
	ProjectDirectory string   // --project-directory
	Profiles         []string // --profile

	Service string // "" is the service with x-toxrun, or else the only one
	Index   int    // the replica's number; 0 is the lowest one that is running

	// Container is the name or ID of any container. No Compose file is
	// looked for then, and no other field but Engine is used.
	Container string
}

// LookupEnv is os.LookupEnv for the environment of the query.
func (q Query) LookupEnv(name string) (string, bool) {
	if q.Environ == nil {
		return os.LookupEnv(name)
	}
	for i := len(q.Environ) - 1; i >= 0; i-- { // the last one wins, as in os/exec
		key, value, _ := strings.Cut(q.Environ[i], "=")
		if key == name || runtime.GOOS == "windows" && strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}

// ComposeCommand is the docker compose command that works on the project of
// the query when it is started in Dir: the query's own options, then args.
func (q Query) ComposeCommand(args ...string) []string {
	cmd := []string{"docker", "compose"}
	for _, file := range q.Files {
		cmd = append(cmd, "-f", file)
	}
	if q.ProjectName != "" {
		cmd = append(cmd, "-p", q.ProjectName)
	}
	if q.ProjectDirectory != "" {
		cmd = append(cmd, "--project-directory", q.ProjectDirectory)
	}
	for _, profile := range q.Profiles {
		cmd = append(cmd, "--profile", profile)
	}
	return append(cmd, args...)
}

// selectors are the variables that decide which files, project and profiles
// docker compose works with before it has opened any file.
var selectors = [...]string{
	"COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PROJECT_NAME",
	"COMPOSE_PROFILES", "COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE",
}

// key is the name of the query's cache file: a digest of everything that
// makes it another question. What may change the answer to the same question
// is in the entry.
func (q Query) key() string {
	question := struct {
		Query
		Environ   []string // hides Query.Environ, most of which is nothing to Compose
		Selectors map[string]string
	}{q, nil, map[string]string{}}
	for _, name := range selectors {
		if value, ok := q.LookupEnv(name); ok {
			question.Selectors[name] = value
		}
	}
	text, err := json.Marshal(question)
	if err != nil {
		panic(err) // strings and numbers only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
