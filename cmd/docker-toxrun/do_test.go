package main

import (
	"slices"
	"strings"
	"testing"
)

func TestParametersAreFilledIn(t *testing.T) {
	const call = "docker toxrun do x"
	for _, test := range []struct {
		command, given, want []string
		problem, form        string // of an error
	}{
		{command: []string{"ruff", "check"}, given: []string{"--", "-v", "--", "x"}, want: []string{"ruff", "check", "-v", "--", "x"}},
		{command: []string{"psql", "{name}"}, given: []string{"--name", "a b"}, want: []string{"psql", "a b"}},
		{command: []string{"psql", "-d{name:app}:{port:5432}"}, given: []string{"--port=1"}, want: []string{"psql", "-dapp:1"}},
		{command: []string{"{a}{a}{b:}"}, given: []string{"--a", "{b}"}, want: []string{"{b}{b}"}}, // filled in once
		{command: []string{"sh", "-c", "echo ${a} {{b} {C} {} {1}"}, want: []string{"sh", "-c", "echo ${a} {b} {C} {} {1}"}},
		{command: []string{"x", "{a}"}, given: []string{"--a="}, want: []string{"x", ""}},

		{command: []string{"x", "{a}", "{b:1}"}, problem: "--a is missing", form: call + " --a VALUE [--b VALUE] [-- ARG...]"},
		{command: []string{"x", "{a}"}, given: []string{"--a"}, problem: "flag needs an argument: --a", form: call + " --a VALUE [-- ARG...]"},
		{command: []string{"x"}, given: []string{"--c", "1"}, problem: "unknown flag: --c", form: call + " [-- ARG...]"},
		{command: []string{"x"}, given: []string{"y"}, problem: `"y": what the command gets comes after --`, form: call + " [-- ARG...]"},
		{command: []string{"x"}, given: []string{"y", "--", "z"}, problem: `"y": what the command gets comes after --`, form: call + " [-- ARG...]"},
	} {
		got, err := fillIn(call, test.command, test.given)
		if test.problem == "" {
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%q with %q: %q, %v; want %q", test.command, test.given, got, err, test.want)
			}
			continue
		}
		e, ok := err.(*usageError)
		if !ok || !strings.HasPrefix(e.text, test.problem) || e.hint != test.form {
			t.Errorf("%q with %q: %#v, want %q with the form %q", test.command, test.given, err, test.problem, test.form)
		}
	}
}
