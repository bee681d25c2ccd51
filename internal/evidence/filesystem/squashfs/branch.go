package squashfs

import (
	"encoding/binary"
	"fmt"

	"tutela/internal/evidence"
)

// Branch filters turn the relative targets of a processor's jumps and calls into
// absolute ones before packing, which makes programs smaller ("The .xz File
// Format" 5.3.2). Here they are turned back. A position counts from the
// beginning of the block.

const (
	filterX86      = 4
	filterPowerPC  = 5
	filterARM      = 7
	filterARMThumb = 8
	filterSPARC    = 9
)

func unfilter(f xzFilter, b []byte) error {
	var start uint32
	if len(f.properties) == 4 {
		start = binary.LittleEndian.Uint32(f.properties)
	}
	switch f.id {
	case filterX86:
		unfilterX86(b, start)
	case filterPowerPC:
		unfilterPowerPC(b, start)
	case filterARM:
		unfilterARM(b, start)
	case filterARMThumb:
		unfilterARMThumb(b, start)
	case filterSPARC:
		unfilterSPARC(b, start)
	default:
		return fmt.Errorf("xz filter %#x not read: %w", f.id, evidence.ErrUnsupported)
	}
	return nil
}

// unfilterPowerPC: "bl" with an absolute target.
func unfilterPowerPC(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		if v := binary.BigEndian.Uint32(b[i:]); v&0xfc000003 == 0x48000001 {
			target := v&0x03fffffc - (start + uint32(i))
			binary.BigEndian.PutUint32(b[i:], 0x48000001|target&0x03fffffc)
		}
	}
}

// unfilterARM: "bl", counted in words from two behind the instruction.
func unfilterARM(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		if b[i+3] == 0xeb {
			v := binary.LittleEndian.Uint32(b[i:])
			target := v<<2 - (start + uint32(i) + 8)
			binary.LittleEndian.PutUint32(b[i:], 0xeb000000|target>>2&0xffffff)
		}
	}
}

// unfilterARMThumb: "bl" in two halves.
func unfilterARMThumb(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 2 {
		high, low := binary.LittleEndian.Uint16(b[i:]), binary.LittleEndian.Uint16(b[i+2:])
		if high&0xf800 != 0xf000 || low&0xf800 != 0xf800 {
			continue
		}
		v := (uint32(high&0x7ff)<<11 | uint32(low&0x7ff)) << 1
		target := (v - (start + uint32(i) + 4)) >> 1
		binary.LittleEndian.PutUint16(b[i:], 0xf000|uint16(target>>11&0x7ff))
		binary.LittleEndian.PutUint16(b[i+2:], 0xf800|uint16(target&0x7ff))
		i += 2
	}
}

// unfilterSPARC: "call" to a target not too far away.
func unfilterSPARC(b []byte, start uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		v := binary.BigEndian.Uint32(b[i:])
		if v>>22 != 0x100 && v>>22 != 0x1ff {
			continue
		}
		target := (v<<2 - (start + uint32(i))) >> 2
		// Bit 22 is the sign; the instruction's own bits stand above it.
		target = -(target>>22&1)<<22&0x3fffffff | target&0x3fffff | 0x40000000
		binary.BigEndian.PutUint32(b[i:], target)
	}
}

// unfilterX86: "call" and "jmp" with four bytes of target. What it takes for an
// instruction depends on the bytes that it took for one shortly before.
func unfilterX86(b []byte, start uint32) {
	if len(b) < 5 {
		return
	}
	last, mask := -5, uint32(0) // mask: which of the bytes before were opcodes
	for i := 0; i+5 <= len(b); i++ {
		if b[i]&0xfe != 0xe8 {
			continue
		}
		mask = x86Age(mask, i-last)
		last = i
		if sign := x86Sign(b[i+4]); !sign || mask>>1 > 7 || !x86Allowed[mask>>1] {
			if mask |= 1; sign {
				mask |= 0x10
			}
			continue
		}
		target := x86Target(binary.LittleEndian.Uint32(b[i+1:]), start+uint32(i)+5, mask)
		binary.LittleEndian.PutUint32(b[i+1:], target)
		i += 4
		mask = 0
	}
}

// x86Age moves the opcodes seen back by as many bytes as have gone by.
func x86Age(mask uint32, gap int) uint32 {
	if gap > 5 {
		return 0
	}
	for range gap {
		mask = mask & 0x77 << 1
	}
	return mask
}

var x86Allowed = [8]bool{true, true, true, false, true, false, false, false}
var x86Bit = [8]uint32{0, 1, 2, 2, 3, 3, 3, 3}

func x86Sign(b byte) bool { return b == 0 || b == 0xff }

// x86Target turns an absolute target back. While a byte of the outcome could be
// taken for the sign of an opcode before it, it is turned over again.
func x86Target(v, position, mask uint32) uint32 {
	for {
		v -= position
		if mask == 0 {
			break
		}
		shift := x86Bit[mask>>1] * 8
		if !x86Sign(byte(v >> (24 - shift))) {
			break
		}
		v ^= 1<<(32-shift) - 1
	}
	return v&0x01ffffff | -(v>>24&1)<<24
}
