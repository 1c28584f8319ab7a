package main

import (
	"context"
	"os"
	"runtime/debug"
	"strings"
)

// panics is docker-toxrun with a defect: it panics where a function whose name
// contains $PANIC_IN has to do with the context of the run.
func panics() {
	std := stdio{os.Stdin, os.Stdout, os.Stderr}
	root, options := newRoot(std)
	root.SetArgs(os.Args[1:])
	ctx := panicking{context.Background(), os.Getenv("PANIC_IN")}
	os.Exit(status(root.ExecuteContext(ctx), options.messages(std.err)))
}

type panicking struct {
	context.Context
	in string
}

func (p panicking) Done() <-chan struct{} {
	p.panic()
	return p.Context.Done()
}

func (p panicking) Value(key any) any {
	p.panic()
	return p.Context.Value(key)
}

func (p panicking) panic() {
	if strings.Contains(string(debug.Stack()), p.in) {
		panic("a defect in " + p.in)
	}
}
