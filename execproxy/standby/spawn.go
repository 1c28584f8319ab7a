package standby

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
)

// logLimit is the size at which a log is begun anew. A keeper writes a few lines.
const logLimit = 1 << 20

// Spawn starts a keeper: program with args, in a session of its own, with none of
// this process's open files, the variables env and no others, and want on its stdin, for
// [ReadWant]. What it says is added to the file log. It is for a process that is about to
// end: what it starts later gets no open files either.
func Spawn(program string, args, env []string, log string, want Want) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(log); err == nil && info.Size() > logLimit {
		flags |= os.O_TRUNC
	}
	out, err := os.OpenFile(log, flags, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	in, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer write.Close()
	defer in.Close()
	keepFiles()
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, out
	cmd.Dir = string(os.PathSeparator)
	cmd.Env = append([]string{}, env...) // nil would be this process's
	cmd.SysProcAttr = apart()
	if err := cmd.Start(); err != nil {
		return err
	}
	in.Close() // else a keeper that dies could not be told from a slow reader
	err = json.NewEncoder(write).Encode(toldWant{want, want.Secret})
	return errors.Join(err, cmd.Process.Release())
}

// ReadWant reads what [Spawn] tells a keeper.
func ReadWant(from io.Reader) (Want, error) {
	var told toldWant
	err := json.NewDecoder(from).Decode(&told)
	told.Want.Secret = told.Secret
	return told.Want, err
}

// A toldWant is a Want with its Secret.
type toldWant struct {
	Want
	Secret []byte
}
