package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
)

// install makes sure that the programs of one of Debian's packages are there,
// and installs it where they are missing and this user may.
func install(ctx context.Context, pkg string, programs ...string) error {
	missing := func() bool {
		return slices.ContainsFunc(programs, func(p string) bool { _, err := exec.LookPath(p); return err != nil })
	}
	if !missing() {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%s is not installed, and there is no apt-get to install it with: install it (Debian: package %s) and run again", programs[0], pkg)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s is not installed, and only root may install it: apt-get install %s", programs[0], pkg)
	}
	get := func() error { return apt(ctx, "", "install", "-y", "--no-install-recommends", pkg) }
	err := get()
	if err != nil { // the lists of packages may be missing or old
		err = errors.Join(apt(ctx, "", "update"), get())
	}
	if err != nil {
		return fmt.Errorf("install %s: %w", pkg, err)
	}
	if missing() {
		return fmt.Errorf("package %s was installed and has not brought %v", pkg, programs)
	}
	return nil
}

// apt runs apt-get in dir.
func apt(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// peers is hashdeep with each number of threads that may suit this machine: 0
// is without any besides its own, and the documentation's default is one for
// each processor.
func (b *bench) peers(d data) []contestant {
	threads := []int{0, 1, 2, 4, runtime.NumCPU()}
	slices.Sort(threads)
	var all []contestant
	for _, n := range slices.Compact(threads) {
		all = append(all, contestant{
			name:  fmt.Sprintf("hashdeep -j%d", n),
			ready: func() (*exec.Cmd, func([]byte) error, error) { return b.discarding(b.hashdeepCommand(d, n)) },
		})
	}
	return all
}

func (b *bench) hashdeepCommand(d data, threads int) *exec.Cmd {
	return exec.CommandContext(b.ctx, b.hashdeep, "-c", "md5,sha1,sha256", fmt.Sprintf("-j%d", threads), "-r", d.dir)
}

// discarding is a process whose answer goes to /dev/null.
func (b *bench) discarding(cmd *exec.Cmd) (*exec.Cmd, func([]byte) error, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, nil, err
	}
	cmd.Stdout = null
	return cmd, func([]byte) error { return null.Close() }, nil
}

// checkPeer makes sure, outside the contest, that hashdeep digests every file.
// It reads the answer line by line: what bench holds in memory would count as
// the peak of every process it starts afterwards.
func (b *bench) checkPeer(d data) error {
	cmd := b.hashdeepCommand(d, 1)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("hashdeep: %w", err)
	}
	digested := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if line := lines.Bytes(); len(line) > 0 && line[0] != '%' && line[0] != '#' { // its heading
			digested++
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("hashdeep: %w", err)
	}
	if digested != d.files {
		return fmt.Errorf("hashdeep digested %d of %d files", digested, d.files)
	}
	return nil
}
