package ntfs

import (
	"fmt"
	"math"
	"math/bits"
)

// budget is an amount that hostile bytes can use up.
type budget struct{ left int64 }

// take reports whether n was left, and takes it.
func (b *budget) take(n int64) bool {
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

// product is a × b, or the largest number there is.
func product(a, b int64) int64 {
	if b != 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

// bitmap is $Bitmap: one bit for each cluster of the volume, set where a file
// has it (FSNTFS "The allocation bitmap").
type bitmap struct {
	*stream
	buf []byte
}

// overwritten counts the clusters of s that belong to some file now.
func (b *bitmap) overwritten(s *stream) (used, all int64, err error) {
	for _, e := range s.extents {
		if !e.mapped() {
			continue
		}
		n, err := b.count(e.lcn, e.lcn+e.length)
		if err != nil {
			return 0, 0, fmt.Errorf("$Bitmap: %w", err)
		}
		used += n
		all += e.length
	}
	return used, all, nil
}

// count is how many bits are set from first up to, not including, end.
func (b *bitmap) count(first, end int64) (set int64, err error) {
	for first < end {
		at := first / 8
		p := b.buf[:min(int64(len(b.buf)), (end+7)/8-at)]
		if n, err := b.ReadAt(p, at); n < len(p) {
			return 0, err
		}
		p[0] &= 0xff << (first % 8)
		covered := (at + int64(len(p))) * 8
		if covered > end {
			p[len(p)-1] &= 0xff >> (covered - end)
		}
		for _, v := range p {
			set += int64(bits.OnesCount8(v))
		}
		first = covered
	}
	return set, nil
}
