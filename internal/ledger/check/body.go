package check

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrEncoding is wrapped when bytes are not the one encoding of a value.
var ErrEncoding = errors.New("not a canonical encoding")

// BodyReader reads a body from its front: docs/reference/ledger-format.md,
// "Bodies". Integers are unsigned varints in their shortest form, signed ones
// zigzagged first; strings and bytes are preceded by their length. The first
// error sticks, and everything after it is zero.
type BodyReader struct {
	rest string
	err  error
}

// ReadBody reads a body that begins with tag, its letter and version.
func ReadBody(body []byte, tag string) *BodyReader {
	r := &BodyReader{rest: string(body)}
	if string(r.Take(len(tag))) != tag {
		r.Fail("begins with other bytes than %q", tag)
	}
	return r
}

// Fail makes the body no encoding, unless it was none before. The error wraps
// [ErrEncoding].
func (r *BodyReader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err, r.rest = fmt.Errorf("%w: %s", ErrEncoding, fmt.Sprintf(format, args...)), ""
	}
}

// Failed reports whether an error stuck: loops over lists ask.
func (r *BodyReader) Failed() bool { return r.err != nil }

// Err is the verdict on what was read so far.
func (r *BodyReader) Err() error { return r.err }

// End is the verdict on the whole: every byte must have been read.
func (r *BodyReader) End() error {
	if len(r.rest) > 0 {
		r.Fail("%d bytes too many", len(r.rest))
	}
	return r.err
}

// Left is how many bytes are not read yet.
func (r *BodyReader) Left() int { return len(r.rest) }

// Take reads n bytes.
func (r *BodyReader) Take(n int) string {
	if n > len(r.rest) {
		r.Fail("ends too early")
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// Byte reads one byte.
func (r *BodyReader) Byte() byte {
	if s := r.Take(1); s != "" {
		return s[0]
	}
	return 0
}

// Uint reads an unsigned integer.
func (r *BodyReader) Uint() uint64 {
	var v uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		b := r.rest[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b >= 0x80 {
			continue
		}
		if i > 0 && b == 0 || i == binary.MaxVarintLen64-1 && b > 1 {
			break
		}
		r.rest = r.rest[i+1:]
		return v
	}
	r.Fail("malformed integer")
	return 0
}

// Int reads a signed integer.
func (r *BodyReader) Int() int64 {
	v := r.Uint()
	return int64(v>>1) ^ -int64(v&1)
}

// Plain reads a signed integer that fits the platform's.
func (r *BodyReader) Plain() int {
	v := r.Int()
	if int64(int(v)) != v {
		r.Fail("integer out of range")
	}
	return int(v)
}

// Text reads a string, which may hold any bytes.
func (r *BodyReader) Text() string {
	n := r.Uint()
	if n > uint64(len(r.rest)) {
		r.Fail("ends too early")
		return ""
	}
	return r.Take(int(n))
}

// Bytes is [BodyReader.Text] as bytes; nil if there are none.
func (r *BodyReader) Bytes() []byte {
	if s := r.Text(); s != "" {
		return []byte(s)
	}
	return nil
}

// Fixed fills dst.
func (r *BodyReader) Fixed(dst []byte) { copy(dst, r.Take(len(dst))) }

// Time reads an instant, in UTC.
func (r *BodyReader) Time() time.Time {
	sec, nano := r.Int(), r.Uint()
	if nano > 999_999_999 {
		r.Fail("nanoseconds out of range")
		return time.Time{}
	}
	return time.Unix(sec, int64(nano)).UTC()
}

// Count reads the length of a list whose elements take at least size bytes each,
// so that a lie about it cannot make us allocate.
func (r *BodyReader) Count(size int) int {
	n := r.Uint()
	if n > uint64(len(r.rest)/size) {
		r.Fail("list longer than its bytes")
		return 0
	}
	return int(n)
}
