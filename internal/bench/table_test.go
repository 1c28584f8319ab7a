package main

import (
	"strings"
	"testing"
	"time"
)

func example() *result {
	return &result{
		group: &group{
			title: "`true`", text: "As short as it gets.", unit: "ms", variant: "state", rounds: 3, base: "docker",
			contenders: []contender{
				{key: "docker", name: "`docker exec ID true`"},
				{key: "warm", name: "`docker-toxrun`", variant: "warm"},
				{key: "floor", name: "a | b"},
			},
			promises: []promise{
				{"warm to docker", "warm", "docker", 0.9},
				{"floor to warm", "floor", "warm", 0.05},
				{"memory", "warm", "", 50},
			},
		},
		values: map[string][]float64{"docker": {60, 50, 70}, "warm": {54, 40, 63}, "floor": {6, 5, 7}},
		note:   "All woke.",
	}
}

func TestReport(t *testing.T) {
	r := report{
		began:   time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC),
		command: "internal/bench -quick",
		machine: table{{"machine", ""}, {"processor", "slow"}},
		results: []*result{example(), {
			group:  &group{title: "memory", unit: "s", rounds: 1, base: "a", contenders: []contender{{key: "a", name: "a"}}},
			values: map[string][]float64{"a": {1.234}},
		}},
	}
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	want := "# Benchmarks\n\nMade on 22 November 2026 by `internal/bench -quick`; not to be edited.\n" + `
| machine   |      |
|-----------|------|
| processor | slow |

` + howToRead + `
## What is promised

| promised       | at most | median | middle half | kept |
|----------------|--------:|-------:|------------:|------|
| warm to docker |    0.90 |   0.90 |   0.85–0.90 | yes  |
| floor to warm  |    0.05 |   0.11 |   0.11–0.12 | no   |
| memory         | 50.0 ms |   54.0 |   47.0–58.5 | no   |

## ` + "`true`" + `

As short as it gets. All woke.

|                       | state | ms, median | middle half | ratio | middle half |
|-----------------------|-------|-----------:|------------:|------:|------------:|
| ` + "`docker exec ID true`" + ` |       |       60.0 |   55.0–65.0 |     1 |             |
| ` + "`docker-toxrun`" + `       | warm  |       54.0 |   47.0–58.5 |  0.90 |   0.85–0.90 |
| a | b                 |       |        6.0 |     5.5–6.5 |  0.10 |   0.10–0.10 |

3 rounds.

## Memory

|     | s, median | middle half | ratio | middle half |
|-----|----------:|------------:|------:|------------:|
| a   |      1.23 |   1.23–1.23 |     1 |             |

1 round.
`
	want = strings.Replace(want, "| a | b                 |", `| a \| b                |`, 1)
	if got := b.String(); got != want {
		t.Errorf("the report is\n%s\nand not\n%s", got, want)
	}
}
