package decmpfs

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
)

// A chunk that does not get smaller is stored as it is, behind one byte that no
// packed chunk can begin with.
const (
	lzvnPlain   = 0x06 // LZVN's own end of stream
	markedPlain = 0xcc
)

// zlibPlain: the method of a zlib stream, in the low half, is 8.
func zlibPlain(b byte) bool { return b&0x0f == 0x0f }

// plain fills dst from a chunk stored as it is, which must have its length.
func plain(dst, src []byte) error {
	if len(src) != len(dst) {
		return fmt.Errorf("%w: %d bytes stored where %d belong", errDamaged, len(src), len(dst))
	}
	copy(dst, src)
	return nil
}

// filled is an error if n bytes were expanded where others belong.
func filled(dst []byte, n int) error {
	if n != len(dst) {
		return fmt.Errorf("%w: %d bytes come out where %d belong", errDamaged, n, len(dst))
	}
	return nil
}

func expandPlain(dst, src []byte) error { return plain(dst, src) }

// expandMarked: methods 9 and 10 were seen with and without the mark; the length
// tells.
func expandMarked(dst, src []byte) error {
	if len(src) == len(dst)+1 && src[0] == markedPlain {
		src = src[1:]
	}
	return plain(dst, src)
}

func expandZlib(dst, src []byte) error {
	if len(src) > 0 && zlibPlain(src[0]) {
		return plain(dst, src[1:])
	}
	z, err := zlib.NewReader(bytes.NewReader(src))
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	if n, err := io.ReadFull(z, dst); err != nil {
		return fmt.Errorf("%w: %d of %d bytes: %w", errDamaged, n, len(dst), err)
	}
	var more [1]byte
	if n, err := z.Read(more[:]); n != 0 || err != io.EOF {
		return fmt.Errorf("%w: it does not end after %d bytes: %w", errDamaged, len(dst), err)
	}
	return nil
}

func expandLZVN(dst, src []byte) error {
	if len(src) > 0 && src[0] == lzvnPlain {
		return plain(dst, src[1:])
	}
	n, err := LZVN(dst, src)
	if err != nil {
		return err
	}
	return filled(dst, n)
}

// expandLZFSE: the marks of both other methods were seen.
func expandLZFSE(dst, src []byte) error {
	if len(src) > 0 && (src[0] == lzvnPlain || zlibPlain(src[0])) {
		return plain(dst, src[1:])
	}
	n, err := LZFSE(dst, src)
	if err != nil {
		return err
	}
	return filled(dst, n)
}
