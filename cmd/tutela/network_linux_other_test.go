//go:build linux && !amd64

package main

import "errors"

// networked is for one processor only: it reads the registers of system calls.
func networked() { fail(errors.ErrUnsupported) }
