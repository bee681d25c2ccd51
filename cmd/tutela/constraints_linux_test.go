package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// constraints are programs that become another one under a constraint.
var constraints = map[string]func(){"unprivileged": unprivileged, "limited": limited, "networked": networked}

// unprivileged is `unprivileged COMMAND…`: permissions of files hold for it,
// also where the tests are run by root.
func unprivileged() {
	runtime.LockOSThread()
	for _, capability := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
		// Those who lack the right to drop it do not have it.
		unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
	}
	become(os.Args[1:])
}

// limited is `limited BYTES COMMAND…`: no file can grow beyond that size, as if
// the disk were full.
func limited() {
	size, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err != nil {
		fail(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: size}); err != nil {
		fail(err)
	}
	become(os.Args[2:])
}

func become(args []string) {
	path, err := exec.LookPath(args[0])
	if err == nil {
		err = syscall.Exec(path, args, os.Environ())
	}
	fail(err)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(125)
}
