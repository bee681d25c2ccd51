package decmpfs

import (
	"encoding/binary"
	"fmt"
)

// LZVN expands a stream into dst and returns how many bytes came out. It is an
// error if they do not fit. The stream ends with its end mark or with src.
//
// A stream is a row of operations: copy L bytes that follow the operation, then
// repeat M bytes from D bytes back. The first byte tells the sort:
//
//	LLMMMDDD DDDDDDDD            small distance; DDD is not 6 or 7
//	LLMMM110                     the distance used last; LL is not 0
//	LLMMM111 DDDDDDDD DDDDDDDD   large distance, low byte first
//	101LLMMM DDDDDDMM DDDDDDDD   medium distance, low byte first
//	1110LLLL                     literals only; L = 0: 16 more than the next byte
//	1111MMMM                     match only; M = 0: 16 more than the next byte
//	00000110                     end, followed by seven zeros
//	0000x110, 0001x110           nothing, for 0x0e and 0x16
//
// M counts from 3 where it stands with a distance. What is left over (0x1e to
// 0x3e in steps of 8, 0x70 to 0x7f, 0xd0 to 0xdf) is undefined.
func LZVN(dst, src []byte) (int, error) {
	return lzvn(dst, 0, src)
}

// operation is one step of LZVN.
type operation struct {
	size            int // of the operation itself, in bytes
	literals, match int
	distance        int // 0: the one used last
	end             bool
}

// lzvn expands src into dst from byte n on. Matches may reach back to before n.
func lzvn(dst []byte, n int, src []byte) (int, error) {
	distance := 0
	for len(src) > 0 {
		op, ok := parseOperation(src)
		if !ok {
			return n, fmt.Errorf("%w: lzvn operation %#02x", errDamaged, src[0])
		}
		if op.end {
			return n, nil
		}
		if op.distance != 0 {
			distance = op.distance
		}
		src = src[op.size:]
		if op.literals > len(src) || op.literals+op.match > len(dst)-n {
			return n, fmt.Errorf("%w: lzvn copies beyond the end", errDamaged)
		}
		n += copy(dst[n:], src[:op.literals])
		src = src[op.literals:]
		if err := repeat(dst, n, op.match, distance); err != nil {
			return n, err
		}
		n += op.match
	}
	return n, nil
}

// parseOperation reads an operation; it reports false if it is undefined or cut.
func parseOperation(src []byte) (op operation, ok bool) {
	b := src[0]
	switch {
	case b == 0x06:
		return operation{size: 1, end: true}, true
	case b == 0x0e || b == 0x16:
		return operation{size: 1}, true
	case b>>4 == 0x7 || b>>4 == 0xd:
		return op, false
	case b>>5 == 5:
		return mediumDistance(src)
	case b>>4 == 0xe:
		op.size, op.literals, ok = oneLength(src)
		return op, ok
	case b>>4 == 0xf:
		op.size, op.match, ok = oneLength(src)
		return op, ok
	}
	op = operation{size: 2, literals: int(b >> 6), match: int(b>>3&7) + 3}
	switch {
	case b&7 == 6:
		op.size = 1
		return op, op.literals > 0
	case b&7 == 7 && len(src) >= 3:
		op.size = 3
		op.distance = int(binary.LittleEndian.Uint16(src[1:]))
	case b&7 < 6 && len(src) >= 2:
		op.distance = int(b&7)<<8 | int(src[1])
	}
	return op, op.distance > 0
}

func mediumDistance(src []byte) (op operation, ok bool) {
	if len(src) < 3 {
		return op, false
	}
	b, v := int(src[0]), int(binary.LittleEndian.Uint16(src[1:]))
	op = operation{size: 3, literals: b >> 3 & 3, match: b&7<<2 + v&3 + 3, distance: v >> 2}
	return op, op.distance > 0
}

func oneLength(src []byte) (size, length int, ok bool) {
	if length = int(src[0] & 0x0f); length > 0 {
		return 1, length, true
	}
	if len(src) < 2 {
		return 0, 0, false
	}
	return 2, int(src[1]) + 16, true
}

// repeat writes length bytes at n again that stand distance before, byte by byte
// where they overlap. There must be room for them.
func repeat(dst []byte, n, length, distance int) error {
	if length == 0 {
		return nil
	}
	if distance <= 0 || distance > n {
		return fmt.Errorf("%w: distance %d at byte %d", errDamaged, distance, n)
	}
	if distance >= length {
		copy(dst[n:n+length], dst[n-distance:])
		return nil
	}
	for i := n; i < n+length; i++ {
		dst[i] = dst[i-distance]
	}
	return nil
}
