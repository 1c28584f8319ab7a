package load

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/compose-spec/compose-go/v2/utils"

	"github.com/toxrun/docker-toxrun/compose"
)

// environment is what the process gives to interpolation.
func environment(q compose.Query) types.Mapping {
	environ := q.Environ
	if environ == nil {
		environ = os.Environ()
	}
	env := types.Mapping(utils.GetAsEqualsMap(environ))
	if _, ok := env["PWD"]; !ok {
		env["PWD"] = q.Dir
	}
	return env
}

// envFiles are those of COMPOSE_ENV_FILES. It counts in the process's own
// environment only, not in .env: docker compose takes it as the default of
// its option --env-file.
func (src *source) envFiles() []string {
	var files []string
	for name := range strings.FieldsFuncSeq(src.env["COMPOSE_ENV_FILES"], func(r rune) bool { return r == ',' }) {
		files = append(files, join(src.query.Dir, name))
	}
	return files
}

// exportDotEnv takes the COMPOSE_ variables of .env as if they were the
// process's own. docker compose does so before anything else, and says
// nothing of errors then.
func (src *source) exportDotEnv(envFiles []string) {
	values, err := src.dotEnv(envFiles)
	if err != nil {
		return
	}
	for name, value := range values {
		if _, ok := src.env[name]; !ok && strings.HasPrefix(name, "COMPOSE_") {
			src.env[name] = value
		}
	}
}

// mergeDotEnv takes all variables of .env that are not set yet.
func (src *source) mergeDotEnv(envFiles []string) error {
	values, err := src.dotEnv(envFiles)
	if err == nil {
		src.env.Merge(values)
	}
	return err
}

// dotEnv reads the given files, or else the .env of the working directory.
func (src *source) dotEnv(envFiles []string) (types.Mapping, error) {
	if len(envFiles) > 0 {
		return src.seen.dotEnv(src.env, envFiles)
	}
	if value, ok := src.env["COMPOSE_DISABLE_ENV_FILE"]; ok {
		disabled, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("COMPOSE_DISABLE_ENV_FILE: %w", err)
		}
		if disabled {
			return nil, nil
		}
	}
	path := filepath.Join(src.workingDir(), ".env")
	if in := src.seen.look(path); in.Absent || in.Kind.IsDir() {
		return nil, nil
	}
	return src.seen.dotEnv(src.env, []string{path})
}

// dotEnv reads env files on top of env. Variables in them are looked up, too.
func (s *seen) dotEnv(env types.Mapping, files []string) (types.Mapping, error) {
	values := types.Mapping{}
	lookup := func(name string) (string, bool) {
		s.variables[name] = true
		if value, ok := env[name]; ok {
			return value, true
		}
		value, ok := values[name]
		return value, ok
	}
	for _, path := range files {
		content, err := s.read(path)
		if err != nil {
			return nil, err
		}
		if err := dotenv.ParseWithFormat(bytes.NewReader(content), path, values, lookup, dotenv.DotEnv); err != nil {
			return nil, err
		}
	}
	return values, nil
}
