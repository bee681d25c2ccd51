//go:build !amd64

package digest

// kernels lists what this processor can run: only the plain path is written for
// it. crypto/md5 brings its own assembly for arm64, at about 0.6 GB/s a core.
func kernels() []kernel { return []kernel{plain} }
