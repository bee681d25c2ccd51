package carve

import (
	"hash/crc32"
)

// PNG: ISO/IEC 15948 (W3C PNG, third edition), clause 5.

// png follows the chunks and their checksums up to IEND.
func png(v *view) (found, bool) {
	if !v.is(0, "\x89PNG\r\n\x1a\n") || !v.is(12, "IHDR") || !pngHeader(v.bytes(16, 13)) {
		return found{}, false
	}
	data := false
	for pos := int64(8); ; {
		head := v.bytes(pos, 8)
		if head == nil {
			return found{}, false
		}
		length, kind := int64(big.Uint32(head)), string(head[4:])
		if length > 1<<31-1 || !letters(kind) || !v.to(pos+12+length) || !checksum(v, pos+4, 4+length) {
			return found{}, false
		}
		pos += 12 + length
		switch kind {
		case "IDAT":
			data = true
		case "IEND":
			return found{size: pos, ext: "png"}, data && length == 0
		}
	}
}

func pngHeader(b []byte) bool {
	if b == nil || big.Uint32(b)-1 >= 1<<31-1 || big.Uint32(b[4:])-1 >= 1<<31-1 {
		return false
	}
	depth, colour := b[8], b[9]
	return depth >= 1 && depth <= 16 && colour <= 6 && b[10] == 0 && b[11] == 0 && b[12] <= 1
}

func letters(s string) bool {
	for _, c := range []byte(s) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return false
		}
	}
	return true
}

// checksum holds n bytes against the CRC behind them.
func checksum(v *view, off, n int64) bool {
	var sum uint32
	for n > 0 {
		p := v.piece(off)
		if p == nil {
			return false
		}
		p = p[:min(int64(len(p)), n)]
		v.took(max(len(p), step))
		sum = crc32.Update(sum, crc32.IEEETable, p)
		off, n = off+int64(len(p)), n-int64(len(p))
	}
	return v.number(big, off, 4) == int64(sum)
}
