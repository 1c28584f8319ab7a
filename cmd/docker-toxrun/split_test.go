package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestEnvironmentsOfACommandLine(t *testing.T) {
	for _, test := range []struct{ args, names, with string }{
		{"tox", "", "tox -e X"},
		{"tox -e a", "a", "tox -e X"},
		{"tox -r -e a,b -v", "a b", "tox -r -v -e X"},
		{"tox -ea -e b,c", "a b c", "tox -e X"},
		{"tox -e a -- -e b", "a", "tox -e X -- -e b"},
		{"tox -- -e b", "", "tox -e X -- -e b"},
		{"tox -e", "", "tox -e X"}, // tox itself would refuse it
		{"tox -e ,a,", "a", "tox -e X"},
	} {
		args := strings.Fields(test.args)
		at, names := environments(args)
		if !slices.Equal(names, strings.Fields(test.names)) {
			t.Errorf("%s: environments %q", test.args, names)
		}
		if got := strings.Join(at.with(args, "X"), " "); got != test.with {
			t.Errorf("%s: with X %q, want %q", test.args, got, test.with)
		}
	}
}

func TestFileNames(t *testing.T) {
	for name, want := range map[string]string{"py39": "py39", "a/b": "a_b", "..": "_..", "": "_", "a\nb": "a_b", "..a": "..a"} {
		if got := fileName(name); got != want {
			t.Errorf("fileName(%q) = %q, want %q", name, got, want)
		}
	}
}

// Each job has a file of its own.
func TestLogFiles(t *testing.T) {
	var jobs []splitJob
	for _, name := range []string{"a/b", "a_b", "A:b", strings.Repeat("界", 200), strings.Repeat("界", 201)} {
		jobs = append(jobs, splitJob{name: name})
	}
	files := logFiles("dir", jobs)
	seen := map[string]bool{}
	for name, file := range files {
		base := strings.TrimPrefix(file, "dir/")
		if seen[strings.ToLower(file)] || len(base) > 255 || strings.Contains(base, "/") {
			t.Errorf("%q has %q of %q", name, file, files)
		}
		seen[strings.ToLower(file)] = true
	}
	if len(seen) != len(jobs) || files["a/b"] != "dir/a_b.log" || files["a_b"] != "dir/a_b-2.log" {
		t.Errorf("%q", files)
	}
}

// The last line is no longer than a person reads, however many have failed.
func TestFewNames(t *testing.T) {
	var jobs []string
	for i := range fewNames + 980 {
		jobs = append(jobs, fmt.Sprint("job-", i))
	}
	if got := few(jobs[:2]); got != "job-0, job-1" {
		t.Errorf("two are %q", got)
	}
	if got := few(jobs); !strings.HasSuffix(got, ", job-19 and 980 more") || strings.Contains(got, "job-20") {
		t.Errorf("a thousand are %q", got)
	}
}
