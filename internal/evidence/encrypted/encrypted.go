// Package encrypted recognises what is encrypted without being able to open it:
// content that has no header because it was made to look like noise (VeraCrypt,
// TrueCrypt, plain dm-crypt), and volumes of Apple's CoreStorage.
//
// Start with [Looks] for a stretch of bytes, with [Volume] for a volume that
// nothing recognises, and with [Content] for a content that is read once, from
// its beginning to its end.
//
// # How sure it is
//
// The bytes of a good cipher are uniform and independent. Of n such bytes, the
// sum over all 256 values of (count-n/256)²/(n/256) follows the chi-square
// distribution with 255 degrees of freedom, whose mean is 255 and whose
// deviation is 22.6. Looks asks for 150 to 400, outside of which 4 in a hundred
// million samples of noise fall (by the incomplete gamma function). The entropy
// in bits per byte says nearly the same in other words: 8-H is about
// chi/(2n ln 2), so that 64 KiB of noise have 7.9956 bits or more, and that is
// asked for beside it. Where several places are looked at, all must pass, and all
// together: 17 tests, of which noise fails one in a million and a half.
//
// What fools it is what is as uniform: the output of an arithmetic coder. How
// often bodies of common formats pass was measured (TestBodies says how, with
// the figures). Formats with a header are told by that before anybody asks
// here; "looks encrypted" is a finding for a person to follow, not a verdict. What
// was overwritten with random bytes cannot be told from what is encrypted, and
// the finding says so. Below 150 it is a counter or a table, not a cipher.
//
// Not promised: a volume that was made by a quick format, or lies in a sparse
// file, is noise only where something was written to it; it is not recognised.
package encrypted

import "math"

// MinSample is the fewest bytes that are judged: 256 of each value are expected
// in them.
const MinSample = 64 << 10

// The band of chi-square, see above.
const (
	minChi = 150
	maxChi = 400
)

// Looks judges a sample of at least [MinSample] bytes. chi is the chi-square of
// its byte counts, bits its entropy per byte; ok reports whether both are those
// of a good cipher. A smaller sample is never ok.
func Looks(sample []byte) (chi, bits float64, ok bool) {
	var c counts
	c.add(sample)
	return c.judge()
}

// counts are how often each byte occurred.
type counts struct {
	of    [256]uint64
	total uint64
}

func (c *counts) add(b []byte) {
	for _, v := range b {
		c.of[v]++
	}
	c.total += uint64(len(b))
}

func (c *counts) judge() (chi, bits float64, ok bool) {
	if c.total == 0 {
		return 0, 0, false
	}
	n := float64(c.total)
	for _, count := range c.of {
		over := float64(count) - n/256
		chi += over * over / (n / 256)
		if count > 0 {
			bits -= float64(count) / n * math.Log2(float64(count)/n)
		}
	}
	ok = c.total >= MinSample && chi >= minChi && chi <= maxChi && 8-bits <= maxChi/(2*n*math.Ln2)
	return chi, bits, ok
}
