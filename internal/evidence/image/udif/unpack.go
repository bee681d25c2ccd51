package udif

import (
	"bytes"
	"compress/bzip2"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// unpack decompresses a block to exactly its length.
func (m *blocks) unpack(b block) ([]byte, error) {
	if b.stored < 0 || b.stored > 2*b.length+4096 {
		return nil, fmt.Errorf("%d bytes are stored of a block of %d", uint64(b.stored), b.length)
	}
	raw, err := virtual.Read(m.src, b.at, int(b.stored))
	if err != nil {
		return nil, err
	}
	switch b.kind {
	case blockADC:
		return exactly("adc", b.length, func() ([]byte, error) { return unADC(raw, int(b.length)) })
	case blockLZFSE:
		return exactly("lzfse", b.length, func() ([]byte, error) { return unLZFSE(raw, int(b.length)) })
	case blockZlib:
		return exactly("zlib", b.length, func() ([]byte, error) {
			z, err := zlib.NewReader(bytes.NewReader(raw))
			if err != nil {
				return nil, err
			}
			return io.ReadAll(io.LimitReader(z, b.length+1))
		})
	case blockBzip2:
		return exactly("bzip2", b.length, func() ([]byte, error) {
			return io.ReadAll(io.LimitReader(bzip2.NewReader(bytes.NewReader(raw)), b.length+1))
		})
	case blockLZMA:
		return exactly("lzma", b.length, func() ([]byte, error) { return unXZ(raw, b.length) })
	}
	return nil, fmt.Errorf("type %#x not read: %w", b.kind, evidence.ErrUnsupported)
}

// exactly holds what a decompressor gives against the length of the block.
func exactly(name string, length int64, unpack func() ([]byte, error)) ([]byte, error) {
	out, err := unpack()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case int64(len(out)) != length:
		return nil, fmt.Errorf("%s: it gives %d bytes, not %d", name, len(out), length)
	}
	return out, nil
}

var errADC = errors.New("the data do not hold together")

// unADC decompresses Apple Data Compression: literal runs, and copies with two
// or three bytes of length and distance (MODI, "ADC compression").
func unADC(in []byte, length int) ([]byte, error) {
	out := make([]byte, 0, min(length, 64*len(in)+1))
	for len(in) > 0 && len(out) < length {
		var n, back, head int
		switch c := in[0]; {
		case c&0x80 != 0:
			n, head = int(c&0x7f)+1, 1
			if len(in) < head+n {
				return nil, errADC
			}
			out = append(out, in[head:head+n]...)
			in = in[head+n:]
			continue
		case c&0x40 != 0:
			n, head = int(c&0x3f)+4, 3
		default:
			n, head = int(c>>2)+3, 2
		}
		if len(in) < head {
			return nil, errADC
		}
		if back = int(in[0]&3)<<8 | int(in[1]); head == 3 {
			back = int(in[1])<<8 | int(in[2])
		}
		if back >= len(out) {
			return nil, errADC
		}
		out = repeat(out, back+1, n)
		in = in[head:]
	}
	return out, nil
}

// repeat appends n bytes that lie distance before the end, which may overlap
// with what it appends. distance is above 0 and at most len(out).
func repeat(out []byte, distance, n int) []byte {
	for range n {
		out = append(out, out[len(out)-distance])
	}
	return out
}
