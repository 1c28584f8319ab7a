package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/docker/cli/cli/connhelper/ssh"

	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

// A controlDir is a directory for the sockets of connections that several ssh share, as
// ControlMaster in ssh_config(5) has it. The empty one is none: each has its own.
type controlDir string

// controlConfig begins with what ssh reads without -F, so that whatever the user has
// decided comes first, which for ssh means that it counts. A Host or Match in there ends
// with its file.
//
// A connection that no run uses is kept for as long as sudo remembers a password. One that
// is dead would be noticed by TCP only, after a quarter of an hour, and hold up every run
// meanwhile; the 30 seconds that ServerAliveInterval makes of it are what a run waits for an
// Engine. And it keeps none of the ports that the user's own ssh forwards.
const controlConfig = `# docker-toxrun gives this file to ssh, and writes it.
Include %[1]s/.ssh/config
Include /etc/ssh/ssh_config
ControlMaster auto
ControlPath %[2]s
ControlPersist 5m
ServerAliveInterval 10
ClearAllForwardings yes
`

func (d controlDir) config() string { return filepath.Join(string(d), "ssh_config") }
func (d controlDir) socket() string { return filepath.Join(string(d), "ssh-%C") } // a digest of who and where

// openControlDir returns this user's, with a configuration that host can be reached by, or
// none where there can't be any.
func openControlDir(host string) controlDir {
	me, err := user.Current() // whose home, and not $HOME, is where ssh looks
	if err != nil || !standby.Supported || !wordOfSSH(me.HomeDir) {
		return ""
	}
	dir, err := standby.Dir()
	if err != nil || !controlDir(dir).fits() {
		// Directories for temporary files have long names on macOS.
		dir, err = standby.DirIn("/tmp")
	}
	d := controlDir(dir)
	if err != nil || !d.fits() || !d.write(fmt.Sprintf(controlConfig, me.HomeDir, d.socket()), host) {
		return ""
	}
	return d
}

// fits tells whether the address of a socket has room for what ssh makes of its path: %C is
// 40 digits, and while it is made it has 17 more. There are 104 bytes, one of them 0, on
// macOS and the BSDs, some more on Linux.
func (d controlDir) fits() bool {
	return len(d.socket())-len("%C")+40+17 < 104 && wordOfSSH(string(d))
}

// wordOfSSH tells whether a path means itself in ssh's configuration, and in the command
// line that ssh makes for a ProxyJump.
func wordOfSSH(path string) bool {
	return filepath.IsAbs(path) && !strings.ContainsFunc(path, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+@", r)
	})
}

// write sees that the configuration is there. A new one is shown to ssh first: it may be
// too old for it, or not be OpenSSH, or refuse one of the files that it would otherwise
// read, since it looks whose they are only if they are included.
func (d controlDir) write(text, host string) bool {
	if there, err := os.ReadFile(d.config()); err == nil && string(there) == text {
		return true
	}
	file, err := os.CreateTemp(string(d), "ssh_config.")
	if err != nil {
		return false
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(text)
	err = cmp.Or(err, file.Close())
	return err == nil && runSSH("-G", "-F", file.Name(), "--", host) == nil && os.Rename(file.Name(), d.config()) == nil
}

// runSSH runs an ssh that connects to nobody.
func runSSH(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), sshTime)
	defer cancel()
	return exec.CommandContext(ctx, "ssh", args...).Run()
}

// sshTime is how long that may take: it does no more than read files (2 ms), and what the
// user's configuration has it do for that.
const sshTime = 2 * time.Second

// flags are ssh's.
func (d controlDir) flags() []string {
	if d == "" {
		return nil
	}
	return []string{"-F", d.config()}
}

// end has no more runs share the connection. Those that do go on. A connection of the user's
// own is left alone.
func (d controlDir) end(to *ssh.Spec) {
	if d != "" {
		_ = runSSH(append([]string{"-F", d.config(), "-S", d.socket(), "-O", "stop"}, to.Args()...)...)
	}
}
