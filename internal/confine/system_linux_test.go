package confine

import (
	"os"
	"syscall"
)

const confinedBySystem = true

func signalParent() error { return syscall.Kill(os.Getppid(), 0) }
