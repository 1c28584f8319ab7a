package compose_test

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/compose/load"
)

// In place of serve a program has a client of the Engine of its own, with
// client.WithAPIVersionNegotiation, which Connect returns.
func ExampleFinder() {
	engine, stop := serve(fakeContainer{ID: "tox-tests-1", Project: "tox", Service: "tests"})
	defer stop()
	dir, err := filepath.Abs("../examples/tox") // with compose.yaml
	if err != nil {
		panic(err)
	}
	finder := &compose.Finder{Connect: engine.connect, Load: load.Model}
	query := compose.Query{Engine: engine.address, Dir: dir, Environ: []string{}}
	target, err := finder.Find(context.Background(), query)
	if err != nil {
		panic(err)
	}
	fmt.Println(target.Project, target.Service, target.ContainerName)
	fmt.Println(target.Config.Command)

	query.Service = "test"
	_, err = finder.Find(context.Background(), query)
	fmt.Println(err)
	// Output:
	// tox tests tox-tests-1
	// [tox]
	// project "tox" has no service "test"
}
