package avi

import (
	"encoding/binary"

	"tutela"
	"tutela/internal/video/track"
)

const (
	oldIsKey    = 0x10    // AVIIF_KEYFRAME
	newIsNotKey = 1 << 31 // of a size in a standard index

	indexOfIndexes = 0
	indexOfChunks  = 1
)

// oldIndex goes through idx1: a name, flags, a place and a size for each chunk.
func (w *walk) oldIndex() error {
	entries, count := track.NewWindow(w.src, w.size), (w.old.end-w.old.body)/16
	base, known := int64(0), false
	for i := range min(count, mostChunks) {
		e, err := entries.Bytes(w.old.body+i*16, 16)
		if err != nil {
			w.notes.Add(tutela.FindingReadError, "the index: %v", err)
			return nil
		}
		name := string(e[:4])
		if !w.ours(name) {
			continue
		}
		flags, at, size := binary.LittleEndian.Uint32(e[4:]), int64(binary.LittleEndian.Uint32(e[8:])), int64(binary.LittleEndian.Uint32(e[12:]))
		if !known {
			if base, known = w.baseOf(name, at); !known {
				w.notes.Add(tutela.FindingDamaged, "the index leads astray; all chunks were gone through")
				return nil
			}
		}
		if err := w.tick(base+at+8, size, flags&oldIsKey != 0); err != nil {
			return err
		}
	}
	return nil
}

// baseOf finds from where the places in idx1 count: from the name of the list of
// frames, as they should, or from the beginning of the file.
func (w *walk) baseOf(name string, at int64) (base int64, found bool) {
	for _, base := range []int64{w.lists[0].body - 4, 0} {
		if b, err := w.win.Bytes(base+at, 4); err == nil && string(b) == name {
			return base, true
		}
	}
	return 0, false
}

// superIndex goes through OpenDML's index: a list of indexes that lie among the
// frames, or one such index itself.
func (w *walk) superIndex() error {
	h, err := w.indexHead(w.super)
	if err != nil || h == nil {
		return err
	}
	if h.kind == indexOfChunks {
		return w.standardIndex(w.super)
	}
	if h.kind != indexOfIndexes || h.width != 16 {
		return nil
	}
	entries := track.NewWindow(w.src, w.size)
	for i := range h.count {
		e, err := entries.Bytes(w.super.body+24+i*16, 16)
		if err != nil {
			return err
		}
		at := binary.LittleEndian.Uint64(e)
		if at > uint64(w.size) {
			w.notes.Add(tutela.FindingTruncated, "parts of the index lie beyond the end of the file")
			return nil
		}
		part, err := w.chunk(int64(at), w.size)
		if err != nil {
			return ignoreEnd(err)
		}
		if err := w.standardIndex(part); err != nil {
			return err
		}
	}
	return nil
}

// indexHead is how an index of OpenDML begins.
type indexHead struct {
	width int64 // bytes of an entry
	kind  byte
	count int64 // entries, no more than there is room for
	base  int64 // from which the places in an index of chunks count
}

func (w *walk) indexHead(c chunk) (*indexHead, error) {
	if c.end-c.body < 24 {
		return nil, nil
	}
	b, err := w.win.Bytes(c.body, 24)
	if err != nil {
		return nil, ignoreEnd(err)
	}
	h := &indexHead{
		width: 4 * int64(binary.LittleEndian.Uint16(b)),
		kind:  b[3],
		count: int64(binary.LittleEndian.Uint32(b[4:])),
		base:  int64(binary.LittleEndian.Uint64(b[12:])),
	}
	if h.width < 8 {
		return nil, nil
	}
	h.count = min(h.count, (c.end-c.body-24)/h.width, mostChunks)
	return h, nil
}

// standardIndex goes through an index of chunks.
func (w *walk) standardIndex(c chunk) error {
	h, err := w.indexHead(c)
	if err != nil || h == nil || h.kind != indexOfChunks || h.base < 0 || h.width > 64 {
		return err
	}
	entries := track.NewWindow(w.src, w.size)
	for i := range h.count {
		e, err := entries.Bytes(c.body+24+i*h.width, 8)
		if err != nil {
			return ignoreEnd(err)
		}
		at, size := int64(binary.LittleEndian.Uint32(e)), binary.LittleEndian.Uint32(e[4:])
		if err := w.tick(h.base+at, int64(size&^newIsNotKey), size&newIsNotKey == 0); err != nil {
			return err
		}
	}
	return nil
}
