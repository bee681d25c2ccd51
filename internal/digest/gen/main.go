// Command gen writes the assembly of package digest into the current folder:
// MD5, SHA-1 and SHA-256 of 16 contents side by side with AVX-512, and MD5 of 8
// with AVX2. `go generate` in package digest runs it.
//
// asm.go holds what the kernels share, every other file what one digest has of
// its own.
package main

import (
	"fmt"
	"os"
)

// files are what is written.
var files = []struct {
	name string
	text func() string
}{
	{"md5_amd64.s", md5},
	{"sha1_amd64.s", sha1},
	{"sha256_amd64.s", sha256},
}

func main() {
	for _, f := range files {
		if err := os.WriteFile(f.name, []byte(f.text()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(1)
		}
	}
}
