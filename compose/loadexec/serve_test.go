package loadexec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/toxrun/docker-toxrun/compose"
)

// However the caller ends, its end of the pipe closes.
func TestServeEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	in, caller := io.Pipe()
	out := new(bytes.Buffer)
	loading := make(chan struct{})
	hangs := func(context.Context, compose.Query) (*compose.Model, error) {
		close(loading)
		select {}
	}
	served := make(chan error)
	go func() { served <- Serve(t.Context(), in, out, hangs) }()
	asked, err := encode(request{compose.Query{Dir: "/"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := caller.Write(asked); err != nil {
		t.Fatal(err)
	}
	<-loading
	caller.Close()
	if err := <-served; err == nil || out.Len() > 0 {
		t.Errorf("Serve() = %v, having written %q", err, out)
	}
}

// A caller of another build hears so, whatever its messages look like.
func TestServeRefusesAnotherBuild(t *testing.T) {
	t.Parallel()
	for _, asked := range []string{`{}`, `{"Version": "1", "Message": {"Query": 5}, "More": 1}`} {
		out := new(bytes.Buffer)
		err := Serve(t.Context(), strings.NewReader(asked), out, nil)
		if err != nil {
			t.Errorf("%s: Serve() = %v", asked, err)
		}
		e := strings.Replace(out.String(), version(), "another", 1)
		if err := decode(strings.NewReader(e), new(answer)); !errors.Is(err, errOther) {
			t.Errorf("%s: the answer %s is %v", asked, e, err)
		}
	}
}

func TestServeNeedsARequest(t *testing.T) {
	t.Parallel()
	for _, asked := range []string{"", "hello", `{"Version": "` + version() + `", "Message": {"Query": 5}}`} {
		out := new(bytes.Buffer)
		if err := Serve(t.Context(), strings.NewReader(asked), out, nil); err == nil || out.Len() > 0 {
			t.Errorf("%q: Serve() = %v, having written %q", asked, err, out)
		}
	}
}
