package hfsplus

import "math"

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

// idSet is a set of catalog node IDs, which are given out in ascending order.
type idSet map[uint32]*[512]byte

func (s idSet) add(id uint32) {
	page := s[id>>12]
	if page == nil {
		page = new([512]byte)
		s[id>>12] = page
	}
	page[id>>3&511] |= 1 << (id & 7)
}

func (s idSet) has(id uint32) bool {
	page := s[id>>12]
	return page != nil && page[id>>3&511]&(1<<(id&7)) != 0
}
