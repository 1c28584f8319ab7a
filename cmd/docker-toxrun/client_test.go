package main

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// A process that has waited for its run is older than that.
func TestAgeIsThatOfTheRun(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	ago := time.Now().Add(-time.Minute).Unix()
	for name, test := range map[string]struct {
		client          string
		process, atMost time.Duration // at least is a minute, or process
	}{
		"waited":       {fmt.Sprintf("ann@%s 1 2 %d", here, ago), time.Hour, 59 * time.Minute},
		"just started": {fmt.Sprintf("ann@%s 1 2 %d", here, ago), 5 * time.Second, 5 * time.Second},
		"elsewhere":    {fmt.Sprintf("ann@elsewhere 1 2 %d", ago), time.Hour, time.Hour},
		"not told":     {fmt.Sprintf("ann@%s 1 2", here), time.Hour, time.Hour},
	} {
		c := parseClient(test.client)
		if got := c.age(test.process); got < min(time.Minute, test.process) || got > test.atMost {
			t.Errorf("%s: %v", name, got)
		}
		if c.pid != 1 || c.start != "2" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
