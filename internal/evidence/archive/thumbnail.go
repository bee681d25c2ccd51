package archive

import (
	"encoding/binary"
	"fmt"

	"tutela"
)

// Pictures carry smaller ones: JPEG in its Exif data (CIPA DC-008, 4.5.4 and
// 4.5.5), as further pictures (CIPA DC-007, "Multi-Picture Format"), in JFXX
// (ITU-T T.871, 10.5) and in what Photoshop adds; camera raw files, which are
// TIFF (6.0), for each of their directories; Photoshop files as a resource. A
// thumbnail outlives what is done to its picture. Only those that are JPEG are
// looked for, and none in the notes that makers keep for themselves.

const (
	maxSegments    = 1 << 10 // of a JPEG file, before its picture
	maxDirectories = 64      // of a TIFF file
	maxFields      = 512     // of a directory
)

// inner is a picture inside a picture.
type inner struct {
	name     string // without its ending
	at, size int64  // bytes
}

// hasThumbnail reports whether a JPEG file's first bytes tell of another
// picture in it: most tell of none, and are not worth a second look.
func hasThumbnail(head []byte) bool {
	for at := 2; at+4 <= len(head) && head[at] == 0xff; {
		size := int(binary.BigEndian.Uint16(head[at+2:]))
		body := head[at+4:]
		switch {
		case head[at+1] == 0xe1 && hasMagic(body, exifMagic):
			return linksOn(body[len(exifMagic):])
		case head[at+1] == 0xe0 && hasMagic(body, jfxxMagic):
			return true
		case head[at+1] < 0xe0 || size < 2:
			return false
		}
		at += 2 + size
	}
	return false
}

const (
	exifMagic      = "Exif\x00\x00"
	jfxxMagic      = "JFXX\x00\x10"
	mpfMagic       = "MPF\x00"
	photoshopMagic = "Photoshop 3.0\x00"
)

func hasMagic(b []byte, magic string) bool {
	return len(b) >= len(magic) && string(b[:len(magic)]) == magic
}

// linksOn reports whether a second directory follows the first, or may: the
// first can lie behind the bytes at hand.
func linksOn(b []byte) bool {
	order := byteOrder(b)
	if order == nil || len(b) < 8 {
		return false
	}
	first := int(order.Uint32(b[4:]))
	if first+2 > len(b) {
		return true
	}
	next := first + 2 + 12*int(order.Uint16(b[first:]))
	return next+4 > len(b) || order.Uint32(b[next:]) != 0
}

func byteOrder(b []byte) binary.ByteOrder {
	switch {
	case hasMagic(b, "II"):
		return binary.LittleEndian
	case hasMagic(b, "MM"):
		return binary.BigEndian
	}
	return nil
}

// jpegFile lists the pictures inside a JPEG file.
func (l *listing) jpegFile([]byte) error {
	var all []inner
	at := int64(2)
	for range maxSegments {
		b := l.bytesAt(at, 4+int64(len(photoshopMagic)))
		if len(b) < 4 || b[0] != 0xff || b[1] == 0xda {
			break
		}
		size := int64(binary.BigEndian.Uint16(b[2:]))
		body, end := at+4, at+2+size
		switch kind, b := b[1], b[4:]; {
		case kind == 0xe1 && hasMagic(b, exifMagic):
			all = append(all, l.exifThumbnail(body+int64(len(exifMagic)), end)...)
		case kind == 0xe0 && hasMagic(b, jfxxMagic):
			all = append(all, inner{"thumbnail", body + int64(len(jfxxMagic)), end - body - int64(len(jfxxMagic))})
		case kind == 0xe2 && hasMagic(b, mpfMagic):
			all = append(all, l.furtherPictures(body+int64(len(mpfMagic)))...)
		case kind == 0xed && hasMagic(b, photoshopMagic):
			all = append(all, l.photoshopThumbnails(body+int64(len(photoshopMagic)), end)...)
		}
		at = end
	}
	return l.inners(all)
}

// bytesAt is up to n bytes of the content.
func (l *listing) bytesAt(at, n int64) []byte {
	if at < 0 || at >= l.size {
		return nil
	}
	b := make([]byte, min(n, l.size-at))
	got, _ := l.content.ReadAt(b, at)
	return b[:got]
}

// exifThumbnail is what the second directory names.
func (l *listing) exifThumbnail(at, end int64) []inner {
	t := l.openTIFF(at)
	if t == nil {
		return nil
	}
	_, second := t.directory(t.first)
	fields, _ := t.directory(second)
	offset, size := t.value(fields[jpegOffset]), t.value(fields[jpegLength])
	if offset == 0 || size == 0 {
		return nil
	}
	return []inner{{"thumbnail", at + offset, min(size, max(0, end-at-offset))}}
}

// furtherPictures are those behind the first, which is the file itself.
func (l *listing) furtherPictures(at int64) (all []inner) {
	const entries, entryBytes = 0xb002, 16
	t := l.openTIFF(at)
	if t == nil {
		return nil
	}
	fields, _ := t.directory(t.first)
	table := fields[entries]
	b := l.bytesAt(at+table.offset, min(table.count, maxFields*entryBytes))
	for ; len(b) >= entryBytes; b = b[entryBytes:] {
		size, offset := int64(t.order.Uint32(b[4:])), int64(t.order.Uint32(b[8:]))
		if offset != 0 && size != 0 {
			all = append(all, inner{"preview", at + offset, size})
		}
	}
	return all
}

// tiff is a TIFF structure inside a content.
type tiff struct {
	listing *listing
	base    int64 // what offsets count from
	order   binary.ByteOrder
	first   int64 // directory
}

// field is an entry of a directory.
type field struct {
	kind   uint16
	count  int64
	inline [4]byte
	offset int64 // where the value is, or the value itself
}

// Tags of the fields that matter (TIFF 6.0, and Annex A of Exif for the two
// about JPEG).
const (
	compression = 0x103
	stripOffset = 0x111
	stripBytes  = 0x117
	subIFDs     = 0x14a
	jpegTables  = 0x15b
	jpegOffset  = 0x201
	jpegLength  = 0x202
	jpgFromRaw  = 0x2e // Panasonic
)

func (l *listing) openTIFF(at int64) *tiff {
	b := l.bytesAt(at, 8)
	order := byteOrder(b)
	if order == nil || len(b) < 8 {
		return nil
	}
	return &tiff{l, at, order, int64(order.Uint32(b[4:]))}
}

// directory reads one; next is where the following is, 0 if there is none.
func (t *tiff) directory(at int64) (fields map[uint16]field, next int64) {
	b := t.listing.bytesAt(t.base+at, 2+12*maxFields+4)
	if at == 0 || len(b) < 2 {
		return nil, 0
	}
	count := int(t.order.Uint16(b))
	fields = map[uint16]field{}
	b = b[2:]
	for ; count > 0 && len(b) >= 12; count-- {
		f := field{kind: t.order.Uint16(b[2:]), count: int64(t.order.Uint32(b[4:])), offset: int64(t.order.Uint32(b[8:]))}
		copy(f.inline[:], b[8:])
		fields[t.order.Uint16(b)] = f
		b = b[12:]
	}
	if count == 0 && len(b) >= 4 {
		next = int64(t.order.Uint32(b))
	}
	return fields, next
}

const shortField = 3 // two bytes

// value is the only number of a field, 0 if it has none or several.
func (t *tiff) value(f field) int64 {
	switch {
	case f.count != 1:
		return 0
	case f.kind == shortField:
		return int64(t.order.Uint16(f.inline[:]))
	}
	return f.offset
}

// offsets are the numbers of a field of 32-bit ones.
func (t *tiff) offsets(f field) (all []int64) {
	if f.count == 1 {
		return []int64{f.offset}
	}
	b := t.listing.bytesAt(t.base+f.offset, 4*min(f.count, maxDirectories))
	for ; len(b) >= 4; b = b[4:] {
		all = append(all, int64(t.order.Uint32(b)))
	}
	return all
}

// tiffFile lists the JPEG pictures inside a TIFF file. The largest is the
// preview, the others are thumbnails.
func (l *listing) tiffFile([]byte) error {
	t := l.openTIFF(0)
	if t == nil {
		return nil
	}
	var all []inner
	seen := map[int64]bool{}
	for queue := []int64{t.first}; len(queue) > 0 && len(seen) < maxDirectories; queue = queue[1:] {
		at := queue[0]
		if at == 0 || seen[at] {
			continue
		}
		seen[at] = true
		fields, next := t.directory(at)
		all = append(all, t.pictures(fields)...)
		queue = append(append(queue, t.offsets(fields[subIFDs])...), next)
	}
	largest := 0
	for i := range all {
		if all[i].size > all[largest].size {
			largest = i
		}
	}
	if len(all) > 0 {
		all[largest].name = "preview"
	}
	return l.inners(all)
}

// pictures are the JPEG files that a directory names.
func (t *tiff) pictures(fields map[uint16]field) (all []inner) {
	add := func(at, size int64) {
		if at > 0 && size > 0 && t.listing.isPictureJPEG(t.base+at) {
			all = append(all, inner{"thumbnail", t.base + at, size})
		}
	}
	add(t.value(fields[jpegOffset]), t.value(fields[jpegLength]))
	if raw := fields[jpgFromRaw]; raw.count > 4 {
		add(raw.offset, raw.count)
	}
	_, split := fields[jpegTables] // what is needed to decode the strip lies elsewhere
	if c := t.value(fields[compression]); (c == 6 || c == 7) && !split {
		add(t.value(fields[stripOffset]), t.value(fields[stripBytes]))
	}
	return all
}

// isPictureJPEG reports whether a JPEG file begins there that is not of the
// lossless kind, in which cameras keep what is no picture yet.
func (l *listing) isPictureJPEG(at int64) bool {
	b := l.bytesAt(at, 3)
	if !hasMagic(b, "\xff\xd8\xff") {
		return false
	}
	at += 2
	for range maxSegments {
		b := l.bytesAt(at, 4)
		if len(b) < 4 || b[0] != 0xff || b[1] == 0xda {
			break
		}
		if b[1] == 0xc3 {
			return false
		}
		at += 2 + int64(binary.BigEndian.Uint16(b[2:]))
	}
	return true
}

// photoshopFile lists the thumbnails among the resources of a PSD file (Adobe
// Photoshop File Formats Specification, "Image Resources Section").
func (l *listing) photoshopFile([]byte) error {
	const header = 26
	colours := l.bytesAt(header, 4)
	if len(colours) < 4 {
		return nil
	}
	at := header + 4 + int64(binary.BigEndian.Uint32(colours))
	resources := l.bytesAt(at, 4)
	if len(resources) < 4 {
		return nil
	}
	return l.inners(l.photoshopThumbnails(at+4, at+4+int64(binary.BigEndian.Uint32(resources))))
}

// photoshopThumbnails goes through resources: a signature, a number, a name, a
// size.
func (l *listing) photoshopThumbnails(at, end int64) (all []inner) {
	const older, newer, header = 1033, 1036, 28
	for range maxSegments {
		b := l.bytesAt(at, 12+256)
		if at+12 > end || len(b) < 12 || !hasMagic(b, "8BIM") {
			break
		}
		name := 1 + int64(b[6])
		name += name % 2
		if int64(len(b)) < 6+name+4 {
			break
		}
		id, size := binary.BigEndian.Uint16(b[4:]), int64(binary.BigEndian.Uint32(b[6+name:]))
		data := at + 6 + name + 4
		if (id == older || id == newer) && size > header {
			all = append(all, inner{"thumbnail", data + header, size - header})
		}
		at = data + size + size%2
	}
	return all
}

// inners visits pictures inside a picture, each once.
func (l *listing) inners(all []inner) error {
	seen := map[int64]bool{}
	count := map[string]int{}
	for _, p := range all {
		if seen[p.at] {
			continue
		}
		seen[p.at] = true
		if p.size < 3 || !hasMagic(l.bytesAt(p.at, 3), "\xff\xd8\xff") {
			l.find(tutela.FindingDamaged, "%s: the %s at byte %d is no JPEG", l.format.name, p.name, p.at)
			continue
		}
		if err := l.next(); err != nil {
			return err
		}
		name := p.name + ".jpg"
		if count[p.name]++; count[p.name] > 1 {
			name = fmt.Sprintf("%s-%d.jpg", p.name, count[p.name])
		}
		m := &member{name: []byte(name), at: p.at, kind: tutela.File, size: p.size}
		l.inPlace(m, p.at)
		if err := l.member(m); err != nil {
			return err
		}
	}
	return nil
}
