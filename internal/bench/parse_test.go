package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

func TestParseTicks(t *testing.T) {
	const stat = "cpu  10 2 30 400 5 6 7 8 9 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
	got, ok := parseTicks(stat)
	// 9 are a guest's, and in the 10 already.
	if want := (ticks{busy: 63, all: 468}); !ok || got != want {
		t.Errorf("parseTicks() = %v, %v, want %v", got, ok, want)
	}
	if got, ok := parseTicks("intr 1 2 3\n"); ok {
		t.Errorf("parseTicks() of something else = %v", got)
	}
}

func TestParseKeepers(t *testing.T) {
	hits, python, err := parseKeepers(`[{"pid":1,"name":"a-tests-1","hits":30,"misses":1,"state":"ready","python":true,"plain":""}]`)
	if hits != 30 || !python || err != nil {
		t.Errorf("parseKeepers() = %d, %v, %v", hits, python, err)
	}
	for _, listing := range []string{"", "[]", `[{"hits":1},{"hits":2}]`, `[{"misses":2}]`, "NAME HITS\na 1\n"} {
		if hits, _, err := parseKeepers(listing); err == nil {
			t.Errorf("parseKeepers(%q) = %d, without an error", listing, hits)
		}
	}
}

func TestParseSeconds(t *testing.T) {
	if got, err := parseSeconds("0.118\n0.12\n1e-2\n"); err != nil || !slices.Equal(got, []float64{0.118, 0.12, 0.01}) {
		t.Errorf("parseSeconds() = %v, %v", got, err)
	}
	for _, out := range []string{"", "0.1\n0.2\n", "0.1\n0.2\n0.3\n0.4\n", "0.1\ntox\n0.3\n", "0.1\n0\n0.2\n"} {
		if got, err := parseSeconds(out); err == nil {
			t.Errorf("parseSeconds(%q) = %v, without an error", out, got)
		}
	}
}

func TestReadFrame(t *testing.T) {
	r := bytes.NewReader([]byte("\x01\x00\x00\x00\x00\x00\x00\x03go\n\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02h"))
	for _, want := range []struct {
		stream byte
		data   string
		err    error
	}{{1, "go\n", nil}, {2, "", nil}, {0, "", io.ErrUnexpectedEOF}, {0, "", io.EOF}} {
		stream, data, err := readFrame(r)
		if stream != want.stream || string(data) != want.data || !errors.Is(err, want.err) {
			t.Errorf("readFrame() = %d, %q, %v, want %v", stream, data, err, want)
		}
	}
}

func TestMemory(t *testing.T) {
	for text, want := range map[string]string{"25276510 kB": "24.1 GiB", "": "", "much": ""} {
		if got := memory(text); got != want {
			t.Errorf("memory(%q) = %q, want %q", text, got, want)
		}
	}
}
