package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/toxrun/docker-toxrun/watch"
)

func Example() {
	dir, err := os.MkdirTemp("", "watch")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx, quit := context.WithCancelCause(context.Background())
	tree := &watch.Tree{Roots: []string{dir}, Ignore: []string{"*.log"}}
	watcher, err := tree.Start(ctx)
	if err != nil {
		panic(err)
	}
	defer watcher.Close()
	runs := 0
	loop := &watch.Loop{
		Run: func(ctx context.Context, changed watch.Batch) error {
			if runs++; runs == 1 {
				fmt.Println("the first run, for", changed.Count, "changes")
				return errors.Join(
					os.WriteFile(filepath.Join(dir, "ignored.log"), nil, 0o644),
					os.WriteFile(filepath.Join(dir, "saved.py"), nil, 0o644))
			}
			for _, change := range changed.Changes {
				fmt.Println(filepath.Base(change.Path), change.Op)
			}
			quit(errors.New("that is all"))
			return nil
		},
		OnBusy: watch.Queue,
	}
	fmt.Println(loop.Follow(ctx, watcher.C))
	// Output:
	// the first run, for 0 changes
	// saved.py created
	// that is all
}
