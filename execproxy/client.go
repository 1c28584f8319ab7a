package execproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// A Client is a docker client that never takes a missing exit status for 0. The
// Engine gives null where it has none, and the docker client's type for the answer
// has no null. Its other requests are the docker client's own.
type Client struct {
	*client.Client
	TLS    bool              // the Engine is reached by TLS; false: plainly, or by a connection helper
	Header map[string]string // of client.WithHTTPHeaders; nil: none
}

// ErrNoStatus is the error of [Client.ContainerExecInspect] for an exec that is not
// running and has no exit status: it has not started yet, or the Engine has lost
// its end. All but the status is as the Engine has it.
var ErrNoStatus = errors.New("the engine names no exit status")

// ContainerExecInspect is the docker client's, but for ErrNoStatus. It makes one
// request, GET /exec/{id}/json, of the version that the client has agreed on. An
// answer other than 200 is an error with the Engine's message.
func (c *Client) ContainerExecInspect(ctx context.Context, exec string) (container.ExecInspect, error) {
	var got struct {
		container.ExecInspect
		ExitCode *int
		Message  string `json:"message"`
	}
	request, err := c.request(ctx, "exec", exec, "json")
	if err != nil {
		return got.ExecInspect, err
	}
	answer, err := c.HTTPClient().Do(request)
	if err != nil {
		return got.ExecInspect, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body) // whole, so that the connection serves the next request
	if err == nil {
		err = json.Unmarshal(body, &got)
	}
	switch {
	case answer.StatusCode != http.StatusOK && got.Message != "":
		return got.ExecInspect, errors.New(got.Message)
	case answer.StatusCode != http.StatusOK:
		return got.ExecInspect, fmt.Errorf("the engine answers %s", answer.Status)
	case err != nil:
		return got.ExecInspect, fmt.Errorf("exec inspect: %w", err)
	case got.ExitCode != nil:
		got.ExecInspect.ExitCode = *got.ExitCode
	case !got.Running:
		return got.ExecInspect, ErrNoStatus
	}
	return got.ExecInspect, nil
}

// request is a GET as the docker client makes it.
func (c *Client) request(ctx context.Context, elem ...string) (*http.Request, error) {
	host, err := client.ParseHostURL(c.DaemonHost())
	if err != nil {
		return nil, err
	}
	to := url.URL{Scheme: "http", Host: host.Host, Path: path.Join(append([]string{"/", host.Path, "v" + c.ClientVersion()}, elem...)...)}
	if c.TLS {
		to.Scheme = "https"
	}
	if host.Scheme == "unix" || host.Scheme == "npipe" {
		to.Host = client.DummyHost // the path of a socket is no name of a host
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, err
	}
	for key, value := range c.Header {
		request.Header.Set(key, value)
	}
	return request, nil
}
