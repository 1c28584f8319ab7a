package main

import (
	"errors"
	"io"
	"slices"
	"strings"
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
	if got, err := parseSeconds("0.118\n0.12\n1e-2\n", 3); err != nil || !slices.Equal(got, []float64{0.118, 0.12, 0.01}) {
		t.Errorf("parseSeconds(, 3) = %v, %v", got, err)
	}
	for _, out := range []string{"", "0.1\n0.2\n", "0.1\n0.2\n0.3\n0.4\n", "0.1\ntox\n0.3\n", "0.1\n0\n0.2\n"} {
		if got, err := parseSeconds(out, 3); err == nil {
			t.Errorf("parseSeconds(%q) = %v, without an error", out, got)
		}
	}
}

func TestReadFrame(t *testing.T) {
	for _, test := range []struct {
		text   string
		stream byte
		data   string
		err    error
	}{
		{"\x01\x00\x00\x00\x00\x00\x00\x03go\n\x02", 1, "go\n", nil},
		{"\x02\x00\x00\x00\x00\x00\x00\x00", 2, "", nil},
		{"\x01\x00\x00\x00\x00\x00\x01\x01" + strings.Repeat("x", 257), 1, strings.Repeat("x", 257), nil},
		{"\x01\x00\x00\x00\x00\x00\x00\x02h", 0, "", io.ErrUnexpectedEOF},
		{"\x01\x00\x00\x00\x00\x00\x00\x02", 0, "", io.ErrUnexpectedEOF},
		{"\x01\x00", 0, "", io.ErrUnexpectedEOF},
		{"", 0, "", io.EOF},
	} {
		stream, data, err := readFrame(strings.NewReader(test.text))
		if stream != test.stream || string(data) != test.data || !errors.Is(err, test.err) {
			t.Errorf("readFrame(%q) = %d, %q, %v, want %v", test.text, stream, data, err, test.err)
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

func TestRemark(t *testing.T) {
	for load, busy := range map[string]bool{"0.10 99.00 99.00": false, "999.00 0.00 0.00": true, "not known": false} {
		if got := remark(load); (got != "") != busy {
			t.Errorf("remark(%q) = %q", load, got)
		}
	}
}

func TestParseTrace(t *testing.T) {
	const trace = `# tracer: nop
#           TASK-PID     TGID     CPU#  |||||  TIMESTAMP  FUNCTION
   docker-toxrun-71      (     71) [001] .....   100.000100: sched_process_exec: filename=docker-toxrun pid=71 old_pid=71
   docker-toxrun-60      (     60) [000] .....   100.000150: stage1: (0x4010)
   docker-toxrun-72      (     71) [000] d....   100.000300: stage1: (0x4010)
   docker-toxrun-71      (     71) [000] d....   100.000400: stage1: (0x4010)
   docker-toxrun-72      (     71) [000] .....   100.001000: sched_process_exit: comm=docker-toxrun pid=72 prio=120
   docker-toxrun-71      (     71) [000] .....   100.001100: sched_process_exit: comm=docker-toxrun pid=71 prio=120
`
	stages := []stage{{at: "sched:sched_process_exec"}, {at: "main.main"}, {at: "sched:sched_process_exit"}}
	got, err := parseTrace(trace, 71, stages)
	if err != nil || len(got) != 2 || micro(got[0]) != "200" || micro(got[1]) != "800" {
		t.Errorf("parseTrace() = %v, %v", got, err)
	}
	if got, err := parseTrace(trace, 60, stages); err == nil {
		t.Errorf("parseTrace() of another process = %v", got)
	}
}
