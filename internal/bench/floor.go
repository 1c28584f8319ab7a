package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A floor speaks plain HTTP to the Engine's socket, in this process: what any
// client takes longer is the client's.
type floor struct {
	socket    string
	container string
}

// exec runs a command by the three requests that it takes. It returns what the
// command writes to stdout.
func (f floor) exec(args ...string) (stdout string, took time.Duration, err error) {
	begin := time.Now()
	e, err := f.start(false, args...)
	if err != nil {
		return "", 0, err
	}
	defer e.Close()
	stdout, err = e.finish()
	return stdout, time.Since(begin), err
}

// A flow is an exec that has been started, and the connection to its streams.
type flow struct {
	net.Conn
	floor floor
	id    string
	r     *bufio.Reader
}

func (f floor) start(stdin bool, args ...string) (*flow, error) {
	conn, err := net.Dial("unix", f.socket)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(limit))
	e := &flow{Conn: conn, floor: f, r: bufio.NewReader(conn)}
	var created struct{ ID string }
	err = e.ask("POST", "/containers/"+f.container+"/exec", http.StatusCreated, map[string]any{
		"AttachStdin": stdin, "AttachStdout": true, "AttachStderr": true, "Cmd": args,
	}, &created)
	if err == nil {
		e.id = created.ID
		err = e.ask("POST", "/exec/"+e.id+"/start", http.StatusSwitchingProtocols, map[string]any{"Detach": false}, nil)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return e, nil
}

// ask sends a request and reads what is answered into answer, unless that is nil.
func (e *flow) ask(method, path string, status int, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	upgrade := ""
	if status == http.StatusSwitchingProtocols {
		upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
	}
	_, err = fmt.Fprintf(e, "%s %s HTTP/1.1\r\nHost: docker\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, path, upgrade, len(text), text)
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(e.r, &http.Request{Method: method})
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusSwitchingProtocols && status == response.StatusCode {
		return nil // the rest is the command's output
	}
	text, err = io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != status:
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}

// finish reads the output to its end and asks for the exit status, which has to be 0.
func (e *flow) finish() (stdout string, err error) {
	var out bytes.Buffer
	for {
		stream, data, err := readFrame(e.r)
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		if stream != 1 {
			return "", fmt.Errorf("stream %d: %q", stream, data)
		}
		out.Write(data)
	}
	conn, err := net.Dial("unix", e.floor.socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	again := &flow{Conn: conn, r: bufio.NewReader(conn)}
	var state struct {
		Running  bool
		ExitCode *int
	}
	if err := again.ask("GET", "/exec/"+e.id+"/json", http.StatusOK, nil, &state); err != nil {
		return "", err
	}
	if state.Running || state.ExitCode == nil || *state.ExitCode != 0 {
		return "", errors.New("the exec has not ended with status 0")
	}
	return out.String(), nil
}

// readFrame reads one of the frames that the Engine makes of two streams: 1 is
// stdout, 2 stderr.
func readFrame(r io.Reader) (stream byte, data []byte, err error) {
	var header [8]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	data = make([]byte, binary.BigEndian.Uint32(header[4:]))
	if _, err := io.ReadFull(r, data); err != nil {
		return 0, nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return header[0], data, nil
}

// wait starts a shell that waits for one line and becomes the command it is told.
func (f floor) wait() (*flow, error) {
	e, err := f.start(true, "sh", "-c", `echo ready; IFS= read -r c && eval "exec $c"`)
	if err != nil {
		return nil, err
	}
	if _, data, err := readFrame(e.r); err != nil || string(data) != "ready\n" {
		e.Close()
		return nil, fmt.Errorf("a shell that waits: %q, %w", data, err)
	}
	return e, nil
}

// wake tells it the command, and closes it when that has ended.
func (e *flow) wake(line string) (stdout string, took time.Duration, err error) {
	defer e.Close()
	begin := time.Now()
	if _, err := io.WriteString(e, line+"\n"); err != nil {
		return "", 0, err
	}
	stdout, err = e.finish()
	return stdout, time.Since(begin), err
}
