//go:build !amd64

package digest

// engines lists what this processor can run: only the plain path is written for
// it, which on arm64 is the assembly of the standard library.
func engines() []engine { return []engine{plain} }
