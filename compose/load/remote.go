package load

import (
	"context"
	"fmt"
	"strings"
)

// remote refuses resources that docker compose would fetch (git, OCI), which
// compose-go would otherwise take for paths of this machine.
type remote struct{}

func (remote) Accept(path string) bool {
	return strings.Contains(path, "://") || strings.HasPrefix(path, "git@") || strings.HasPrefix(path, "github.com/")
}

func (remote) Load(_ context.Context, path string) (string, error) {
	return "", remoteError(path)
}

func (remote) Dir(path string) string { return path }

func remoteError(path string) error {
	return fmt.Errorf("%s: only local Compose files can be loaded here", path)
}
