package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/toxrun/docker-toxrun/internal/lanes"
)

// A jobOutput keeps the output of a job, until it is known whether it is shown: in a file,
// since it may be long, each piece behind the number of its stream and its length. What
// goes to --logs is the output as it is.
type jobOutput struct {
	mu   sync.Mutex
	kept *os.File
	to   *bufio.Writer
	log  io.WriteCloser // nil without --logs
	line func(string)   // is told of the last line that is not empty; nil: nobody is
}

// newJobOutput has what goes to --logs in the file log, if any.
func newJobOutput(log string) (*jobOutput, error) {
	kept, err := os.CreateTemp("", "docker-toxrun-*.output")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(kept.Name()) // on Windows when it is closed
	o := &jobOutput{kept: kept, to: bufio.NewWriter(kept)}
	if log != "" {
		file, err := os.Create(log)
		if err != nil {
			o.close()
			return nil, err
		}
		o.log = file
	}
	return o, nil
}

// logFiles are the files of jobs in a directory, which differ also where file systems make
// no difference between large and small letters.
func logFiles(dir string, jobs []splitJob) map[string]string {
	files, taken := map[string]string{}, map[string]bool{}
	for _, j := range jobs {
		name := fileName(j.name)
		for n := 2; taken[strings.ToLower(name)]; n++ {
			name = fmt.Sprintf("%s-%d", fileName(j.name), n)
		}
		taken[strings.ToLower(name)] = true
		files[j.name] = filepath.Join(dir, name+".log")
	}
	return files
}

// fileName is name without what means something in a path, and not too long for one.
func fileName(name string) string {
	const limit = 200 // bytes; file systems have 255
	if len(name) > limit {
		name = strings.ToValidUTF8(name[:limit], "")
	}
	safe := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	if strings.Trim(safe, ".") == "" {
		return "_" + safe
	}
	return safe
}

// stream is the writer of stdout, 0, or stderr, 1.
func (o *jobOutput) stream(number byte) io.Writer { return jobStream{o, number} }

type jobStream struct {
	*jobOutput
	number byte
}

func (s jobStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var head [5]byte
	head[0] = s.number
	binary.BigEndian.PutUint32(head[1:], uint32(len(p)))
	_, err := s.to.Write(head[:])
	if err == nil {
		_, err = s.to.Write(p)
	}
	if err == nil && s.log != nil {
		_, err = s.log.Write(p)
	}
	if err != nil {
		return 0, err
	}
	if line := lastLine(p); line != "" && s.line != nil {
		s.line(line)
	}
	return len(p), nil
}

// lastLine is the last line of p that is not empty, without colours and what else may do
// something to a terminal.
func lastLine(p []byte) string {
	p = p[max(0, len(p)-4096):]
	lines := strings.FieldsFunc(escapes().ReplaceAllString(string(p), ""), func(r rune) bool { return r == '\n' || r == '\r' })
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); line != "" {
			return visible(line)
		}
	}
	return ""
}

// escapes are the control sequences of ECMA-48, colours among them.
var escapes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]`) })

// replay writes the output, each stream to its own writer and its last line with an end.
func (o *jobOutput) replay(stdout, stderr *lanes.Lines) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.to.Flush(); err != nil {
		return err
	}
	if _, err := o.kept.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return lanes.Alone(stdout, stderr, func(out, err io.Writer) error {
		to := [2]*ended{{Writer: out}, {Writer: err}}
		from := bufio.NewReaderSize(o.kept, 64<<10)
		for {
			var head [5]byte
			if _, err := io.ReadFull(from, head[:]); err == io.EOF {
				return errors.Join(to[0].end(), to[1].end())
			} else if err != nil {
				return err
			}
			if _, err := io.CopyN(to[head[0]], from, int64(binary.BigEndian.Uint32(head[1:]))); err != nil {
				return err
			}
		}
	})
}

// close throws what was kept away.
func (o *jobOutput) close() {
	o.kept.Close()
	_ = os.Remove(o.kept.Name())
	if o.log != nil {
		o.log.Close()
	}
}

// An ended writer writes whole lines, and one that is too long in pieces.
type ended struct {
	io.Writer
	begun []byte
}

func (e *ended) Write(p []byte) (int, error) {
	e.begun = append(e.begun, p...)
	whole := bytes.LastIndexByte(e.begun, '\n') + 1
	if whole == 0 && len(e.begun) > lanes.LongLine {
		whole = len(e.begun)
	}
	if whole == 0 {
		return len(p), nil
	}
	if _, err := e.Writer.Write(e.begun[:whole]); err != nil {
		return 0, err
	}
	e.begun = append(e.begun[:0], e.begun[whole:]...)
	return len(p), nil
}

// end ends the last line.
func (e *ended) end() error {
	if len(e.begun) == 0 {
		return nil
	}
	_, err := e.Writer.Write(append(e.begun, '\n'))
	return err
}
