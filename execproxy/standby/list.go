package standby

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// An Info is what a keeper says of itself.
type Info struct {
	PID       int               `json:"pid"`
	Engine    string            `json:"engine"`
	Container string            `json:"container"` // ID
	Name      string            `json:"name"`      // of the container
	User      string            `json:"user"`      // in the container; "" is its own
	Begun     time.Time         `json:"begun"`
	Used      time.Time         `json:"used"`     // the end of the last run, or Begun
	Idle      time.Duration     `json:"idle"`     // in nanoseconds; unused for this long it ends
	Hits      int               `json:"hits"`     // runs whose command was a spare
	Misses    int               `json:"misses"`   // runs that were started plainly
	State     string            `json:"state"`    // ready, starting, running, paused, or why there is no spare
	Python    bool              `json:"python"`   // the spare is an interpreter
	Modules   int               `json:"modules"`  // that it has imported beforehand
	Left      map[string]string `json:"left"`     // the modules that it has not, and why
	Plain     string            `json:"plain"`    // why it is no interpreter in spite of Want.Preload or Want.Learn
	Terminal  bool              `json:"terminal"` // there is one with a terminal
}

// List asks the keepers of a directory what they are doing. Sockets that a killed
// one has left are removed. The error tells of keepers that don't answer.
func List(dir string) ([]Info, error) {
	var infos []Info
	err := each(dir, func(socket string) error {
		i, conn, err := ask(socket, request{Verb: info})
		if err != nil {
			return err
		}
		conn.Close()
		infos = append(infos, *i)
		return nil
	})
	return infos, err
}

// Stop ends the keepers of a container, by its ID, the beginning of it, or name;
// of all with "". It returns those that have ended. Runs that have their spares
// go on.
func Stop(dir, container string) ([]Info, error) {
	var stopped []Info
	err := each(dir, func(socket string) error {
		i, conn, err := ask(socket, request{Verb: info})
		if err != nil {
			return err
		}
		conn.Close()
		if container != "" && i.Name != container && !strings.HasPrefix(i.Container, container) {
			return nil
		}
		if _, conn, err = ask(socket, request{Verb: stop}); err != nil {
			return err
		}
		defer conn.Close()
		if _, err = io.Copy(io.Discard, conn); err == nil { // until it is gone
			stopped = append(stopped, *i)
		}
		return err
	})
	return stopped, err
}

// each calls f for the socket of each keeper.
func each(dir string, f func(socket string) error) error {
	sockets, err := filepath.Glob(filepath.Join(dir, "*"+socketSuffix))
	if err != nil {
		return err
	}
	var errs []error
	for _, socket := range sockets {
		err := f(socket)
		switch {
		case gone(err):
			err = removeStale(dir, socket)
		case errors.Is(err, io.EOF):
			err = nil // it has ended meanwhile
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Base(socket), err))
		}
	}
	return errors.Join(errs...)
}

// removeStale removes a socket that nobody listens to.
func removeStale(dir, socket string) error {
	held, err := lock(filepath.Join(dir, lockName))
	if err != nil {
		return err
	}
	defer held.Close()
	conn, err := dial(socket, requestTime)
	if err == nil {
		return conn.Close() // one has come meanwhile
	}
	if gone(err) {
		err = os.Remove(socket)
	}
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return err
}
