package enginetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	timetypes "github.com/docker/docker/api/types/time"
)

// An eventLog is all that has happened to containers, and who listens to more.
type eventLog struct {
	mu        sync.Mutex
	past      []events.Message
	listeners map[chan events.Message]bool
}

// subscribe returns what has happened and a channel for what will. The channel
// has the real Engine's room of 1024; a listener that falls behind misses some.
func (ev *eventLog) subscribe() ([]events.Message, chan events.Message) {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	ch := make(chan events.Message, 1024)
	if ev.listeners == nil {
		ev.listeners = make(map[chan events.Message]bool)
	}
	ev.listeners[ch] = true
	return slices.Clone(ev.past), ch
}

func (ev *eventLog) unsubscribe(ch chan events.Message) {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	delete(ev.listeners, ch)
}

// log tells what has happened to b. attributes are pairs of key and value. The
// caller does not hold the engine's lock.
func (ev *eventLog) log(b *box, action string, attributes ...string) {
	b.engine.mu.Lock()
	name := b.Name
	b.engine.mu.Unlock()
	now := time.Now()
	m := events.Message{
		Status:   action,
		ID:       b.id,
		From:     b.Image,
		Type:     events.ContainerEventType,
		Action:   events.Action(action),
		Actor:    events.Actor{ID: b.id, Attributes: map[string]string{}},
		Scope:    "local",
		Time:     now.Unix(),
		TimeNano: now.UnixNano(),
	}
	for k, v := range b.Labels {
		m.Actor.Attributes[k] = v
	}
	m.Actor.Attributes["image"] = b.Image
	m.Actor.Attributes["name"] = name
	for i := 0; i < len(attributes); i += 2 {
		m.Actor.Attributes[attributes[i]] = attributes[i+1]
	}
	ev.mu.Lock()
	defer ev.mu.Unlock()
	ev.past = append(ev.past, m)
	for ch := range ev.listeners {
		select {
		case ch <- m:
		default:
		}
	}
}

func (e *Engine) serveEvents(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	since, err := eventTime(q.Get("since"))
	if err != nil {
		return &apiError{http.StatusBadRequest, err.Error()}
	}
	until, err := eventTime(q.Get("until"))
	if err != nil {
		return &apiError{http.StatusBadRequest, err.Error()}
	}
	filter, err := filters.FromJSON(q.Get("filters"))
	if err != nil {
		return &apiError{http.StatusBadRequest, err.Error()}
	}

	// Subscribed before the header goes out: a client that has the answer
	// misses nothing that happens from then on.
	past, ch := e.events.subscribe()
	defer e.events.unsubscribe(ch)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	flush.Flush()
	enc := json.NewEncoder(w)
	send := func(m events.Message) error {
		if !eventMatches(filter, m) {
			return nil
		}
		if err := enc.Encode(m); err != nil {
			return err
		}
		return flush.Flush()
	}

	if !since.IsZero() || !until.IsZero() {
		for _, m := range past {
			if m.TimeNano < since.UnixNano() && !since.IsZero() || !until.IsZero() && m.TimeNano > until.UnixNano() {
				continue
			}
			if send(m) != nil {
				return nil // the client has gone
			}
		}
	}
	var end <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		end = timer.C
	}
	alive := e.alive()
	for {
		select {
		case m := <-ch:
			if send(m) != nil {
				return nil
			}
		case <-end:
			return nil
		case <-r.Context().Done():
			return nil
		case <-alive:
			return nil
		}
	}
}

func eventTime(s string) (time.Time, error) {
	sec, nsec, err := timetypes.ParseTimestamps(s, -1)
	if err != nil || sec == -1 {
		return time.Time{}, err
	}
	return time.Unix(sec, nsec), nil
}

// eventMatches applies filters as daemon/events/filter.go of moby does: the ones
// for exec_create and exec_start, which carry a command, match a beginning.
func eventMatches(f filters.Args, m events.Message) bool {
	action := string(m.Action)
	match := f.ExactMatch
	if slices.ContainsFunc(f.Get("event"), func(s string) bool {
		return s == "exec_create" || s == "exec_start" || s == "health_status"
	}) {
		match = f.FuzzyMatch
	}
	name := strings.TrimPrefix(m.Actor.Attributes["name"], "/")
	return match("event", action) &&
		f.ExactMatch("type", string(m.Type)) &&
		(f.FuzzyMatch("container", m.Actor.ID) || f.FuzzyMatch("container", name)) &&
		f.ExactMatch("image", m.Actor.Attributes["image"]) &&
		(!f.Contains("scope") || f.ExactMatch("scope", m.Scope)) &&
		(!f.Contains("label") || f.MatchKVList("label", m.Actor.Attributes))
}
