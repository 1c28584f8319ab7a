package standby

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"time"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// wireVersion is raised when the messages change their meaning. A keeper that an
// older or newer client asks ends.
const wireVersion = 5

// A request is the first line on a connection, an object of JSON.
type request struct {
	Version int
	Verb    verb
	Want    Want // for take
}

type verb string

const (
	take  verb = "take" // a spare; the connection then lasts as long as the run
	info  verb = "info"
	reach verb = "reach" // a connection to the Engine
	stop  verb = "stop"  // answered when the keeper is about to end
)

// An answer is the keeper's only line. The connection of the spare, or to the Engine, comes
// with it.
type answer struct {
	Version int
	Spare   *execproxy.Spare `json:",omitempty"` // without its Conn; nil: start the command plainly
	Token   string           `json:",omitempty"` // for that
	Relayed bool             `json:",omitempty"` // the connection that comes along ends with the keeper
	Info    json.RawMessage  `json:",omitempty"` // an Info: who takes a spare need not know what that is
}

// What a client says after the answer. One that says nothing has given up before;
// one that has taken the answer and says no more was killed.
const (
	taken = "taken\n" // the answer, with its spare
	woken = "woken\n" // the run is over, and the spare was its command
	over  = "over\n"  // the run is over, and was started plainly

	// Before woken or over, and answered by an execState, or an empty line where the Engine
	// does not tell:
	inspect = "inspect\n" // the spare's exec
	whole   = "whole\n"   // has all come that the Engine has sent on the spare's connection?
)

// An execState is what the Engine says of an exec, or Whole alone.
type execState struct {
	Running  bool
	Pid      int
	ExitCode *int // nil: it names none
	Whole    bool `json:",omitempty"`
}

// lineLimit is far above the environment that a process can be given, 2 MiB as a
// rule (execve(2)).
const lineLimit = 8 << 20

// requestTime is how long a request or an answer may take where no run waits for it.
const requestTime = 2 * time.Second

func send(conn net.Conn, message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = conn.Write(append(line, '\n'))
	return err
}

func receive(from *bufio.Reader, message any) error {
	line, err := readLine(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(line, message)
}

// readLine reads up to the end of a line. After an error the next one begins in the middle.
func readLine(from *bufio.Reader) (line []byte, err error) {
	for {
		part, err := from.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > lineLimit:
			return nil, errors.New("a line too long")
		}
	}
}

// ask sends a request to a keeper. It returns what it tells, where the request is info, and
// the connection.
func ask(socket string, q request) (*Info, *net.UnixConn, error) {
	conn, err := dial(socket, requestTime)
	if err != nil {
		return nil, nil, err
	}
	q.Version = wireVersion
	var a answer
	if err = send(conn, q); err == nil {
		err = receive(bufio.NewReader(conn), &a)
	}
	told := new(Info)
	switch {
	case err == nil && a.Version != wireVersion:
		err = errors.New("the keeper is of another version")
	case err == nil && q.Verb == info && a.Info == nil:
		err = errors.New("the keeper tells nothing of itself")
	case err == nil && q.Verb == info:
		err = json.Unmarshal(a.Info, told)
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return told, conn, nil
}

// dial connects to a keeper of this user's and sets the time limit for the whole
// exchange.
func dial(socket string, limit time.Duration) (*net.UnixConn, error) {
	deadline := time.Now().Add(limit)
	// Where the keeper accepts nobody, and its queue is full, this fails at once.
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(deadline)
}

// gone tells whether err, of dial, shows that there is no keeper.
func gone(err error) bool {
	return errors.Is(err, errNoFile) || errors.Is(err, errRefused)
}
