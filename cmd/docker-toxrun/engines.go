package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/docker/docker/client"

	"github.com/toxrun/docker-toxrun/compose"
)

// nameEngines names each by its context or, where there is none, by as much of its
// address as tells it from the others.
func nameEngines(engines []engine) {
	count := map[string]int{}
	for _, e := range engines {
		count[shortAddress(e.host)]++
	}
	for i := range engines {
		e := &engines[i]
		e.others = len(engines) > 1
		switch short := shortAddress(e.host); {
		case e.context != "":
			e.name = e.context
		case count[short] == 1:
			e.name = short
		default:
			e.name = e.host
		}
	}
}

// shortAddress is an address without its scheme and user.
func shortAddress(host string) string {
	_, rest, _ := strings.Cut(host, "://")
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

// String is the engine as a message has it.
func (e engine) String() string {
	switch {
	case e.tasks != nil:
		return fmt.Sprintf("node %s (%s)", e.node.Name, e.host)
	case e.context == "":
		return "engine " + e.host
	}
	return fmt.Sprintf("engine %s (%s)", e.context, e.host)
}

// docker is the docker command that works on the engine.
func (e engine) docker(args ...string) string {
	return compose.CommandLine(slices.Concat([]string{"docker"}, e.means(), args))
}

// means is docker's option that means the engine.
func (r reference) means() []string {
	if r.context == "" {
		return []string{"--host", r.address}
	}
	return []string{"--context", r.context}
}

// engines are those in which a command runs: several only where it may run in several
// containers.
func (o *options) engines() ([]engine, error) {
	engines, err := findEngines(o.docker)
	if err != nil || len(engines) == 1 || o.every || o.split.split {
		return engines, err
	}
	return nil, usage(fmt.Sprintf("this is for one container, not for %d engines (%s)", len(engines), names(engines)),
		"name one of them; --all and --split are for all")
}

// firstEngine is for what is the same in all.
func (o *options) firstEngine() (engine, error) {
	engines, err := findEngines(o.docker)
	if err != nil {
		return engine{}, err
	}
	return engines[0], nil
}

func names(engines []engine) string {
	var list []string
	for _, e := range engines {
		list = append(list, e.name)
	}
	return strings.Join(list, ", ")
}

// gather calls f for each engine, for all at the same time. It returns what f has found,
// and what is wrong with the engines that have nothing; where that is all of them, as the
// error.
func gather[T any](engines []engine, f func(engine) (T, error)) (found []T, left enginesError, err error) {
	if len(engines) == 1 {
		one, err := f(engines[0])
		return []T{one}, nil, err
	}
	results := make([]result[T], len(engines))
	var all sync.WaitGroup
	for i, e := range engines {
		all.Go(func() { results[i].value, results[i].err = f(e) })
	}
	all.Wait()
	for i, r := range results {
		if r.err == nil {
			found = append(found, r.value)
			continue
		}
		left = append(left, newEngineError(engines[i], r.err))
	}
	switch {
	case len(found) > 0:
		return found, left, nil
	case left.same(): // a mistake in the Compose file, say
		return nil, nil, results[0].err
	}
	return nil, nil, left
}

// same tells whether it is the same with all of them.
func (e enginesError) same() bool {
	return !slices.ContainsFunc(e, func(each engineError) bool { return each.err.Error() != e[0].err.Error() })
}

// together makes one plan of the targets that f finds in each engine.
func (o *options) together(engines []engine, what command, f func(engine) ([]placed, error)) (plan, error) {
	each, left, err := gather(engines, f)
	if err != nil {
		return plan{}, err
	}
	p := plan{what: what, left: left}
	if o.split.split {
		each = inTurn(each)
	}
	for _, t := range slices.Concat(each...) {
		// An engine may have several addresses.
		if !slices.ContainsFunc(p.targets, func(other placed) bool { return other.Container == t.Container }) {
			p.targets = append(p.targets, t)
		}
	}
	return p, nil
}

// inTurn is the first of each list, then the second of each, and so on: of fewer jobs than
// containers each engine gets its share.
func inTurn[T any](lists [][]T) (rounds [][]T) {
	for i := 0; ; i++ {
		var round []T
		for _, list := range lists {
			if i < len(list) {
				round = append(round, list[i])
			}
		}
		if round == nil {
			return rounds
		}
		rounds = append(rounds, round)
	}
}

// An enginesError is what is wrong with each of several engines.
type enginesError []engineError

// An engineError is what is wrong with one of several engines.
type engineError struct {
	engine engine
	err    error
}

// newEngineError has the hint of err be for that engine.
func newEngineError(e engine, err error) engineError {
	var says interface{ Hint() string }
	way := e.docker("version")
	if unreached, ok := errors.AsType[*unreachable](err); ok {
		way = unreached.hint
	}
	if client.IsErrConnectionFailed(err) && e.tasks != nil {
		err = hinted(err, fmt.Sprintf("%s; x-toxrun.nodes names another way to %s, as does a context of this name", way, e.node.Name))
	} else if client.IsErrConnectionFailed(err) {
		err = hinted(err, way)
	} else if errors.As(err, &says) {
		if rest, ok := strings.CutPrefix(says.Hint(), "docker "); ok {
			err = hinted(err, e.docker()+" "+rest)
		}
	}
	return engineError{e, err}
}

// status tells of it, with what about says of the engine, and returns the exit status.
func (e engineError) status(to messages, about string) int {
	to.about = e.engine.String() + about
	return status(e.err, to)
}

func (e enginesError) Error() string {
	var texts []string
	for _, each := range e {
		texts = append(texts, fmt.Sprintf("%v: %v", each.engine, each.err))
	}
	return strings.Join(texts, "; ")
}

func (e enginesError) Unwrap() (errs []error) {
	for _, each := range e {
		errs = append(errs, each.err)
	}
	return errs
}

// status tells of each, with what about says of the engine, and returns the highest
// exit status.
func (e enginesError) status(to messages, about string) (worst int) {
	for _, each := range e {
		worst = max(worst, each.status(to, about))
	}
	return worst
}

func (e enginesError) names() (list []string) {
	for _, each := range e {
		list = append(list, each.engine.name)
	}
	return list
}
