package ext

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
