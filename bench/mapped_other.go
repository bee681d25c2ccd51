//go:build !unix

package main

import "os"

// mapped is a file in memory.
func mapped(name string) ([]byte, error) { return os.ReadFile(name) }
