package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// suitesImage has Python packages with their tests; scripts/suites.sh makes it.
const suitesImage = "toxrun-suites:debian"

// libraries is a test file whose tests take no time, and its imports all of it.
const libraries = `import numpy, sqlalchemy, requests, django

def test_libraries():
    assert numpy.arange(3).sum() == 3 and sqlalchemy.select and requests.get and django.VERSION
`

// measureLearn measures runs of pytest whose imports an earlier run has taught.
func (b *bench) measureLearn(ctx context.Context) (results []*result, err error) {
	tests := strings.Replace(service("tests", "debian"), "toxrun-test:debian", suitesImage, 1)
	p, err := b.up(ctx, tests+"    volumes: [\".:/app\"]\n    environment: {LC_ALL: C.UTF-8}\n")
	if err != nil {
		return nil, fmt.Errorf("%w\nscripts/suites.sh -i makes the image", err)
	}
	defer p.down(ctx)
	if err := os.WriteFile(filepath.Join(p.dir, "test_libraries.py"), []byte(libraries), 0o644); err != nil {
		return nil, err
	}
	for _, what := range []struct {
		title, text, dir string
		env, args        []string
		rounds           int
		promises         []promise
	}{
		{
			"pytest of a file that imports numpy, SQLAlchemy, requests and Django", "Of what else is installed there pytest loads nothing.",
			"/app", []string{"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"}, []string{"test_libraries.py"}, b.pick(20, 5),
			[]promise{
				{"pytest with four libraries that an earlier run has imported, to `docker exec`", "learned", "docker exec", 0.25},
				{"the same to inside", "learned", "inside", 0.35},
			},
		},
		{
			"The same with all plugins of pytest's that are installed", "Some of them are not imported beforehand, coverage and hypothesis for example.",
			"/app", nil, []string{"-p", "no:asyncio", "test_libraries.py"}, b.pick(10, 3), nil,
		},
		{
			"The tests of Jinja", "", "/suites/jinja2", nil, []string{"-p", "no:asyncio", "tests"}, b.pick(5, 2),
			[]promise{{"Jinja's own tests to inside", "learned", "inside", 1}},
		},
		{
			"The tests of click", "", "/suites/click", nil, []string{"-p", "no:asyncio", "tests", "--deselect", "tests/test_utils.py::test_expand_args"}, b.pick(5, 2),
			[]promise{{"click's own tests to inside", "learned", "inside", 1}},
		},
	} {
		r, err := b.measureLearned(ctx, p, what.dir, what.env, what.args, &group{title: what.title, text: what.text, unit: "ms", variant: "state", rounds: what.rounds, base: "docker exec", promises: what.promises})
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

func (b *bench) measureLearned(ctx context.Context, p *project, dir string, env, args []string, g *group) (*result, error) {
	warm, err := b.user("warm")
	if err != nil {
		return nil, err
	}
	standby, err := p.standby(true)
	if err != nil {
		return nil, err
	}
	args = append([]string{"pytest", "-q", "-p", "no:cacheprovider"}, args...)
	where := []string{"-w", dir}
	for _, assignment := range env {
		where = append(where, "-e", assignment)
	}
	times := 3 // of the program inside, each round
	if g.rounds < 10 {
		times = 1
	}
	docker := slices.Concat([]string{"docker", "exec"}, where, []string{p.container})
	toxrun := slices.Concat([]string{"docker-toxrun", "exec", "-n"}, where, args)
	in := slices.Concat(docker, []string{"python3", "-c", inside, fmt.Sprint(times)}, args)
	g.text = strings.TrimSpace(g.text + " The command is `" + strings.Join(args, " ") + "`. *Inside* is from the start of the program to its end, taken in the container. *Learned* is standby, " +
		"with an interpreter that has imported what earlier runs have; nobody has named a module.")
	g.contenders = []contender{
		{key: "inside", name: "inside", run: p.timesInside(p.command(warm, in...), times)},
		{key: "docker exec", name: "`docker exec ID ...`", run: p.command(warm, slices.Concat(docker, args)...).passes()},
		{key: "docker-toxrun", name: "`docker-toxrun exec ...`", variant: "warm", run: p.command(warm, toxrun...).passes()},
		{key: "learned", name: "`docker-toxrun exec ...`", variant: "learned", before: standby.readyAgain, run: p.command(standby.user, toxrun...).passes()},
	}
	mustWake(g, waking{standby, 1})
	r, err := b.measure(ctx, g)
	if err == nil {
		_, err = p.command(standby.user, "docker-toxrun", "standby", "stop").output(ctx)
	}
	return r, err
}

// passes is a contender's run: the milliseconds of a pytest whose tests pass.
func (c command) passes() func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		var stdout strings.Builder
		took, err := c.run(ctx, nil, &stdout)
		if err == nil && !strings.Contains(stdout.String(), " passed") {
			err = fmt.Errorf("%s: %s", strings.Join(c.args, " "), stdout.String())
		}
		return milliseconds(took), err
	}
}
