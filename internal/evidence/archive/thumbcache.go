package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"tutela"
)

// Windows Vista and later keep thumbnails in thumbcache_*.db files (libyal,
// "Windows Explorer Thumbnail Cache database file format specification"): a
// header, and entries one behind the other. The checksums in them are of a kind
// nobody has published, and are not verified.

const (
	cmmm            = "CMMM"
	thumbFileHeader = 24 // bytes; where entries begin
)

// thumbEntry is a cache entry's header.
type thumbEntry struct {
	at, data, size, end int64 // bytes
	name                []byte
}

func isThumbcache(head []byte) bool {
	return len(head) >= thumbFileHeader && thumbLayout(binary.LittleEndian.Uint32(head[4:])) != (thumbFields{})
}

// thumbFields are where the numbers of an entry stand.
type thumbFields struct{ header, lengths int64 }

func thumbLayout(version uint32) thumbFields {
	switch {
	case version == 20: // Vista: a file extension stands before the lengths
		return thumbFields{56, 24}
	case version == 21: // 7
		return thumbFields{48, 16}
	case version >= 26 && version <= 40: // 8 and later
		return thumbFields{56, 16}
	}
	return thumbFields{}
}

// thumbcache lists the pictures that are kept, by the identifiers they are
// looked up by. Where an entry does not follow the one before, the next is
// searched: what a cache gave up still lies there.
func (l *listing) thumbcache(head []byte) error {
	layout := thumbLayout(binary.LittleEndian.Uint32(head[4:]))
	at := int64(thumbFileHeader)
	if first := int64(binary.LittleEndian.Uint32(head[12:])); first >= 12 && first < 1<<10 {
		at = first
	}
	for l.ctx.Err() == nil {
		if !hasSignature(l.content, at, cmmm) {
			next, found := l.zipSearch(at, cmmm)
			if !found {
				break
			}
			at = next
		}
		e, ok := l.readThumb(at, layout)
		if !ok {
			at += int64(len(cmmm))
			continue
		}
		at = e.end
		if e.size == 0 {
			continue // known, and no picture kept
		}
		if err := l.thumb(e); err != nil {
			return err
		}
	}
	return l.ctx.Err()
}

func (l *listing) readThumb(at int64, layout thumbFields) (e thumbEntry, ok bool) {
	h := make([]byte, layout.header)
	if n, _ := l.content.ReadAt(h, at); n < len(h) {
		return e, false
	}
	u32 := func(at int64) int64 { return int64(binary.LittleEndian.Uint32(h[at:])) }
	total, name, padding, size := u32(4), u32(layout.lengths), u32(layout.lengths+4), u32(layout.lengths+8)
	used := layout.header + name + padding + size
	if total < layout.header || name > int64(l.limits.NameBytes) || used > total {
		return e, false
	}
	raw := make([]byte, name)
	n, _ := l.content.ReadAt(raw, at+layout.header)
	if e.name = wtf8(raw[:n]); len(e.name) == 0 {
		e.name = fmt.Appendf(nil, "%016x", binary.LittleEndian.Uint64(h[8:]))
	}
	e.at, e.data, e.size = at, at+layout.header+name+padding, size
	// The last entry may claim all the room that is left; others begin in it.
	e.end = at + total
	if size == 0 {
		e.end = at + min(total, used)
	}
	return e, true
}

func (l *listing) thumb(e thumbEntry) error {
	if err := l.next(); err != nil {
		return err
	}
	var magic [8]byte
	n, _ := l.content.ReadAt(magic[:], e.data)
	m := &member{name: append(e.name, pictureSuffix(magic[:n])...), at: e.at, kind: tutela.File, size: e.size}
	l.inPlace(m, e.data)
	return l.member(m)
}

// pictureSuffix is the ending that a picture's first bytes call for.
func pictureSuffix(head []byte) string {
	for _, kind := range []struct{ magic, suffix string }{
		{"\xff\xd8\xff", ".jpg"}, {"\x89PNG", ".png"}, {"BM", ".bmp"}, {"GIF8", ".gif"},
	} {
		if bytes.HasPrefix(head, []byte(kind.magic)) {
			return kind.suffix
		}
	}
	return ""
}
