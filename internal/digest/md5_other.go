//go:build !amd64

package digest

// kernels lists what this processor can run: only the plain path is written for
// it, which on arm64 is the assembly of crypto/md5.
func kernels() []kernel { return []kernel{plain} }
