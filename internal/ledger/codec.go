package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Every body in a tree begins with its kind and its version, so that the
// opening of one can never pass for another. They must never change; a new
// layout takes a new version.
const (
	recordTag = "R\x01"
	matchTag  = "M\x01"
	eventTag  = "E\x01"

	pixelMatchTag  = "M\x02"
	linkedEventTag = "E\x02"
)

// ErrEncoding is wrapped when bytes are not the one encoding of a value.
var ErrEncoding = errors.New("not a canonical encoding")

// Integers are unsigned varints in their shortest form, signed ones zigzagged
// first; strings and bytes are preceded by their length.

func appendInt(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendTime writes seconds since 1970 and nanoseconds below 10⁹. Only the
// instant is kept; its zone is not.
func appendTime(dst []byte, t time.Time) []byte {
	return binary.AppendUvarint(appendInt(dst, t.Unix()), uint64(t.Nanosecond()))
}

// decoder reads a body from its front. The first error sticks, and everything
// after it is zero.
type decoder struct {
	rest string
	err  error
}

func decode(body []byte, tag string) *decoder {
	d := &decoder{rest: string(body)}
	if string(d.take(len(tag))) != tag {
		d.fail("begins with other bytes than %q", tag)
	}
	return d
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err, d.rest = fmt.Errorf("%w: %s", ErrEncoding, fmt.Sprintf(format, args...)), ""
	}
}

// end is the decoder's verdict: every byte must have been read.
func (d *decoder) end() error {
	if len(d.rest) > 0 {
		d.fail("%d bytes too many", len(d.rest))
	}
	return d.err
}

func (d *decoder) take(n int) string {
	if n > len(d.rest) {
		d.fail("ends too early")
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) byte() byte {
	if s := d.take(1); s != "" {
		return s[0]
	}
	return 0
}

func (d *decoder) uint() uint64 {
	var v uint64
	for i := 0; i < len(d.rest) && i < binary.MaxVarintLen64; i++ {
		b := d.rest[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b >= 0x80 {
			continue
		}
		if i > 0 && b == 0 || i == binary.MaxVarintLen64-1 && b > 1 {
			break
		}
		d.rest = d.rest[i+1:]
		return v
	}
	d.fail("malformed integer")
	return 0
}

func (d *decoder) int() int64 {
	v := d.uint()
	return int64(v>>1) ^ -int64(v&1)
}

// plain reads an int that fits the platform's.
func (d *decoder) plain() int {
	v := d.int()
	if int64(int(v)) != v {
		d.fail("integer out of range")
	}
	return int(v)
}

func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail("ends too early")
		return ""
	}
	return d.take(int(n))
}

func (d *decoder) bytes() []byte {
	if s := d.text(); s != "" {
		return []byte(s)
	}
	return nil
}

func (d *decoder) fixed(dst []byte) { copy(dst, d.take(len(dst))) }

func (d *decoder) time() time.Time {
	sec, nano := d.int(), d.uint()
	if nano > 999_999_999 {
		d.fail("nanoseconds out of range")
		return time.Time{}
	}
	return time.Unix(sec, int64(nano)).UTC()
}

// count reads the length of a list whose elements take at least size bytes
// each, so that a lie about it cannot make us allocate.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.rest)/size) {
		d.fail("list longer than its bytes")
		return 0
	}
	return int(n)
}
