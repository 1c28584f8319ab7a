package main

import (
	"encoding/json"
	"os"
	"strings"

	dockercontext "github.com/docker/cli/cli/context"

	"github.com/toxrun/docker-toxrun/execproxy/standby"
)

// A secret is what a keeper has to know to reach an Engine by TLS.
type secret struct {
	CA, Cert, Key []byte
	SkipVerify    bool
}

// secret is e's, or nil.
func (e engine) secret() []byte {
	if !e.tls() {
		return nil
	}
	s := secret{SkipVerify: e.endpoint.SkipTLSVerify}
	if data := e.endpoint.TLSData; data != nil {
		s.CA, s.Cert, s.Key = data.CA, data.Cert, data.Key
	}
	text, _ := json.Marshal(s)
	return text
}

// engineOf is the Engine that a keeper is told of.
func engineOf(want standby.Want) (engine, error) {
	e := engine{host: want.Engine, headers: want.Headers}
	e.endpoint.Host = want.Engine
	if want.Secret == nil {
		return e, nil
	}
	var s secret
	if err := json.Unmarshal(want.Secret, &s); err != nil {
		return e, err
	}
	e.endpoint.SkipTLSVerify = s.SkipVerify
	if s.CA != nil || s.Cert != nil || s.Key != nil {
		e.endpoint.TLSData = &dockercontext.TLSData{CA: s.CA, Cert: s.Cert, Key: s.Key}
	}
	return e, nil
}

// variables are those that a keeper of e needs: ssh's and its agent's, and where the
// authorities are that the system trusts.
func (e engine) variables() (env []string) {
	var keys []string
	switch {
	case strings.HasPrefix(e.host, sshScheme):
		keys = []string{"PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "TMPDIR"}
	case e.tls():
		keys = []string{"SSL_CERT_FILE", "SSL_CERT_DIR"}
	}
	for _, key := range keys {
		if value, set := os.LookupEnv(key); set {
			env = append(env, key+"="+value)
		}
	}
	return env
}
