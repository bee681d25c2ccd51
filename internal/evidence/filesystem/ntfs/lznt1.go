package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// [MS-XCA] 2.5.1.2.
const (
	lzntChunk      = 4096 // bytes that one chunk expands to
	chunkSignature = 3    // bits 12 to 14 of its header
)

var errLZNT1 = errors.New("lznt1")

// decompressLZNT1 expands src into dst, chunk by chunk ([MS-XCA] 2.5). A chunk
// that gives less than 4096 bytes, and what no chunk reaches, is zeros, as NTFS
// reads it. Nothing beyond dst is produced.
func decompressLZNT1(dst, src []byte) error {
	for at := 0; len(dst) > 0; {
		if len(src)-at < 2 {
			break
		}
		header := binary.LittleEndian.Uint16(src[at:])
		if header == 0 {
			break
		}
		at += 2
		if header>>12&7 != chunkSignature {
			return fmt.Errorf("%w: chunk header %#04x", errLZNT1, header)
		}
		size := int(header&0xfff) + 1
		if size > len(src)-at {
			return fmt.Errorf("%w: chunk of %d bytes with %d left", errLZNT1, size, len(src)-at)
		}
		out := dst[:min(lzntChunk, len(dst))]
		n, err := expandChunk(out, src[at:at+size], header&0x8000 != 0)
		if err != nil {
			return err
		}
		clear(out[n:])
		dst = dst[len(out):]
		at += size
	}
	clear(dst)
	return nil
}

func expandChunk(out, in []byte, compressed bool) (int, error) {
	if compressed {
		return expandTokens(out, in)
	}
	return copy(out, in), nil
}

// expandTokens reads groups of a flag byte and eight tokens, each a literal byte
// or a pair of distance and length: [MS-XCA] 2.5.1.3 and 2.5.1.4.
func expandTokens(out, in []byte) (n int, err error) {
	for len(in) > 0 {
		flags := in[0]
		in = in[1:]
		for bit := 0; bit < 8 && len(in) > 0; bit++ {
			if n == len(out) {
				return n, nil
			}
			if flags>>bit&1 == 0 {
				out[n] = in[0]
				n++
				in = in[1:]
				continue
			}
			if len(in) < 2 {
				return n, fmt.Errorf("%w: half a token at the end of a chunk", errLZNT1)
			}
			n, err = copyBack(out, n, binary.LittleEndian.Uint16(in))
			if err != nil {
				return n, err
			}
			in = in[2:]
		}
	}
	return n, nil
}

// copyBack repeats earlier bytes of the chunk. The more of it is there, the
// more of the token's 16 bits are distance, from 4 to 12.
func copyBack(out []byte, n int, token uint16) (int, error) {
	if n == 0 {
		return n, fmt.Errorf("%w: a distance before the first byte", errLZNT1)
	}
	lengthBits := 16 - max(4, bits.Len(uint(n-1)))
	distance := int(token>>lengthBits) + 1
	length := int(token&(1<<lengthBits-1)) + 3
	if distance > n {
		return n, fmt.Errorf("%w: distance %d at byte %d", errLZNT1, distance, n)
	}
	for range min(length, len(out)-n) {
		out[n] = out[n-distance]
		n++
	}
	return n, nil
}
