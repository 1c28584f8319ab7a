package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/singleflight"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
)

// A finder looks containers up in an engine. It is to be closed.
type finder struct {
	*compose.Finder
	connected *execproxy.Client // nil: the engine was not asked
}

// finder also tells of an engine that does not answer.
func (o *options) finder(e engine, to messages) *finder {
	f := new(finder)
	f.Finder = &compose.Finder{
		Connect: func() (compose.Engine, error) {
			if f.connected == nil {
				var err error
				if f.connected, err = e.connect(""); err != nil {
					return nil, err
				}
			}
			return &waitedFor{f.connected.Client, e, to}, nil
		},
		Load: o.load,
	}
	if dir, err := cacheDir(); err == nil {
		f.CacheDir = dir
	}
	return f
}

func (f *finder) close() {
	if f.connected != nil {
		f.connected.Close()
	}
}

// A loader reads the Compose files that a query means.
type loader func(context.Context, compose.Query) (*compose.Model, error)

// together is load for those who ask at the same time: with the same question they get one
// answer, whichever engines they ask for. To read the files for each of 25 engines takes two
// processors a second.
func (load loader) together() loader {
	var loading singleflight.Group
	return func(ctx context.Context, q compose.Query) (*compose.Model, error) {
		question := q
		question.Engine = ""
		key, err := json.Marshal(question)
		if err != nil {
			return nil, err
		}
		answer, err, _ := loading.Do(string(key), func() (any, error) { return load(ctx, q) })
		model, _ := answer.(*compose.Model)
		return model, err
	}
}

// cacheDir is where what can be made again is kept. It need not be there.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "docker-toxrun"), err
}

// find finds the target, in the cache or with the Engine's help.
func (o *options) find(ctx context.Context, e engine, std stdio) (*compose.Target, error) {
	if o.noCache {
		return o.refind(ctx, e, std)
	}
	query, err := o.query(e.host)
	if err != nil {
		return nil, err
	}
	finder := o.finder(e, o.messages(std.err))
	defer finder.close()
	target, err := finder.Find(ctx, query)
	return o.found(e, target, err, std)
}

// refind finds the target without the cache.
func (o *options) refind(ctx context.Context, e engine, std stdio) (*compose.Target, error) {
	query, err := o.query(e.host)
	if err != nil {
		return nil, err
	}
	return o.refresh(ctx, e, std, query)
}

// again finds the container that by now is what t was, without the cache.
func (o *options) again(t *compose.Target) finding {
	return func(ctx context.Context, e engine, std stdio) (*compose.Target, error) {
		query, err := o.query(e.host)
		if err != nil {
			return nil, err
		}
		query.Service, query.Index = t.Service, t.Number
		return o.refresh(ctx, e, std, query)
	}
}

func (o *options) refresh(ctx context.Context, e engine, std stdio, query compose.Query) (*compose.Target, error) {
	finder := o.finder(e, o.messages(std.err))
	defer finder.close()
	target, err := finder.Refresh(ctx, query)
	return o.found(e, target, err, std)
}

// findEach finds the containers of each service that is named: all of them with --all,
// else one of each.
func (o *options) findEach(ctx context.Context, e engine, std stdio) ([]placed, error) {
	finder := o.finder(e, o.messages(std.err))
	defer finder.close()
	if o.noCache {
		finder.CacheDir = ""
	}
	var each []placed
	for _, service := range strings.Split(o.service, ",") {
		query, err := o.query(e.host)
		if err != nil {
			return nil, err
		}
		query.Service = service
		targets, err := finder.FindAll(ctx, query)
		if err != nil {
			return nil, err
		}
		if !o.every && !o.split.split {
			targets = targets[:1]
		}
		for _, target := range targets {
			if _, err := o.found(e, target, nil, std); err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(each, func(t placed) bool { return t.Container == target.Container }) {
				each = append(each, placed{target, e})
			}
		}
	}
	return each, nil
}

func (o *options) found(e engine, target *compose.Target, err error, std stdio) (*compose.Target, error) {
	if err != nil {
		return nil, err
	}
	e.settings.under(&target.Config)
	to := o.messages(std.err)
	o.warnUnencrypted(e, to)
	for _, warning := range []string{e.settings.warning, target.Warning} {
		if warning != "" {
			o.once(to.say, warning)
		}
	}
	if o.verbose {
		source := "looked up"
		if target.Cached {
			source = "from the cache"
		}
		to.say(fmt.Sprintf("container %s, %s", target.ContainerName, source))
	}
	return target, nil
}
