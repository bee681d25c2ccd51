package carve

import "encoding/binary"

// reason says why a view has no bytes where a validator asked for some.
type reason string

const (
	ended      reason = "the free space ends"
	limited    reason = "the limit of one file is reached"
	unreadable reason = "the source cannot be read"
	exhausted  reason = "too much was read"
)

// step is what looking at one place costs at least, in bytes.
const step = 64

// view is what lies behind a header, as validators see it: offsets are from the
// header on. Every look has its price, so that a validator which is led in
// circles ends.
type view struct {
	blocks  *blocks
	at      int64  // in the source
	size    int64  // bytes, at most
	short   reason // what it means to ask for more
	cost    int64  // bytes looked at or loaded for that
	most    int64  // cost
	aside   int64  // cost of what does not end the validator, but counts where it was in vain
	why     reason // the last look failed
	scratch []byte
}

// bytes are n bytes from off on, at most a block, or nil if they are not all
// there. They are valid until the next look.
func (v *view) bytes(off int64, n int) []byte {
	if n < 0 || off < 0 || off > v.size-int64(n) {
		v.why = v.short
		return nil
	}
	v.took(max(n, step))
	p := v.piece(off)
	if len(p) >= n || p == nil {
		return p[:min(n, len(p))]
	}
	v.scratch = append(v.scratch[:0], p...)
	for len(v.scratch) < n {
		if p = v.piece(off + int64(len(v.scratch))); p == nil {
			return nil
		}
		v.scratch = append(v.scratch, p[:min(len(p), n-len(v.scratch))]...)
	}
	return v.scratch
}

// piece are bytes from off on, as many as are at hand and one at least, or nil.
// The caller says with took how many it looked at.
func (v *view) piece(off int64) []byte {
	switch {
	case off < 0 || off >= v.size:
		v.why = v.short
		return nil
	case v.cost > v.most:
		v.why = exhausted
		return nil
	}
	before := v.blocks.loaded
	b, err := v.blocks.at(v.at + off)
	v.took(int(v.blocks.loaded - before))
	if err != nil {
		v.why = unreadable
		return nil
	}
	p := b.readable(v.at + off)
	if len(p) == 0 {
		v.why = unreadable
		return nil
	}
	return p[:min(int64(len(p)), v.size-off)]
}

func (v *view) took(n int) { v.cost += int64(n) }

// is reports whether text lies at off.
func (v *view) is(off int64, text string) bool { return string(v.bytes(off, len(text))) == text }

// to reports whether the view reaches up to off.
func (v *view) to(off int64) bool {
	if off < 0 || off > v.size {
		v.why = v.short
		return false
	}
	return true
}

// number is the unsigned integer of n bytes (1 to 8) at off, or -1 if it is not
// there or above 1<<62.
func (v *view) number(order binary.ByteOrder, off int64, n int) int64 {
	b := v.bytes(off, n)
	if b == nil {
		return -1
	}
	return number(order, b)
}

func number(order binary.ByteOrder, b []byte) int64 {
	var x uint64
	for i := range b {
		if order == binary.BigEndian {
			x = x<<8 | uint64(b[i])
		} else {
			x |= uint64(b[i]) << (8 * i)
		}
	}
	if x > 1<<62 {
		return -1
	}
	return int64(x)
}

// fourCC is four bytes as text, empty where they are not letters, digits, spaces
// and the like.
func fourCC(b []byte) string {
	for _, c := range b[:4] {
		if (c < ' ' || c > '~') && c != 0xa9 { // ©, in QuickTime
			return ""
		}
	}
	return string(b[:4])
}
