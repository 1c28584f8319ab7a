package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/cli/cli/flags"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	dockercontext "github.com/docker/cli/cli/context"

	"github.com/toxrun/docker-toxrun/compose"
	"github.com/toxrun/docker-toxrun/execproxy"
	"github.com/toxrun/docker-toxrun/execproxy/standby"
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

// connect returns a client. With apiVersion, the one that was agreed on before,
// it asks the Engine nothing; with none it agrees on one at its first request.
// DOCKER_API_VERSION comes before both.
func (e engine) connect(apiVersion string) (*execproxy.Client, error) {
	// A client changes the transport that its options bring, so each needs its own.
	options, err := e.options()
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", e.host, err)
	}
	if e.dial != nil {
		if options, err = e.dialed(options); err != nil {
			return nil, fmt.Errorf("engine %s: %w", e.host, err)
		}
	}
	if len(e.headers) > 0 {
		options = append(options, client.WithHTTPHeaders(e.headers))
	}
	if apiVersion != "" && os.Getenv(client.EnvOverrideAPIVersion) == "" {
		options = append(options, client.WithVersion(apiVersion))
	}
	connected, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", e.host, err)
	}
	return &execproxy.Client{Client: connected, TLS: e.tls() && e.dial == nil, Header: e.headers}, nil
}

// dialed are the options of a client whose connections are e.dial's, or those of a client
// with options. What comes out of either is the Engine's, TLS and all done.
func (e engine) dialed(options []client.Opt) ([]client.Opt, error) {
	own, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		if conn, err := e.dial(ctx); err == nil {
			return conn, nil
		}
		conn, err := own.Dialer()(ctx)
		return e.trusting(conn, err)
	}
	return []client.Opt{
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: dial}}),
		client.WithHost("http://" + client.DummyHost), // as of a connection helper of docker's
		client.WithDialContext(dial),
		client.WithVersionFromEnv(), client.WithAPIVersionNegotiation(),
	}, nil
}

// A secret is what a keeper has to know to reach an Engine by TLS.
type secret struct {
	CA, Cert, Key []byte
	SkipVerify    bool
}

// secret is e's, or nil.
func (e engine) secret() []byte {
	if !e.tls() {
		return nil
	}
	s := secret{SkipVerify: e.endpoint.SkipTLSVerify}
	if data := e.endpoint.TLSData; data != nil {
		s.CA, s.Cert, s.Key = data.CA, data.Cert, data.Key
	}
	text, _ := json.Marshal(s)
	return text
}

// engineOf is the Engine that a keeper is told of.
func engineOf(want standby.Want) (engine, error) {
	e := engine{host: want.Engine, headers: want.Headers}
	e.endpoint.Host = want.Engine
	if want.Secret == nil {
		return e, nil
	}
	var s secret
	if err := json.Unmarshal(want.Secret, &s); err != nil {
		return e, err
	}
	e.endpoint.SkipTLSVerify = s.SkipVerify
	if s.CA != nil || s.Cert != nil || s.Key != nil {
		e.endpoint.TLSData = &dockercontext.TLSData{CA: s.CA, Cert: s.Cert, Key: s.Key}
	}
	return e, nil
}

// variables are those that a keeper of e needs: ssh's and its agent's, and where the
// authorities are that the system trusts.
func (e engine) variables() (env []string) {
	var keys []string
	switch {
	case strings.HasPrefix(e.host, sshScheme):
		keys = []string{"PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "TMPDIR"}
	case e.tls():
		keys = []string{"SSL_CERT_FILE", "SSL_CERT_DIR"}
	}
	for _, key := range keys {
		if value, set := os.LookupEnv(key); set {
			env = append(env, key+"="+value)
		}
	}
	return env
}

// options are those of docker's client for this Engine.
func (e engine) options() ([]client.Opt, error) {
	if strings.HasPrefix(e.host, sshScheme) {
		return sshOptions(e.host)
	}
	options, err := e.endpoint.ClientOpts()
	return append(options, e.explainTLS), err
}

// tls tells whether the Engine is reached by TLS, as docker.Endpoint decides it.
func (e engine) tls() bool {
	return !strings.HasPrefix(e.host, sshScheme) && (e.endpoint.TLSData != nil || e.endpoint.SkipTLSVerify)
}

// A waitedFor is an Engine of which the user is told when it does not answer, and
// when it does again. Where there are others it is waited for engineTime.
type waitedFor struct {
	*client.Client
	engine engine
	to     messages
}

// silentTime is how long a request may be without an answer before the user is told,
// less than 5 seconds. On a busy machine some answers take 3 (measured).
const silentTime = 4500 * time.Millisecond

func (w *waitedFor) ContainerList(ctx context.Context, o container.ListOptions) ([]container.Summary, error) {
	return wait(ctx, w, func(ctx context.Context) ([]container.Summary, error) { return w.Client.ContainerList(ctx, o) })
}

func (w *waitedFor) ContainerInspect(ctx context.Context, name string) (container.InspectResponse, error) {
	return wait(ctx, w, func(ctx context.Context) (container.InspectResponse, error) {
		return w.Client.ContainerInspect(ctx, name)
	})
}

func wait[T any](ctx context.Context, w *waitedFor, request func(context.Context) (T, error)) (T, error) {
	answer := begin(func() (T, error) {
		if w.engine.others {
			return within(ctx, engineTime, request)
		}
		return request(ctx)
	})
	silent := time.NewTimer(silentTime)
	defer silent.Stop()
	select {
	case r := <-answer:
		return r.value, r.err
	case <-silent.C:
		w.to.say(fmt.Sprintf("engine %s does not answer; toxrun goes on waiting for it", w.engine.host))
	}
	r := <-answer
	if r.err == nil {
		w.to.say("the engine answers again")
	}
	return r.value, r.err
}

// engineTime is how long an engine may take to answer where nobody waits for it; a busy
// one has taken 3 seconds (measured).
const engineTime = 10 * time.Second

// A silentError is an engine that has not answered within that time.
type silentError time.Duration

func (e silentError) Error() string {
	return fmt.Sprintf("it does not answer within %v", time.Duration(e))
}

// within makes a request that may take so long.
func within[T any](ctx context.Context, limit time.Duration, request func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, silentError(limit))
	defer cancel()
	answer, err := untilDone(ctx, func() (T, error) { return request(ctx) })
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return answer, err
}

// plain tells whether the Engine is reached by a connection that another process
// could go on with: neither TLS, whose state is this process's, nor ssh.
func (e engine) plain() bool {
	scheme, _, _ := strings.Cut(e.host, "://")
	return (scheme == "unix" || scheme == "tcp") && !e.tls()
}

// runs tells whether a remembered target's container is still there and running,
// for those who don't find out by running something in it.
func (e engine) runs(ctx context.Context, t *compose.Target) bool {
	connected, err := e.connect(t.APIVersion)
	if err != nil {
		return false
	}
	defer connected.Close()
	found, err := within(ctx, engineTime, func(ctx context.Context) (container.InspectResponse, error) {
		return connected.ContainerInspect(ctx, t.Container)
	})
	return err == nil && found.State.Running
}
