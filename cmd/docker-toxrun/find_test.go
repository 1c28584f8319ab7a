package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/toxrun/docker-toxrun/compose"
)

// Engines that are asked at the same time have the Compose files read once; what is another
// question, or comes later, is read for itself.
func TestFilesAreReadOnceForAllEngines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		var reads atomic.Int32
		load := loader(func(_ context.Context, q compose.Query) (*compose.Model, error) {
			reads.Add(1)
			time.Sleep(time.Second)
			if q.ProjectName == "broken" {
				return nil, broken
			}
			return &compose.Model{Project: q.ProjectName}, nil
		}).together()
		type answer struct {
			model *compose.Model
			err   error
		}
		answers := make(chan answer)
		for _, project := range []string{"one", "broken", "one"} {
			for _, engine := range []string{"ssh://a", "ssh://b", "ssh://c"} {
				go func() {
					model, err := load(t.Context(), compose.Query{Engine: engine, ProjectName: project})
					answers <- answer{model, err}
				}()
			}
		}
		good, bad := 0, 0
		for range 9 {
			switch a := <-answers; {
			case a.err == broken && a.model == nil:
				bad++
			case a.err == nil && a.model.Project == "one":
				good++
			}
		}
		if good != 6 || bad != 3 || reads.Load() != 2 {
			t.Errorf("%d and %d answers by reading %d times", good, bad, reads.Load())
		}
		if _, err := load(t.Context(), compose.Query{ProjectName: "one"}); err != nil || reads.Load() != 3 {
			t.Errorf("later: %v, read %d times by now", err, reads.Load())
		}
	})
}
