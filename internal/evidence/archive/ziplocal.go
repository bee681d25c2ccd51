package archive

import (
	"bytes"
	"encoding/binary"
	"io"
)

// zipLocals visits the members whose local headers are found in a stretch: the
// way into a zip whose directory is missing, cut off or broken.
func (l *listing) zipLocals(from, until int64) error {
	for {
		at, found := l.zipSearch(from, sigLocal)
		if !found || at >= until {
			return l.ctx.Err()
		}
		z := l.readZipLocal(at)
		if z == nil {
			from = at + 4
			continue
		}
		if err := l.zipMember(z); err != nil {
			return err
		}
		from = at + zipLocalBytes + int64(len(z.name)) + int64(len(z.extra)) + max(0, min(z.compressed, l.size))
	}
}

// readZipLocal reads a local header (APPNOTE 4.3.7), nil where it does not fit
// the archive. Where the sizes follow the data, they are not told: a stored
// member then ends at the next signature, a compressed one ends itself.
func (l *listing) readZipLocal(at int64) *zipMember {
	var h [zipLocalBytes]byte
	if n, _ := l.content.ReadAt(h[:], at); n < len(h) {
		return nil
	}
	u16 := func(at int) uint16 { return binary.LittleEndian.Uint16(h[at:]) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(h[at:]) }
	rest := make([]byte, int(u16(26))+int(u16(28)))
	if n, _ := l.content.ReadAt(rest, at+zipLocalBytes); n < len(rest) {
		return nil
	}
	z := &zipMember{
		flags: u16(6), method: u16(8), clock: u16(10), date: u16(12), crc: u32(14),
		compressed: int64(u32(18)), size: int64(u32(22)), header: at,
		name: rest[:u16(26)], extra: rest[u16(26):], checkable: true,
	}
	z.widen()
	if z.flags&zipDescriptor != 0 && z.compressed == 0 {
		z.checkable, z.size, z.compressed = false, -1, -1
		if z.method == methodStore {
			z.compressed = l.zipStoredEnd(at+zipLocalBytes+int64(len(rest))) - (at + zipLocalBytes + int64(len(rest)))
		}
	}
	return z
}

func (l *listing) zipStoredEnd(from int64) int64 {
	if at, found := l.zipSearch(from, sigData, sigLocal, sigCentral); found {
		return at
	}
	return l.size
}

// zipSearch finds the first of some signatures from a byte on. It looks at a
// little first and at more later, since signatures may follow one another
// closely and each search begins behind the one before.
func (l *listing) zipSearch(from int64, signatures ...string) (at int64, found bool) {
	var buf []byte
	for from < l.size {
		if len(buf) < 64<<10 {
			buf = make([]byte, max(512, 4*len(buf)))
		}
		n, err := l.content.ReadAt(buf[:min(int64(len(buf)), l.size-from)], from)
		if i := firstOf(buf[:n], signatures); i >= 0 {
			return from + int64(i), true
		}
		if (err != nil && err != io.EOF) || n < 4 || l.ctx.Err() != nil {
			return 0, false
		}
		from += int64(n) - 3 // a signature may lie across two reads
	}
	return 0, false
}

func firstOf(b []byte, signatures []string) int {
	first := -1
	for _, s := range signatures {
		if i := bytes.Index(b, []byte(s)); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}
