package archive

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"tutela/internal/evidence"
)

// Pictures of Office documents lie in records of [MS-ODRAW] 2.2.23 ("blips"),
// in streams that are otherwise of each program's own making. They are found by
// the record's header: version, instance and type leave four bytes of which only
// some twenty values are pictures.

const (
	recordHeader = 8  // version and instance, type, length
	blipID       = 16 // bytes; one of them or two
	metafile     = 34 // OfficeArtMetafileHeader, 2.2.31
)

// blipKind is what a record's type says of the picture in it.
type blipKind struct {
	suffix    string
	instances [4]uint16 // with one identifier, with two, and the same again (2.2.24 to 2.2.30)
	metafile  bool
	magic     string
}

var blipKinds = map[uint16]blipKind{
	0xf01a: {".emf", [4]uint16{0x3d4, 0x3d5}, true, ""},
	0xf01b: {".wmf", [4]uint16{0x216, 0x217}, true, ""},
	0xf01c: {".pict", [4]uint16{0x542, 0x543}, true, ""},
	0xf01d: {".jpg", [4]uint16{0x46a, 0x46b, 0x6e2, 0x6e3}, false, "\xff\xd8"},
	0xf02a: {".jpg", [4]uint16{0x46a, 0x46b, 0x6e2, 0x6e3}, false, "\xff\xd8"},
	0xf01e: {".png", [4]uint16{0x6e0, 0x6e1}, false, "\x89PNG"},
	0xf01f: {".dib", [4]uint16{0x7a8, 0x7a9}, false, ""},
	0xf029: {".tif", [4]uint16{0x6e4, 0x6e5}, false, ""},
}

// blip is a picture found in a stream.
type blip struct {
	kind     blipKind
	at, size int64 // of the picture, in the stream; bytes
	end      int64 // of the record
	deflated bool
	plain    int64 // size of what is deflated
}

// blips visits the pictures in a stream, in their order.
func (o *ole) blips(path []byte, content *evidence.Extents) error {
	found := 0
	for at := int64(0); ; {
		b, ok := o.nextBlip(content, at)
		if !ok {
			return o.ctx.Err()
		}
		at = b.end
		if err := o.next(); err != nil {
			return err
		}
		found++
		m := o.piece(slices.Concat(path, fmt.Appendf(nil, "/%d%s", found, b.kind.suffix)), content, b.at, b.size)
		if b.deflated {
			o.inflate(m, content, b.at, b.size, b.plain)
		}
		if err := o.member(m); err != nil {
			return err
		}
	}
}

// inflate makes a member's content what its bytes decompress to.
func (o *ole) inflate(m *member, content *evidence.Extents, at, size, plain int64) {
	m.random, m.size = nil, plain
	m.open = func() (io.ReadCloser, error) {
		z, err := zlib.NewReader(io.NewSectionReader(content, at, size))
		if err != nil {
			return nil, err
		}
		return &checked{ReadCloser: z, format: "ole", size: plain}, nil
	}
}

// nextBlip looks for the next picture from a byte on. What is looked at counts
// as expanded, since streams may share their bytes.
func (o *ole) nextBlip(content *evidence.Extents, at int64) (blip, bool) {
	buf := make([]byte, 64<<10)
	for at+recordHeader <= content.Size() && o.ctx.Err() == nil && o.spent == nil {
		n, err := content.ReadAt(buf[:min(int64(len(buf)), content.Size()-at)], at)
		for i := 0; i+recordHeader <= n; i++ {
			step := bytes.IndexByte(buf[i+3:n], 0xf0) // the high byte of every type
			if i += max(step, 0); step < 0 || i+recordHeader > n {
				break
			}
			if b, ok := readBlip(content, buf[i:i+recordHeader], at+int64(i)); ok {
				o.expanded += int64(i)
				return b, true
			}
		}
		if (err != nil && err != io.EOF) || n < recordHeader {
			break
		}
		step := int64(n - recordHeader + 1)
		at += step
		o.expanded += step
		_ = o.checkExpanded()
	}
	return blip{}, false
}

// readBlip reads the record whose header lies at a byte of the stream.
func readBlip(content io.ReaderAt, header []byte, at int64) (b blip, ok bool) {
	kind, known := blipKinds[binary.LittleEndian.Uint16(header[2:])]
	tag := binary.LittleEndian.Uint16(header)
	instance := slices.Index(kind.instances[:], tag>>4)
	if !known || tag&15 != 0 || instance < 0 {
		return b, false
	}
	length := int64(binary.LittleEndian.Uint32(header[4:]))
	skip := int64(blipID * (1 + instance%2))
	b = blip{kind: kind, end: at + recordHeader + length}
	if !kind.metafile {
		skip++ // an unused byte
	}
	b.at = at + recordHeader + skip
	var h [metafile]byte
	if n, _ := content.ReadAt(h[:], b.at); n < 4 {
		return b, false
	}
	if kind.metafile {
		b.at += metafile
		b.deflated, b.plain = h[32] == 0, int64(binary.LittleEndian.Uint32(h[:]))
	}
	b.size = b.end - b.at
	return b, b.size > 0 && bytes.HasPrefix(h[:], []byte(kind.magic)) && endsInside(content, b.end)
}

func endsInside(content io.ReaderAt, end int64) bool {
	var last [1]byte
	n, _ := content.ReadAt(last[:], end-1)
	return n == 1
}

// maxPieces bounds the records that a workbook's drawings are put together
// from: half a gigabyte of them.
const maxPieces = 1 << 16

// sheetDrawings are the drawings of a workbook, which lie in records of at most
// 8224 bytes ([MS-XLS] 2.4.171, MsoDrawingGroup, and 2.4.58, Continue), in one
// piece.
func (o *ole) sheetDrawings(content *evidence.Extents) *evidence.Extents {
	const drawings, more = 0xeb, 0x3c
	r := bufio.NewReaderSize(io.NewSectionReader(content, 0, content.Size()), 32<<10)
	runs := newRunSlicer(content)
	var pieces []evidence.Extent
	var total int64
	inside := false
	for at := int64(0); o.ctx.Err() == nil && len(pieces) < maxPieces; {
		var h [4]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			break
		}
		kind, length := binary.LittleEndian.Uint16(h[:]), int(binary.LittleEndian.Uint16(h[2:]))
		if inside = kind == drawings || kind == more && inside; inside && length > 0 {
			pieces = runs.slice(pieces, at+4, int64(length))
			total += int64(length)
		}
		if n, err := r.Discard(length); err != nil || n < length {
			break
		}
		at += 4 + int64(length)
	}
	return evidence.NewExtents(archiveSource{o.content, o.size}, pieces, total)
}

// archiveSource is an archive's content as a Source.
type archiveSource struct {
	io.ReaderAt
	size int64
}

func (s archiveSource) Size() int64 { return s.size }

// runSlicer finds the stretches of the archive that a part of a content lies in,
// for parts that come in their order.
type runSlicer struct {
	runs []evidence.Extent
	at   int64 // in the content, of runs[0]
}

func newRunSlicer(content *evidence.Extents) *runSlicer {
	s := &runSlicer{}
	for _, r := range content.Runs() {
		s.runs = append(s.runs, evidence.Extent(r))
	}
	return s
}

func (s *runSlicer) slice(to []evidence.Extent, offset, length int64) []evidence.Extent {
	for len(s.runs) > 0 && length > 0 {
		run := s.runs[0]
		if offset >= s.at+run.Length {
			s.at += run.Length
			s.runs = s.runs[1:]
			continue
		}
		skip := offset - s.at
		n := min(length, run.Length-skip)
		to = append(to, evidence.Extent{Offset: run.Offset + skip, Length: n})
		offset, length = offset+n, length-n
	}
	return to
}

// slideObjects visits the objects embedded in a presentation, which lie deflated
// among its other records ([MS-PPT] 2.10.34, ExOleObjStgCompressedAtom).
func (o *ole) slideObjects(path []byte, content *evidence.Extents) error {
	const isContainer, storage, compressed = 15, 0x1011, 1 << 4
	found := 0
	for at := int64(0); at+recordHeader <= content.Size() && o.ctx.Err() == nil; {
		var h [recordHeader + 4]byte
		if n, _ := content.ReadAt(h[:], at); n < recordHeader {
			break
		}
		tag, kind := binary.LittleEndian.Uint16(h[:]), binary.LittleEndian.Uint16(h[2:])
		length := int64(binary.LittleEndian.Uint32(h[4:]))
		data := at + recordHeader
		if at = data + length; tag&15 == isContainer {
			at = data
			continue
		}
		if kind != storage || tag != compressed || length < 5 || at > content.Size() {
			continue
		}
		if err := o.next(); err != nil {
			return err
		}
		found++
		m := o.piece(slices.Concat(path, fmt.Appendf(nil, "/object %d", found)), content, data+4, length-4)
		o.inflate(m, content, data+4, length-4, int64(binary.LittleEndian.Uint32(h[recordHeader:])))
		if err := o.member(m); err != nil {
			return err
		}
	}
	return o.ctx.Err()
}
