//go:build unix

package main

import (
	"golang.org/x/sys/unix"
)

func makeFIFO(where string) error { return unix.Mkfifo(where, 0o600) }
