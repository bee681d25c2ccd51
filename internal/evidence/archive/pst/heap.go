package pst

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// heap is a node's data as small pieces (heap on node, 2.3.1).
type heap struct {
	file   *File
	blocks []uint64
	sub    uint64 // nodes below, where larger values lie
	cached map[int][]byte
	root   uint32
}

const (
	propertyContext = 0xbc // bClientSig
	treeOnHeap      = 0xb5
	cachedBlocks    = 16
)

func (f *File) openHeap(n node, client byte) (*heap, error) {
	blocks, _, err := f.chain(n.data)
	if err != nil {
		return nil, err
	}
	if len(blocks) == 0 {
		return nil, errors.New("a node without data")
	}
	h := &heap{file: f, blocks: blocks, sub: n.sub, cached: map[int][]byte{}}
	b, err := h.block(0)
	if err != nil {
		return nil, err
	}
	if len(b) < 12 || b[2] != 0xec || b[3] != client {
		return nil, errors.New("a node without properties")
	}
	h.root = binary.LittleEndian.Uint32(b[4:])
	return h, nil
}

func (h *heap) block(i int) ([]byte, error) {
	if b, known := h.cached[i]; known {
		return b, nil
	}
	if i >= len(h.blocks) {
		return nil, fmt.Errorf("a heap of %d blocks has no block %d", len(h.blocks), i)
	}
	b, err := h.file.spent(h.blocks[i])
	if err != nil {
		return nil, err
	}
	if len(h.cached) >= cachedBlocks {
		clear(h.cached)
	}
	h.cached[i] = b
	return b, nil
}

// item is a piece (HID, 2.3.1.1); nil for the number zero.
func (h *heap) item(id uint32) ([]byte, error) {
	if id == 0 {
		return nil, nil
	}
	b, err := h.block(int(id >> 16))
	if err != nil {
		return nil, err
	}
	index := int(id >> 5 & 0x7ff)
	if len(b) < 2 {
		return nil, errHeap
	}
	at := int(binary.LittleEndian.Uint16(b))
	if at+4 > len(b) || id&31 != 0 || index == 0 || index > int(binary.LittleEndian.Uint16(b[at:])) {
		return nil, errHeap
	}
	at += 4 + 2*(index-1)
	if at+4 > len(b) {
		return nil, errHeap
	}
	from, to := int(binary.LittleEndian.Uint16(b[at:])), int(binary.LittleEndian.Uint16(b[at+2:]))
	if from > to || to > len(b) {
		return nil, errHeap
	}
	return b[from:to], nil
}

var errHeap = errors.New("a heap that does not hold together")

// Types of properties ([MS-OXCDATA] 2.11.1).
const (
	typeInt    = 0x03
	typeObject = 0x0d
	typeText   = 0x1e
	typeWide   = 0x1f
	typeTime   = 0x40
	typeBinary = 0x102
)

// property is a value in a property context, or where it is (2.3.3.3).
type property struct {
	kind uint16
	id   uint32 // the value itself, or where it is (HNID)
}

// properties reads a property context: a tree (BTH, 2.3.2) of numbers.
func (f *File) properties(n node) (*heap, map[uint16]property, error) {
	h, err := f.openHeap(n, propertyContext)
	if err != nil {
		return nil, nil, err
	}
	head, err := h.item(h.root)
	if err != nil {
		return nil, nil, err
	}
	if len(head) < 8 || head[0] != treeOnHeap || head[1] != 2 || head[2] != 6 || head[3] >= maxLevels {
		return nil, nil, errHeap
	}
	out := map[uint16]property{}
	return h, out, h.tree(binary.LittleEndian.Uint32(head[4:]), int(head[3]), out)
}

func (h *heap) tree(id uint32, level int, out map[uint16]property) error {
	b, err := h.item(id)
	if err != nil {
		return err
	}
	if err := h.file.options.Spend(int64(len(b))); err != nil {
		return err
	}
	if level > 0 {
		for ; len(b) >= 6; b = b[6:] {
			if err := h.tree(binary.LittleEndian.Uint32(b[2:]), level-1, out); err != nil {
				return err
			}
		}
		return nil
	}
	for ; len(b) >= 8; b = b[8:] {
		out[binary.LittleEndian.Uint16(b)] = property{binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])}
	}
	return nil
}

// value is where a property's bytes are: at hand, or blocks to be read.
type value struct {
	file   *File
	bytes  []byte
	blocks []uint64
	size   int64 // bytes; -1 where only reading tells
}

func (v *value) open() io.Reader { return &chainReader{file: v.file, blocks: v.blocks, out: v.bytes} }

// value finds the bytes of a property that has more than four.
func (h *heap) value(p property) (*value, error) {
	if p.id&31 == 0 {
		b, err := h.item(p.id)
		return &value{bytes: b, size: int64(len(b))}, err
	}
	n, err := h.file.belowNamed(h.sub, p.id)
	if err != nil {
		return nil, err
	}
	blocks, size, err := h.file.chain(n.data)
	return &value{file: h.file, blocks: blocks, size: size}, err
}

const maxText = 4 << 10 // bytes of a name, a subject

// text is a short text as UTF-8; nil if there is none.
func (h *heap) text(p property) []byte {
	if p.kind != typeText && p.kind != typeWide {
		return nil
	}
	v, err := h.value(p)
	if err != nil {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(v.open(), maxText))
	if p.kind == typeText {
		return fromWindows(b)
	}
	return fromUTF16(b)
}

// time is a property of 100 ns since 1601; the zero time if there is none.
func (h *heap) time(p property) time.Time {
	if p.kind != typeTime {
		return time.Time{}
	}
	b, err := h.item(p.id)
	if err != nil || len(b) < 8 {
		return time.Time{}
	}
	const toUnix = 11644473600 // seconds
	v := binary.LittleEndian.Uint64(b)
	if t := time.Unix(int64(v/1e7)-toUnix, int64(v%1e7)*100).UTC(); v != 0 && t.Year() <= 9999 {
		return t
	}
	return time.Time{}
}
