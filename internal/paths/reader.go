package paths

import (
	"bytes"
	"io"
)

// A Reader passes on what it reads, and tells when one of a Map's names is in it: what
// comes out of a filter may then have come in, and is not the filter's to say.
type Reader struct {
	from  io.Reader
	m     *Map
	found func() // nil: it was called
	end   []byte // of what was read, where a name may have begun
}

// NewReader returns a Reader that reads from from and calls found once, before it returns
// the end of the name.
func NewReader(from io.Reader, m *Map, found func()) *Reader {
	return &Reader{from: from, m: m, found: found}
}

// Read reads from the reader below.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if r.found == nil || n == 0 {
		return n, err
	}
	longest := len(r.m.plain[0].From) - 1
	around := append(r.end, p[:min(n, longest)]...)
	for _, pair := range r.m.plain {
		if name := []byte(pair.From); bytes.Contains(around, name) || bytes.Contains(p[:n], name) {
			r.found()
			r.found = nil
			return n, err
		}
	}
	if n >= longest {
		r.end = append(r.end[:0], p[n-longest:n]...)
	} else {
		r.end = bytes.Clone(around[max(0, len(around)-longest):])
	}
	return n, err
}
