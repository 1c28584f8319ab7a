package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// describe tells what a reader needs to know of the machine. What can't be found
// out is left out.
func (b *bench) describe(ctx context.Context) table {
	t := table{{"machine", ""}}
	row := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			t = append(t, []string{name, value})
		}
	}
	say := func(args ...string) string {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = b.environ
		out, _ := cmd.CombinedOutput() // a program that is not there says nothing
		return strings.TrimSpace(string(out))
	}
	row("processor", fmt.Sprintf("%s, %d × %s", colonField("/proc/cpuinfo", "model name"), runtime.NumCPU(), runtime.GOARCH))
	row("memory", memory(colonField("/proc/meminfo", "MemTotal")))
	row("kernel", say("uname", "-sr"))
	row("system", say("docker", "info", "--format", "{{.OperatingSystem}}, storage driver {{.Driver}}"))
	row("Engine", say("docker", "version", "--format", "{{.Server.Version}}, API {{.Server.APIVersion}}"))
	row("`docker`", say("docker", "version", "--format", "{{.Client.Version}}"))
	row("`docker compose`", say(append(b.compose[:len(b.compose):len(b.compose)], "version", "--short")...))
	row("`docker-toxrun`", say("git", "-C", b.bin, "describe", "--always", "--dirty"))
	row("`entr`", strings.TrimPrefix(firstLine(say("entr")), "release: "))
	row("GNU parallel", strings.TrimPrefix(firstLine(say("parallel", "--version")), "GNU parallel "))
	row("`watchexec`", strings.TrimPrefix(firstLine(say("watchexec", "--version")), "watchexec "))
	return t
}

// load is the machine's load average.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return "not known"
	}
	return strings.Join(fields[:3], " ")
}

// remark warns of figures from a machine that had something else to do.
func remark(load string) string {
	var minute float64
	if _, err := fmt.Sscan(load, &minute); err != nil || minute <= float64(runtime.NumCPU())/2 {
		return ""
	}
	return ": it was busy, the figures say little"
}

// colonField is the value of the first "name : value" line of a file in /proc.
func colonField(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// memory makes a figure for people of the kernel's "25276510208 kB".
func memory(text string) string {
	var kilobytes float64
	if _, err := fmt.Sscanf(text, "%f kB", &kilobytes); err != nil {
		return ""
	}
	return fmt.Sprintf("%.1f GiB", kilobytes/(1<<20))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
