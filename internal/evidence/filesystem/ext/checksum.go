package ext

import "hash/crc32"

// Checksums: ext4 documentation "Checksums". Both run without the complement
// that other uses of the same polynomials put before and after.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c continues seed over each part.
func crc32c(seed uint32, parts ...[]byte) uint32 {
	sum := ^seed
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return ^sum
}

// crc16 is the polynomial 0x8005, reflected, continued over each part.
func crc16(seed uint16, parts ...[]byte) uint16 {
	for _, part := range parts {
		for _, b := range part {
			seed ^= uint16(b)
			for range 8 {
				low := seed & 1
				seed >>= 1
				if low != 0 {
					seed ^= 0xa001
				}
			}
		}
	}
	return seed
}
