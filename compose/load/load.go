// Package load reads Compose files as docker compose does, and takes from
// them what package compose needs to find a container.
//
// The files are compose-go's business, the library that docker compose itself
// is made of. Which files, which variables and what project name, Compose
// decides in its command line code, and so it is done here: as of Compose
// 2.40, cmd/compose/compose.go, and package cli of compose-go, which knows
// only the environment and the directory of its own process.
//
// Every file is looked at before it is read and every variable is noted, for
// the cache of package compose.
package load

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"

	"github.com/toxrun/docker-toxrun/compose"
)

// Model loads the Compose files that docker compose would load for q.
//
// It doesn't look at what only a start of the containers needs: env_file and
// label_file of services, secrets, whether networks and volumes are declared.
// Neither does it fetch remote files (git, OCI).
//
// The error is a *compose.NoFileError without a Compose file, a
// *compose.LoadError for one that can't be read or understood, and a
// *compose.ConfigError for a mistake in x-toxrun. Any other is about the
// options.
func Model(ctx context.Context, q compose.Query) (*compose.Model, error) {
	// What compose-go logs on the way (a variable that is not set, an
	// attribute that is obsolete) docker compose has told when the project
	// was started. It goes to a global logger.
	logrus.SetOutput(io.Discard)

	src, err := find(q)
	if err != nil {
		return nil, err
	}
	files := src.references()
	p, err := src.load(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, src.error(err)
	}

	m := &compose.Model{Project: p.Name, Dir: p.WorkingDir}
	for _, name := range slices.Concat(p.ServiceNames(), p.DisabledServiceNames()) {
		s, enabled := p.Services[name]
		if !enabled {
			s = p.DisabledServices[name]
		}
		service, wrong := newService(s, p.WorkingDir)
		if wrong != nil {
			e := &compose.ConfigError{Service: name, Key: strings.Join(wrong.path, "."), Problem: wrong.problem, Keys: wrong.keys}
			e.File, e.Line = src.seen.locate(files, name, wrong.path)
			return nil, e
		}
		service.Enabled = enabled
		m.Services = append(m.Services, service)
	}
	m.Inputs, m.Variables = src.seen.list()
	return m, nil
}

// load has compose-go read the files. It panics on some that are no Compose
// files ("extends: {file: 5}"), as docker compose does; a watch that goes on
// while someone edits them must not.
func (src *source) load(ctx context.Context) (p *types.Project, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: no Compose file (%v)", src.files[0].Filename, r)
		}
	}()
	details := types.ConfigDetails{
		WorkingDir:  src.dir,
		ConfigFiles: src.files,
		Environment: src.env,
	}
	return loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		o.SetProjectName(src.name, true)
		o.Profiles = src.profiles
		o.SkipConsistencyCheck = true
		o.SkipResolveEnvironment = true
		o.SkipResolveLabels = true
		o.ResourceLoaders = []loader.ResourceLoader{remote{}}
		o.Interpolate.Substitute = src.seen.substitute
	})
}

// newService takes what is needed from a service.
func newService(s types.ServiceConfig, dir string) (compose.Service, *mistake) {
	service := compose.Service{Name: s.Name}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind {
			service.Binds = append(service.Binds, compose.Mount{Source: v.Source, Target: v.Target})
		}
	}
	if s.Develop != nil {
		for _, w := range s.Develop.Watch {
			service.Develop = append(service.Develop, compose.Watch{Path: w.Path, Ignore: w.Ignore})
		}
	}
	raw, ok := s.Extensions["x-toxrun"]
	if !ok {
		return service, nil
	}
	var wrong *mistake
	service.Config, wrong = decode(raw, dir)
	return service, wrong
}
