package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/cli/cli/flags"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/client"

	dockercontext "github.com/docker/cli/cli/context"

	"github.com/toxrun/docker-toxrun/compose"
)

// An engine is where the Docker Engine is, as docker itself would find it.
// Nothing is connected yet.
type engine struct {
	reference
	name     string // for people, where there are others
	others   bool   // are meant, too
	host     string // its address: unix://, tcp://, ssh:// or npipe://
	endpoint docker.Endpoint
	headers  map[string]string // for every request, from docker's configuration
	settings settings          // of ours, from there
	tlsFrom  tlsSource

	// dial is asked first for a connection; nil, or where it fails: one is made.
	dial func(ctx context.Context) (net.Conn, error)

	// Of a node of a Swarm: the service's tasks on it, and their configuration.
	node  compose.Node
	tasks []compose.Task // nil: it is no node's
	stack compose.Config
}

// A reference is what means an Engine: a context or, where that is empty, an address.
type reference struct {
	context, address string
}

// findEngines follows docker's own order: --context, --host, DOCKER_HOST,
// DOCKER_CONTEXT, the current context of the configuration, the default. It returns
// one at least. Those with the same address are one.
func findEngines(o *flags.ClientOptions) ([]engine, error) {
	config.SetDir(o.ConfigDir)
	file, err := config.Load(o.ConfigDir)
	if err != nil {
		return nil, err
	}
	references, err := references(o, file)
	if err != nil {
		return nil, err
	}
	settings, err := readSettings(file)
	if err != nil {
		return nil, err
	}
	var engines []engine
	for _, r := range references {
		endpoint, err := findEndpoint(o, r)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(engines, func(e engine) bool { return e.host == endpoint.Host }) {
			engines = append(engines, engine{reference: r, host: endpoint.Host, endpoint: endpoint, headers: file.HTTPHeaders, settings: settings, tlsFrom: tlsSourceOf(o, r.context)})
		}
	}
	nameEngines(engines)
	return engines, nil
}

const defaultContext = "default"

// references are those that the user has given. Other than docker's own, --context may
// name several, a,b, and --host may be repeated.
func references(o *flags.ClientOptions, file *configfile.ConfigFile) (list []reference, err error) {
	contexts := defaultContext
	switch {
	case o.Context != "" && len(o.Hosts) > 0:
		return nil, usage("--host and --context exclude each other", "")
	case o.Context != "":
		contexts = o.Context
	case len(o.Hosts) > 0:
		for _, address := range o.Hosts {
			list = append(list, reference{address: address})
		}
		return list, nil
	case os.Getenv(client.EnvOverrideHost) != "":
	case os.Getenv("DOCKER_CONTEXT") != "":
		contexts = os.Getenv("DOCKER_CONTEXT")
	case file.CurrentContext != "":
		contexts = file.CurrentContext
	}
	for name := range strings.SplitSeq(contexts, ",") {
		if name == "" {
			return nil, usage(fmt.Sprintf("docker context %q: a name is missing", contexts), "docker context ls")
		}
		list = append(list, reference{context: name})
	}
	return list, nil
}

// contextStore has docker's contexts.
func contextStore() *store.ContextStore {
	return store.New(config.ContextStoreDir(), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(docker.DockerEndpoint, func() any { return &docker.EndpointMeta{} }),
	))
}

// findEndpoint is where what r means is, with what its TLS needs.
func findEndpoint(o *flags.ClientOptions, r reference) (docker.Endpoint, error) {
	name := r.context
	switch name {
	case "":
		return defaultEndpoint(o, r.address)
	case defaultContext:
		return defaultEndpoint(o, os.Getenv(client.EnvOverrideHost))
	}
	contexts := contextStore()
	meta, err := contexts.GetMetadata(name)
	switch {
	case errdefs.IsNotFound(err):
		return docker.Endpoint{}, hinted(fmt.Errorf("there is no docker context %q", name), "docker context ls")
	case err != nil:
		return docker.Endpoint{}, fmt.Errorf("docker context %q: %w", name, err)
	}
	endpoint, err := docker.EndpointFromContext(meta)
	if err != nil {
		return docker.Endpoint{}, fmt.Errorf("docker context %q: %w", name, err)
	}
	return docker.WithTLSData(contexts, name, endpoint)
}

func defaultEndpoint(o *flags.ClientOptions, host string) (docker.Endpoint, error) {
	host, err := opts.ParseHost(o.TLSOptions != nil, host)
	if err != nil {
		return docker.Endpoint{}, usage(fmt.Sprintf("engine address %q: %v", host, err), "")
	}
	endpoint := docker.Endpoint{EndpointMeta: docker.EndpointMeta{Host: host}}
	if t := o.TLSOptions; t != nil {
		endpoint.SkipTLSVerify = t.InsecureSkipVerify
		endpoint.TLSData, err = dockercontext.TLSDataFromFiles(t.CAFile, t.CertFile, t.KeyFile)
		err = tlsSourceOf(o, defaultContext).unread(err)
	}
	return endpoint, err
}
