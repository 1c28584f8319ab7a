package main

import (
	"fmt"
	"strings"

	"github.com/toxrun/docker-toxrun/execproxy"
)

// connectLanes has the lanes of each engine share a client: so a run has one connection of
// its own, for its streams, and not two more for its requests. stop closes them.
func (o *options) connectLanes(each []lane, what command) (stop func(), err error) {
	if err := o.checkFiles(each, what); err != nil {
		return nil, err
	}
	clients := map[string]*execproxy.Client{} // by the engine's address
	stop = func() {
		for _, c := range clients {
			c.Close()
		}
	}
	for i := range each {
		e, t := each[i].target.engine, each[i].target.Target
		if !e.plain() && o.idle(t) > 0 {
			continue // the connections of each keeper are for its own container
		}
		if clients[e.host] == nil {
			if clients[e.host], err = e.connect(t.APIVersion); err != nil {
				delete(clients, e.host)
				stop()
				return nil, err
			}
		}
		each[i].client = clients[e.host]
	}
	return stop, nil
}

// ownFiles is how many this process has open besides those of its runs, and some more.
const ownFiles = 32

// checkFiles is an error where the runs would need more open files than this process may
// have. One that gets none fails, or its end can't be seen.
func (o *options) checkFiles(each []lane, what command) error {
	need := ownFiles
	for _, l := range each {
		connection := 1
		if strings.HasPrefix(l.target.engine.host, "ssh://") {
			connection = 3 // pipes of an ssh
		}
		need += 2 * connection // when it begins; later one
		for _, more := range []bool{o.split.split, o.split.logs != "", what.queued} {
			if more {
				need++
			}
		}
	}
	if limit := filesLimit(); need > limit {
		return hinted(fmt.Errorf("%d containers at a time need %d open files, and this process may have %d", len(each), need, limit),
			"a higher limit (ulimit -Hn), or fewer containers")
	}
	return nil
}
