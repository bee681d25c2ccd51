package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine is where and on what a run was made.
type machine struct {
	processor  string
	cores      int
	memory     string
	kernel     string
	fileSystem string // of the data and the labs
	goVersion  string
	revision   string // of tutela
	peer       string
	load       string // when it began: what else the machine was doing
	date       string
}

func describeMachine(ctx context.Context, root, dir, hashdeep string) (m machine, err error) {
	m = machine{
		processor: field("/proc/cpuinfo", "model name"),
		cores:     runtime.NumCPU(),
		memory:    field("/proc/meminfo", "MemTotal"),
		kernel:    readLine("/proc/sys/kernel/osrelease"),
		goVersion: runtime.Version(),
		load:      strings.Join(firstFields(readLine("/proc/loadavg"), 3), " "),
		date:      time.Now().UTC().Format("2006-01-02 15:04 UTC"),
	}
	if m.fileSystem, err = fileSystemOf(dir); err != nil {
		return m, fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	git := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty")
	git.Dir = root
	m.revision = outputOf(git)
	if hashdeep != "" {
		m.peer = "hashdeep " + outputOf(exec.CommandContext(ctx, hashdeep, "-V"))
	}
	return m, nil
}

// outputOf is what a command prints, "unknown" where it cannot say.
func outputOf(cmd *exec.Cmd) string {
	out, err := cmd.Output()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || line == "" {
		return "unknown"
	}
	return line
}

// field is the first value of a name in a file of "name: value" lines.
func field(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func readLine(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

func firstFields(line string, n int) []string {
	fields := strings.Fields(line)
	return fields[:min(n, len(fields))]
}
