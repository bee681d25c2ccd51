package sqlite

import (
	"encoding/binary"
	"fmt"
	"time"

	"tutela"
	"tutela/internal/catalog"
)

// An observation is what is read back with a location but never searched for:
// its four times and its chain, in one value of about 20 bytes instead of eight
// columns and a table.
//
//	version   byte, 1
//	present   byte, bit n set if time n follows: modified, accessed, changed, born
//	times     each: seconds since 1970 (varint), nanoseconds (uvarint)
//	chain     to the end: layer, at; each a length (uvarint) and bytes
const observationVersion = 1

func appendObservation(b []byte, times tutela.Times, chain []tutela.Locator) []byte {
	b = append(b, observationVersion, 0)
	present := len(b) - 1
	for i, t := range [...]time.Time{times.Modified, times.Accessed, times.Changed, times.Born} {
		if t.IsZero() {
			continue
		}
		b[present] |= 1 << i
		b = binary.AppendVarint(b, t.Unix())
		b = binary.AppendUvarint(b, uint64(t.Nanosecond()))
	}
	for _, step := range chain {
		b = appendText(b, step.Layer)
		b = appendText(b, step.At)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parseObservation is the inverse of appendObservation. Anything else is
// ErrDamaged.
func parseObservation(b []byte) (times tutela.Times, chain []tutela.Locator, err error) {
	if len(b) < 2 || b[0] != observationVersion || b[1]&^0xf != 0 {
		return times, nil, fmt.Errorf("%w: an observation begins with %.2x", catalog.ErrDamaged, b)
	}
	r := reader{rest: b[2:]}
	for i, t := range [...]*time.Time{&times.Modified, &times.Accessed, &times.Changed, &times.Born} {
		if b[1]&(1<<i) != 0 {
			*t = r.time()
		}
	}
	for len(r.rest) > 0 && !r.bad {
		chain = append(chain, tutela.Locator{Layer: r.text(), At: r.text()})
	}
	if r.bad {
		return tutela.Times{}, nil, fmt.Errorf("%w: an observation of %d bytes does not hold together", catalog.ErrDamaged, len(b))
	}
	return times, chain, nil
}

// reader takes values off the front; after a bad one all that follow are empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) time() time.Time {
	sec, nsec := r.varint(), r.uvarint()
	if nsec >= 1e9 {
		r.bad = true
	}
	if r.bad {
		return time.Time{}
	}
	return time.Unix(sec, int64(nsec)).UTC()
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	r.skip(n)
	return v
}

func (r *reader) fixed(dst []byte) {
	if len(r.rest) < len(dst) {
		r.bad = true
		return
	}
	r.rest = r.rest[copy(dst, r.rest):]
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.skip(n)
	return v
}

func (r *reader) text() string {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) skip(n int) {
	if n <= 0 {
		r.bad = true
		return
	}
	r.rest = r.rest[n:]
}
