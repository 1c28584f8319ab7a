package compose

import (
	"strings"
	"testing"
)

func TestWhichService(t *testing.T) {
	t.Parallel()
	// A service is written name, name* with x-toxrun, (name) when it is off.
	for _, test := range []struct {
		services string
		asked    string
		want     string // or the error's text and hint
	}{
		{"a b* c", "c", "c"},
		{"a b* c", "", "b"},
		{"a", "", "a"},
		{"a (b)", "", "a"},
		{"a (b*)", "", "b"},
		{"a* (b*)", "", "a"},
		{"(a)", "", "a"},
		{"(a) (b)", "a", "a"},
		{"b a", "", `project "p" has 2 services: a, b; choose one with --service a, or for good with "x-toxrun: {}" in the service`},
		{"c b* a*", "", `project "p" has 2 services with x-toxrun: a, b; choose one with --service a`},
		{"(c) (b*) (a*)", "", `project "p" has 2 services with x-toxrun: a, b; choose one with --service a`},
		{"(c) (b)", "", `project "p" has 2 services: b, c; choose one with --service b, or for good with "x-toxrun: {}" in the service`},
		{"b (a)", "x", `project "p" has no service "x"; the services are a, b`},
		{"", "", `project "p" has no services; `},
	} {
		m := Model{Project: "p"}
		for name := range strings.FieldsSeq(test.services) {
			s := Service{Enabled: !strings.HasPrefix(name, "(")}
			if s.Name = strings.Trim(name, "(*)"); strings.Contains(name, "*") {
				s.Config = &Config{}
			}
			m.Services = append(m.Services, s)
		}
		got := ""
		s, err := m.choose(test.asked)
		if err != nil {
			got = err.Error() + "; " + err.(interface{ Hint() string }).Hint()
		} else {
			got = s.Name
		}
		if got != test.want {
			t.Errorf("of %q, asked for %q: %s\nwant %s", test.services, test.asked, got, test.want)
		}
	}
}
