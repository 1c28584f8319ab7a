package loadexec

import (
	"context"
	"errors"
	"io"

	"github.com/toxrun/docker-toxrun/compose"
)

// Serve answers one request of Program.Model with what load says. The answer
// is an error of load, too. Its own errors are those of the exchange, and the
// end of the caller, which in closes for: then load is left alone with what it
// does, and the process should end.
func Serve(ctx context.Context, in io.Reader, out io.Writer, load func(context.Context, compose.Query) (*compose.Model, error)) error {
	var got request
	err := decode(in, &got)
	if errors.Is(err, errOther) {
		text, err := refusal()
		if err == nil {
			_, err = out.Write(text)
		}
		return err
	}
	if err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(gone)
	}()
	answered := make(chan error, 1) // room for one: Serve may have left
	go func() {
		text, err := encode(newAnswer(load(ctx, got.Query)))
		if err == nil {
			_, err = out.Write(text)
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		return err
	case <-gone:
		return errors.New("the caller has gone")
	}
}
