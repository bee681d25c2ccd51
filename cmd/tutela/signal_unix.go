//go:build unix

package main

import (
	"os"
	"syscall"
)

// statusSignal asks a running scan for its status.
var statusSignal os.Signal = syscall.SIGUSR1
