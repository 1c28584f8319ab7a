package execproxy

import (
	"context"
	"errors"
	"os"
)

// reapGrace is how long, in hundredths of a second, killed processes may take to
// be gone before they are killed again.
const reapGrace = "100"

// Reap kills all that is left of the command that s has become, for a run that
// has died without doing so. Where nothing is left there is no error. It takes up
// to 4 seconds, most of them where there is nothing to be found.
func (s *Spare) Reap(ctx context.Context, engine Engine) error {
	r := &run{
		Cmd:      &Cmd{Engine: engine, Container: s.Container, User: s.User, Privileged: s.Privileged},
		token:    s.Token,
		requests: ctx,
	}
	_, err := r.script(signalName(os.Kill), reapGrace)
	exit, ended := errors.AsType[*ExitError](err)
	_, gone := errors.AsType[*GoneError](err)
	if gone || ended && exit.Code == 3 {
		return nil
	}
	return err
}
