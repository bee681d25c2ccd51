//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"time"
)

// The peers come from Debian's packages and the measurements from Linux.
var errNotHere = errors.New("the benchmarks run on Linux only")

func runMeasured(*exec.Cmd) (cost, []byte, error) { return cost{}, nil, errNotHere }
func settleDisk()                                 {}
func processorTime() time.Duration                { return 0 }
func evict(string) error                          { return errNotHere }
func fileSystemOf(string) (string, error)         { return "", errNotHere }
