package compose

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
)

// A Manager is what this package asks of the Engine of a Swarm's manager.
// *client.Client of github.com/docker/docker is one.
type Manager interface {
	Info(context.Context) (system.Info, error)
	ServiceList(context.Context, swarm.ServiceListOptions) ([]swarm.Service, error)
	TaskList(context.Context, swarm.TaskListOptions) ([]swarm.Task, error)
	NodeList(context.Context, swarm.NodeListOptions) ([]swarm.Node, error)
}

// A Task is one of a Swarm service's that runs.
type Task struct {
	Service   string // its name, STACK_SERVICE where it is a stack's
	Slot      int    // counts from 1; the tasks of a global service, which have none, count by their nodes' names
	Container string // ID
	Node      Node
}

// A Node is a machine of a Swarm.
type Node struct {
	ID      string
	Name    string // of the host
	Address string // as the Swarm knows it, without a port
	Here    bool   // it is the manager that was asked
}

// Tasks gives the tasks of a Swarm service that run, by their slots: one at least. The
// service is named or meant by its ID. Nil, without an error, is that the Engine is no
// manager of a Swarm, or has no such service.
func Tasks(ctx context.Context, m Manager, service string) ([]Task, error) {
	services, err := m.ServiceList(ctx, swarm.ServiceListOptions{})
	switch {
	case errdefs.IsUnavailable(err), errdefs.IsNotFound(err): // 503 from API 1.25 on; other engines have no Swarm
		return nil, nil
	case err != nil:
		return nil, err
	}
	at := slices.IndexFunc(services, func(s swarm.Service) bool { return s.Spec.Name == service || s.ID == service })
	if at < 0 {
		return nil, nil
	}
	found := services[at]
	here, err := m.Info(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := m.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return nil, err
	}
	list, err := m.TaskList(ctx, swarm.TaskListOptions{Filters: filters.NewArgs(filters.Arg("service", found.ID), filters.Arg("desired-state", "running"))})
	if err != nil {
		return nil, err
	}
	var tasks []Task
	for _, t := range list {
		at := slices.IndexFunc(nodes, func(n swarm.Node) bool { return n.ID == t.NodeID })
		if t.Status.State != swarm.TaskStateRunning || t.Status.ContainerStatus == nil || at < 0 {
			continue
		}
		n := nodes[at]
		tasks = append(tasks, Task{
			Service: found.Spec.Name, Slot: t.Slot, Container: t.Status.ContainerStatus.ContainerID,
			Node: Node{ID: n.ID, Name: n.Description.Hostname, Address: n.Status.Addr, Here: n.ID == here.Swarm.NodeID},
		})
	}
	if tasks == nil {
		return nil, &NoTaskError{Service: found.Spec.Name}
	}
	slices.SortFunc(tasks, func(a, b Task) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Node.Name, b.Node.Name), cmp.Compare(a.Node.ID, b.Node.ID))
	})
	for i := range tasks {
		if found.Spec.Mode.Global != nil {
			tasks[i].Slot = i + 1
		}
	}
	return tasks, nil
}

// A NoTaskError says that no task of a Swarm service runs.
type NoTaskError struct {
	Service string
	Slot    int // the one asked for; 0 is any
}

func (e *NoTaskError) Error() string {
	if e.Slot > 0 {
		return fmt.Sprintf("task %d of service %q of the swarm is not running", e.Slot, e.Service)
	}
	return fmt.Sprintf("no task of service %q of the swarm is running", e.Service)
}

// Hint is the command that tells why.
func (e *NoTaskError) Hint() string {
	return CommandLine([]string{"docker", "service", "ps", e.Service})
}
