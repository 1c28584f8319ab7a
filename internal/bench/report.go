package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A report is what one bench has found out.
type report struct {
	began   time.Time
	command string // that made it
	machine table
	results []*result
}

const howToRead = `Each round runs every row of a table once, in an order shuffled anew, and before each run waits until the machine is
idle. The first round is not counted. A run is a process from its start to its end, with an empty stdin; one that
fails, says something on stderr, or does not write what it should ends the whole bench. A ratio is one of two runs of
the same round; a table has the median of all rounds, and their middle half: from the first to the third quartile.
Ratios carry over to other machines better than times do.

*Cold* is with an empty cache, *warm* with the container found before, *standby* with a shell that waits in the
container. ` + "`docker exec` and `docker compose exec`" + ` remember nothing from one run to the next: they have one state. *Floor*
is plain HTTP on the Engine's socket, from a process that runs already: what is above it is the client's.
`

func (r *report) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\nMade on %s by `%s`; not to be edited.\n\n%s\n%s\n", r.began.UTC().Format("2 January 2006"), r.command, r.machine, howToRead)
	promised := table{{"promised", "at most:", "median:", "middle half:", "kept"}}
	for _, result := range r.results {
		promised = append(promised, result.held()...)
	}
	if len(promised) > 1 {
		fmt.Fprintf(&b, "## What is promised\n\n%s\n", promised)
	}
	for _, result := range r.results {
		fmt.Fprintf(&b, "## %s\n\n", strings.ToUpper(result.title[:1])+result.title[1:])
		if text := strings.TrimSpace(result.text + " " + result.note); text != "" {
			fmt.Fprintf(&b, "%s\n\n", text)
		}
		fmt.Fprintf(&b, "%s\n%s.\n\n", result.table(), plural(result.rounds, "round"))
	}
	_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
