//go:build unix

package hashset

import (
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what this process took of processors.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
