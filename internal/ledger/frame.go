package ledger

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"tutela/internal/ledger/check"
)

// The file "commit" says how much of a tree counts. It is a header and then
// one frame for each commit; integers are big-endian.
//
//	header   16  "tutela-tree@v1\n\x00"
//	         16  fingerprint of the seed
//	         28  zero
//	          4  CRC-32C of the 60 bytes before
//
//	frame     4  "FRM1"
//	          4  length of the payload in bytes
//	          4  CRC-32C of the 8 bytes before
//	             payload:
//	          8    leaves
//	          8    length of "records" in bytes
//	          4    length of the cursor in bytes, at most 65,536
//	               cursor
//	         32×   right edge: one root for each bit set in the number of leaves
//	          4  CRC-32C of the frame before this field, continuing the last
//	             field of the frame (or header) before, so that no frame can be
//	             taken out from between two others
const (
	headerMagic = "tutela-tree@v1\n\x00"
	headerSize  = 64
	frameMagic  = "FRM1"
	headSize    = 12
	fixedSize   = 20 // of the payload
	maxCursor   = 64 << 10
	maxPayload  = fixedSize + maxCursor + 64*32
	maxFrame    = headSize + maxPayload + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame is one commit.
type frame struct {
	records int64  // length of the file in bytes
	cursor  []byte // the writer's own
	edge    *check.Edge
}

// position is where the next frame goes and what it continues.
type position struct {
	offset int64
	crc    uint32
}

func encodeHeader(fingerprint [16]byte) []byte {
	h := append([]byte(headerMagic), fingerprint[:]...)
	h = append(h, make([]byte, headerSize-len(h)-crc32.Size)...)
	return binary.BigEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
}

// readHeader checks that the header is whole and that of the seed's tree.
func readHeader(h []byte, fingerprint [16]byte) (crc uint32, err error) {
	body, sum := h[:headerSize-crc32.Size], binary.BigEndian.Uint32(h[headerSize-crc32.Size:])
	if string(h[:len(headerMagic)]) != headerMagic || crc32.Checksum(body, castagnoli) != sum {
		return 0, fmt.Errorf("%w: header of commit file", ErrDamaged)
	}
	if !bytes.Equal(h, encodeHeader(fingerprint)) {
		return 0, fmt.Errorf("%w: the tree was made with another seed", ErrWrongKey)
	}
	return sum, nil
}

func (f *frame) encode(after uint32) (b []byte, crc uint32) {
	nodes := f.edge.Nodes()
	b = append(make([]byte, 0, maxFrame-maxCursor+len(f.cursor)), frameMagic...)
	b = binary.BigEndian.AppendUint32(b, uint32(fixedSize+len(f.cursor)+32*len(nodes)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	b = binary.BigEndian.AppendUint64(b, f.edge.Size())
	b = binary.BigEndian.AppendUint64(b, uint64(f.records))
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.cursor)))
	b = append(b, f.cursor...)
	for _, n := range nodes {
		b = append(b, n[:]...)
	}
	crc = crc32.Update(after, castagnoli, b)
	return binary.BigEndian.AppendUint32(b, crc), crc
}

// payloadLength reads the head of a frame; ok is false if it is none.
func payloadLength(head []byte) (n int, ok bool) {
	if string(head[:4]) != frameMagic || crc32.Checksum(head[:8], castagnoli) != binary.BigEndian.Uint32(head[8:headSize]) {
		return 0, false
	}
	length := binary.BigEndian.Uint32(head[4:])
	return int(length), length >= fixedSize && length <= maxPayload
}

func decodePayload(p []byte) (*frame, error) {
	n, records := binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])
	cursor := uint64(binary.BigEndian.Uint32(p[16:]))
	rest := p[fixedSize:]
	if n > maxLeaves || records > 1<<62 || cursor > maxCursor || uint64(len(rest)) != cursor+32*uint64(bits.OnesCount64(n)) {
		return nil, fmt.Errorf("%w: a frame contradicts itself", ErrDamaged)
	}
	nodes := make([]check.Hash, 0, 64)
	for edge := rest[cursor:]; len(edge) > 0; edge = edge[32:] {
		nodes = append(nodes, check.Hash(edge))
	}
	edge, err := check.NewEdge(n, nodes)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return &frame{records: int64(records), cursor: bytes.Clone(rest[:cursor]), edge: edge}, nil
}

// readCommit reads the file "commit": the last frame that counts, and where
// the next one goes. What follows that place is a frame that was being written
// when the power went, and was never acknowledged. Errors wrap [ErrDamaged] or
// [ErrWrongKey].
func readCommit(f io.ReaderAt, size int64, fingerprint [16]byte) (*frame, position, error) {
	if size < headerSize {
		return nil, position{}, fmt.Errorf("%w: commit file of %d bytes", ErrDamaged, size)
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f, 0, size), int(min(size, 256<<10)))
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, position{}, fmt.Errorf("read commit file: %w", err)
	}
	crc, err := readHeader(header, fingerprint)
	if err != nil {
		return nil, position{}, err
	}
	last, at := &frame{edge: new(check.Edge)}, position{headerSize, crc}
	for at.offset < size {
		next, crc, length, err := readFrame(r, at.crc)
		if err != nil {
			return nil, position{}, err
		}
		if next == nil {
			return last, at, judgeTail(f, at.offset, size)
		}
		if next.edge.Size() < last.edge.Size() || next.records < last.records {
			return nil, position{}, fmt.Errorf("%w: the frame at byte %d takes leaves back", ErrDamaged, at.offset)
		}
		last, at = next, position{at.offset + int64(length), crc}
	}
	return last, at, nil
}

// readFrame reads the next frame; it is nil if what stands there is none.
func readFrame(r io.Reader, after uint32) (f *frame, crc uint32, length int, err error) {
	head := make([]byte, headSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, 0, unlessShort(err)
	}
	n, ok := payloadLength(head)
	if !ok {
		return nil, 0, 0, nil
	}
	rest := make([]byte, n+crc32.Size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, 0, 0, unlessShort(err)
	}
	crc = crc32.Update(crc32.Update(after, castagnoli, head), castagnoli, rest[:n])
	if binary.BigEndian.Uint32(rest[n:]) != crc {
		return nil, 0, 0, nil
	}
	f, err = decodePayload(rest[:n])
	return f, crc, headSize + n + crc32.Size, err
}

func unlessShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return fmt.Errorf("read commit file: %w", err)
}

// judgeTail decides whether the bytes from offset on are a frame that was
// being written when the power went, which is cut, or one that was
// acknowledged and has changed since, which is not. An unfinished write is
// short, or has sectors that were never written and read as zeros; and nothing
// comes after it, since a frame is on the medium before the next one begins.
func judgeTail(f io.ReaderAt, offset, size int64) error {
	damaged := fmt.Errorf("%w: the frame at byte %d of the commit file has changed", ErrDamaged, offset)
	if size-offset > maxFrame {
		return damaged
	}
	tail := make([]byte, size-offset)
	if _, err := f.ReadAt(tail, offset); err != nil && err != io.EOF {
		return fmt.Errorf("read commit file: %w", err)
	}
	if !unfinished(tail) && !hasUnwrittenSector(tail, offset) || frameFollows(tail) {
		return damaged
	}
	return nil
}

// unfinished reports whether a frame's head is short, or promises more bytes
// than there are.
func unfinished(tail []byte) bool {
	if len(tail) < headSize {
		return true
	}
	n, ok := payloadLength(tail)
	return ok && len(tail) < headSize+n+crc32.Size
}

func hasUnwrittenSector(tail []byte, offset int64) bool {
	const sector = 512 // the least that a medium writes at once
	for len(tail) > 0 {
		n := min(len(tail), int(sector-offset%sector))
		if len(bytes.Trim(tail[:n], "\x00")) == 0 {
			return true
		}
		tail, offset = tail[n:], offset+int64(n)
	}
	return false
}

func frameFollows(tail []byte) bool {
	for len(tail) > headSize {
		tail = tail[1:]
		i := bytes.Index(tail, []byte(frameMagic))
		if i < 0 || len(tail)-i < headSize {
			return false
		}
		if _, ok := payloadLength(tail[i:]); ok {
			return true
		}
		tail = tail[i:]
	}
	return false
}
