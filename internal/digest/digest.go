// Package digest makes MD5, SHA-1 and SHA-256 of contents in one read each, and
// tells what a content is by its first bytes.
//
// Start with [NewHasher], one for every worker goroutine, and its Run, which
// digests many streams side by side. [Sum] digests a single stream, [Batch] many
// short messages with SHA-256, and [Type] names a content's type.
//
// One content's blocks must be taken one after the other, which leaves a
// processor waiting most of the time, even where SHA-1 and SHA-256 have
// instructions of their own; MD5 has none. A Hasher therefore reads up to 16
// streams at a time and takes all of them through a digest at once, one in every
// lane of a vector register: all three digests with AVX-512, MD5 of 8 streams
// with AVX2. Where too few streams are at hand for that, and on other
// processors, arm64 among them, the standard library takes one after the other,
// and a stream may change between the two ways at any block. Which kernels there
// are, and from how many streams on they are used, depends on the features of
// the processor alone.
//
// Promised: every byte is read once, and the digests are those of the standard
// library, whichever path made them. Not promised: the order in which streams
// end, and anything about content beyond the point where its reader failed.
package digest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"io"

	"tutela"
)

// Sum digests one stream alone and returns its length in bytes. On an error of
// the reader the results are those of the bytes before it.
func Sum(r io.Reader) (sums tutela.Digests, size int64, err error) {
	m, s1, s256 := md5.New(), sha1.New(), sha256.New()
	size, err = io.Copy(io.MultiWriter(m, s1, s256), r)
	m.Sum(sums.MD5[:0])
	s1.Sum(sums.SHA1[:0])
	s256.Sum(sums.SHA256[:0])
	return sums, size, err
}
