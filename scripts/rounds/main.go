// Command rounds times commands against each other, in rounds: each command once
// a round, so that whatever else the machine does meets them all.
//
//	rounds [-n ROUNDS] COMMAND...
//
// A COMMAND is one argument, split at spaces. The table gives each one's median,
// fastest and slowest run, and its median as a multiple of the first one's. A
// command that fails ends it all.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	n := flag.Int("n", 15, "rounds")
	flag.Parse()
	if flag.NArg() == 0 || *n < 1 {
		fmt.Fprintln(os.Stderr, "toxrun: usage: rounds [-n ROUNDS] COMMAND...")
		os.Exit(2)
	}
	if err := rounds(*n, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "toxrun:", err)
		os.Exit(1)
	}
}

func rounds(n int, commands []string) error {
	times := make([][]time.Duration, len(commands))
	for round := range n + 1 {
		for i, c := range commands {
			d, err := run(c)
			if err != nil {
				return err
			}
			if round > 0 { // the first one fills caches
				times[i] = append(times[i], d)
			}
		}
	}

	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "median\tfastest\tslowest\tratio\t")
	var first time.Duration
	for i, c := range commands {
		slices.Sort(times[i])
		median := times[i][n/2]
		if i == 0 {
			first = median
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.2f\t   %s\n", ms(median), ms(times[i][0]), ms(times[i][n-1]),
			float64(median)/float64(first), c)
	}
	return w.Flush()
}

func run(command string) (time.Duration, error) {
	args := strings.Fields(command)
	cmd := exec.Command(args[0], args[1:]...)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	d := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return d, nil
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
