package hashset

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"slices"
	"sync"

	"tutela"
)

// trivial holds digests that say nothing about a content because countless
// files share it: the empty file, blocks of zeros of every power of two from
// 512 bytes to 1 MiB, and the digest that is all zeros itself, which tools write
// where they have none. A set that holds one would match everywhere
// (MISP issue 8304).
type trivial struct {
	md5    map[tutela.MD5]bool
	sha1   map[tutela.SHA1]bool
	sha256 map[tutela.SHA256]bool
}

const (
	smallestBlock = 512
	largestBlock  = 1 << 20
)

// trivialDigests computes them once: 2 MiB of zeros.
var trivialDigests = sync.OnceValue(func() *trivial {
	t := &trivial{
		md5:    map[tutela.MD5]bool{{}: true},
		sha1:   map[tutela.SHA1]bool{{}: true},
		sha256: map[tutela.SHA256]bool{{}: true},
	}
	zeros := make([]byte, largestBlock)
	t.add(nil)
	for n := smallestBlock; n <= largestBlock; n *= 2 {
		t.add(zeros[:n])
	}
	return t
})

func (t *trivial) add(content []byte) {
	t.md5[md5.Sum(content)] = true
	t.sha1[sha1.Sum(content)] = true
	t.sha256[sha256.Sum256(content)] = true
}

// strip takes trivial digests off an assertion and says how many.
func (t *trivial) strip(a *tutela.Assertion) (n int64) {
	if a.MD5 != nil && t.md5[*a.MD5] {
		a.MD5, n = nil, n+1
	}
	if a.SHA1 != nil && t.sha1[*a.SHA1] {
		a.SHA1, n = nil, n+1
	}
	if a.SHA256 != nil && t.sha256[*a.SHA256] {
		a.SHA256, n = nil, n+1
	}
	if a.PDQ != nil && *a.PDQ == (tutela.PDQ{}) {
		a.PDQ, n = nil, n+1
	}
	frames := len(a.Frames)
	a.Frames = slices.DeleteFunc(a.Frames, func(h tutela.PDQ) bool { return h == tutela.PDQ{} })
	return n + int64(frames-len(a.Frames))
}
