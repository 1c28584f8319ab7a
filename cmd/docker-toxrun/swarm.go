package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/toxrun/docker-toxrun/compose"
)

// nodes are the engines of the nodes that the tasks of a Swarm service run on, each with
// its tasks: where err is that Compose has no such service, and the engine is a manager
// that has one. Otherwise there are none, and the error is err.
func (o *options) nodes(ctx context.Context, engines []engine, err error) ([]engine, error) {
	_, unknown := errors.AsType[*compose.UnknownServiceError](err)
	_, noFile := errors.AsType[*compose.NoFileError](err)
	if !unknown && !noFile || len(engines) > 1 || o.service == "" || strings.Contains(o.service, ",") {
		return nil, err
	}
	manager := engines[0]
	connected, problem := manager.connect("")
	if problem != nil {
		return nil, err
	}
	defer connected.Close()
	tasks, problem := compose.Tasks(ctx, connected.Client, o.service)
	switch {
	case problem != nil:
		return nil, problem
	case tasks == nil:
		return nil, err
	}
	if tasks, problem = o.meant(tasks); problem != nil {
		return nil, problem
	}
	config, problem := o.stackConfig(ctx, manager)
	if problem != nil {
		return nil, problem
	}
	var nodes []engine
	for _, t := range tasks {
		at := slices.IndexFunc(nodes, func(e engine) bool { return e.node == t.Node })
		if at < 0 {
			at = len(nodes)
			e, problem := o.nodeEngine(manager, t.Node, config.Nodes)
			if problem != nil {
				return nil, problem
			}
			e.node, e.stack = t.Node, config
			e.name, e.others = t.Node.Name, true
			nodes = append(nodes, e)
		}
		nodes[at].tasks = append(nodes[at].tasks, t)
	}
	return nodes, nil
}

// meant are those of a service's tasks that the options mean.
func (o *options) meant(tasks []compose.Task) ([]compose.Task, error) {
	switch {
	case o.every, o.split.split:
		return tasks, nil
	case o.index == 0:
		return tasks[:1], nil
	}
	for _, t := range tasks {
		if t.Slot == o.index {
			return []compose.Task{t}, nil
		}
	}
	return nil, &compose.NoTaskError{Service: tasks[0].Service, Slot: o.index}
}

// stackConfig is the x-toxrun of the service that a stack's was made of, where there is
// its Compose file: STACK_SERVICE is the one's name, and SERVICE the other's.
func (o *options) stackConfig(ctx context.Context, e engine) (compose.Config, error) {
	query, err := o.query(e.host)
	if err != nil {
		return compose.Config{}, err
	}
	_, query.Service, _ = strings.Cut(o.service, "_")
	if query.Service == "" {
		return compose.Config{}, nil
	}
	_, config, err := o.finder(e, messages{quiet: true}).Config(ctx, query)
	_, unknown := errors.AsType[*compose.UnknownServiceError](err)
	_, noFile := errors.AsType[*compose.NoFileError](err)
	if unknown || noFile {
		return compose.Config{}, nil
	}
	return config, err
}

// nodeEngine is the engine of a node: the manager's own; what x-toxrun.nodes names, a
// context or an address; the context with the node's name; or else what ssh finds at the
// node's address.
func (o *options) nodeEngine(manager engine, n compose.Node, named map[string]string) (engine, error) {
	if n.Here {
		return manager, nil
	}
	r := reference{address: "ssh://" + n.Address}
	for _, key := range []string{n.Name, n.ID, n.Address} {
		given, ok := named[key]
		switch {
		case !ok:
			continue
		case strings.Contains(given, "://"):
			r = reference{address: given}
		default:
			r = reference{context: given}
		}
		return o.engineAt(manager, n, r)
	}
	if _, err := contextStore().GetMetadata(n.Name); err == nil {
		r = reference{context: n.Name}
	}
	return o.engineAt(manager, n, r)
}

// engineAt is the engine of a node that is meant by r, with all else as the manager's.
func (o *options) engineAt(manager engine, n compose.Node, r reference) (engine, error) {
	e := manager
	endpoint, err := findEndpoint(o.docker, r)
	if err != nil {
		return e, fmt.Errorf("node %s: %w", n.Name, err)
	}
	e.reference, e.host, e.endpoint = r, endpoint.Host, endpoint
	return e, nil
}

// findTasks finds the containers of the tasks on a node.
func (o *options) findTasks(ctx context.Context, node engine, std stdio) ([]placed, error) {
	var targets []placed
	finder := o.finder(node, o.messages(std.err))
	defer finder.close()
	for _, task := range node.tasks {
		target, err := finder.Find(ctx, compose.Query{Engine: node.host, Container: task.Container})
		if err == nil {
			target.Service, target.Number = task.Service, task.Slot
			target.Config = node.stack
			target.Config.Environment = slices.Clone(target.Config.Environment)
			target.Config.Commands = maps.Clone(target.Config.Commands)
		}
		if target, err = o.found(node, target, err, std); err != nil {
			return nil, err
		}
		targets = append(targets, placed{target, node})
	}
	return targets, nil
}
