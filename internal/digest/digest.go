// Package digest makes MD5, SHA-1 and SHA-256 of contents in one read each, and
// tells what a content is by its first bytes.
//
// Start with [NewHasher], one for every worker goroutine, and its Run, which
// digests many streams side by side. [Sum] digests a single stream, and [Type]
// names a content's type.
//
// MD5 has no instruction of its own, and one content's blocks must be taken one
// after the other, so it would cost more than SHA-1 and SHA-256 together. A
// Hasher therefore reads up to 16 streams at a time and takes all of them
// through MD5 at once, one in every lane of a vector register (AVX-512; 8
// streams with AVX2). On other processors, arm64 among them, crypto/md5 is
// used, one stream at a time.
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
