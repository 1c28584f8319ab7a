package main

import (
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/atomicwriter"
)

// unencrypted tells whether what goes to the Engine can be read on its way, and changed:
// whoever does that is root over there.
func (e engine) unencrypted() bool {
	address, err := url.Parse(e.host)
	if err != nil || address.Scheme != "tcp" || e.tls() {
		return false
	}
	host := address.Hostname()
	if ip := net.ParseIP(host); ip != nil {
		return !ip.IsLoopback()
	}
	return host != "localhost" && !strings.HasSuffix(host, ".localhost") // RFC 6761, 6.3
}

// warnUnencrypted tells the user of an Engine that is reached so, once for each address. When
// that was is in a file, which Finder removes when it is a month old.
func (o *options) warnUnencrypted(e engine, to messages) {
	if to.quiet || !e.unencrypted() {
		return
	}
	told := map[string]time.Time{}
	dir, err := cacheDir()
	file := filepath.Join(dir, "unencrypted.json")
	if text, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(text, &told) // a damaged one is as none
	}
	if _, known := told[e.host]; known {
		return
	}
	o.once(to.say, "the connection to "+e.host+" is not encrypted, and whoever gets at it can run commands there: ssh:// and TLS are safe (this is said once)")
	if err != nil || os.MkdirAll(dir, 0o700) != nil {
		return
	}
	told[e.host] = time.Now()
	if text, err := json.Marshal(told); err == nil {
		_ = atomicwriter.WriteFile(file, text, 0o600)
	}
}
