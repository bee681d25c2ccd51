package ledger

import (
	"encoding/binary"
	"time"

	"tutela/internal/ledger/check"
)

// Every body in a tree begins with its kind and its version, so that the
// opening of one can never pass for another. They must never change; a new
// layout takes a new version.
const (
	matchTag = "M\x01"

	pixelMatchTag = "M\x02"
)

// ErrEncoding is wrapped when bytes are not the one encoding of a value.
var ErrEncoding = check.ErrEncoding

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
