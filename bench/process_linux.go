package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runMeasured runs a process to its end and returns what it took and printed.
//
// Peak memory is the kernel's count for the process (getrusage(2), ru_maxrss).
// It begins with the peak of the process that started it, so bench itself must
// stay small: whatever needs memory is a part, in a process of its own.
func runMeasured(cmd *exec.Cmd) (cost, []byte, error) {
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	began := time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if err != nil {
		return cost{}, nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), usage.Maxrss << 10}, stdout.Bytes(), nil
}

// settleDisk waits until everything that was written is on its medium.
func settleDisk() { syscall.Sync() }

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("internal error: getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// evict drops a file from the page cache.
func evict(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// fileSystemNames are the magic numbers of statfs(2) that one meets.
var fileSystemNames = map[uint32]string{
	0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0x794c7630: "overlayfs",
	0x01021994: "tmpfs", 0x858458f6: "ramfs", 0x6969: "nfs",
}

func fileSystemOf(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", err
	}
	if name := fileSystemNames[uint32(st.Type)]; name != "" {
		return name, nil
	}
	return fmt.Sprintf("%#x", uint32(st.Type)), nil
}
