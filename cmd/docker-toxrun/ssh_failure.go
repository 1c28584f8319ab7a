package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/cli/cli/connhelper/ssh"

	"github.com/toxrun/docker-toxrun/compose"
)

// An sshFailure is how an ssh has ended: with a status, and after these lines on stderr.
// 255 is its own, others are those of what it runs over there.
type sshFailure struct {
	status string
	lines  []string
}

const ownFailure = "exit status 255"

// last is the last line that has one of the words in it, or "".
func (f sshFailure) last(words ...string) string {
	for _, line := range slices.Backward(f.lines) {
		if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(line, word) }) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// after is what follows the words in the last line that has them, up to end, or "".
func (f sshFailure) after(words, end string) string {
	_, what, _ := strings.Cut(f.last(words), words)
	what, _, _ = strings.Cut(what, end)
	return what
}

// forbidden tells whether the docker over there may not use its Engine.
func (f sshFailure) forbidden() bool {
	return f.status != ownFailure && f.last("permission denied") != ""
}

// text is what was said, in the line that tells: the last, but for what a ProxyJump that
// has failed, and has said so before, makes of it.
func (f sshFailure) text(to *ssh.Spec) string {
	line := cmp.Or(f.last("Host key verification failed", "Permission denied", "Connection refused", "Could not resolve", "timed out"), f.last(""))
	changed := f.after("Offending ", "\x00")
	switch {
	case line == "":
		return "ssh has ended with " + f.status
	case f.status != ownFailure:
		return to.Host + ": " + notDockers.Replace(line)
	case changed != "":
		line = strings.TrimSuffix(line, ".") + ": another key than the " + changed
	}
	return "ssh: " + strings.TrimPrefix(line, "ssh: ")
}

// notDockers changes words by which docker's client takes an error for one of its own, and
// leaves out what it was (client/request.go, doRequest).
var notDockers = strings.NewReplacer("dial unix ", "", "connection refused", "Connection refused")

// hint is what helps.
func (f sshFailure) hint(to *ssh.Spec) string {
	var words []string
	if to.Port != "" {
		words = append(words, "-p", to.Port)
	}
	name := to.Host
	if to.User != "" {
		name = to.User + "@" + name
	}
	login := "ssh " + compose.CommandLine(append(words, name))
	known := f.after(" key in ", "\x00") // with a line's number
	switch {
	case f.status == "exit status 127":
		return "install the docker command there, where this finds it: " + login + " docker --version"
	case f.forbidden():
		return fmt.Sprintf("root there may let the user have it: usermod -aG docker %s", cmp.Or(to.User, "USER"))
	case f.status != ownFailure:
		return "this has to work first: " + login + " docker version"
	case f.last("Host key verification failed") != "" && known != "":
		forget := compose.CommandLine([]string{"-f", known[:max(0, strings.LastIndexByte(known, ':'))], "-R", f.after("Host key for ", " has changed")})
		return "if the host has a new one: ssh-keygen " + forget + "; then connect once: " + login
	case f.last("Host key verification failed") != "":
		return "connect once, and compare the key: " + login
	case f.last("Permission denied") != "":
		return "ssh-add the key, or name it as IdentityFile in ~/.ssh/config; this has to work first: " + login
	}
	return "this has to work first: " + login
}
