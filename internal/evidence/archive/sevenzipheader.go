package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"tutela"
)

// The headers of a 7z file are read here (7zFormat.txt of the LZMA SDK; names in
// capitals are its property identifiers), so that no count or size in them makes
// anybody allocate; the module decodes one folder at a time (see sevenFolder).

// Property identifiers, "Property IDs".
const (
	sevenEnd              = 0x00
	sevenHeaderID         = 0x01
	sevenArchiveProps     = 0x02
	sevenAdditional       = 0x03
	sevenMainStreams      = 0x04
	sevenFilesInfo        = 0x05
	sevenPackInfo         = 0x06
	sevenUnpackInfo       = 0x07
	sevenSubStreams       = 0x08
	sevenSize             = 0x09
	sevenCRC              = 0x0a
	sevenFolderID         = 0x0b
	sevenCodersUnpackSize = 0x0c
	sevenNumUnpackStream  = 0x0d
	sevenEmptyStream      = 0x0e
	sevenEmptyFile        = 0x0f
	sevenAnti             = 0x10
	sevenNames            = 0x11
	sevenCTime            = 0x12
	sevenATime            = 0x13
	sevenMTime            = 0x14
	sevenAttributes       = 0x15
	sevenEncodedHeader    = 0x17
)

const (
	// maxSevenHeader bounds a header, packed or not, in bytes.
	maxSevenHeader = 64 << 20
	// maxSevenFiles bounds the files of one archive.
	maxSevenFiles = 1 << 20
	// maxSevenCoders and maxSevenStreams bound a folder: 7-Zip itself allows 32.
	maxSevenCoders = 32
)

// sevenStream is one content in a folder.
type sevenStream struct {
	folder *sevenFolder
	offset int64 // in the folder
	size   int64
	crc    *uint32
}

// sevenFile is one file of the archive.
type sevenFile struct {
	name                        []byte // UTF-16LE
	created, accessed, modified []byte // FILETIME or nil
	attributes                  uint32
	empty                       bool // has no stream: a directory, unless emptyFile
	emptyFile, anti             bool
}

// sevenHeader is what a header says.
type sevenHeader struct {
	folders []*sevenFolder
	streams []sevenStream
	files   []sevenFile
}

var (
	errSevenHeader = errors.New("7z: the header does not hold together")
	errSevenLarge  = &Error{tutela.FindingLimit, errors.New("7z: more files, folders or header bytes than are read")}
)

// sevenReader reads a header. Its first error stays; after it everything is
// zero.
type sevenReader struct {
	b   []byte
	err error
}

func (r *sevenReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// take is the next n bytes, nil if there are not so many.
func (r *sevenReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail(errSevenHeader)
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *sevenReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *sevenReader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// number reads a NUMBER: the leading ones of the first byte say how many follow.
func (r *sevenReader) number() uint64 {
	first := r.byte()
	more := bits.LeadingZeros8(^first)
	var b [8]byte
	copy(b[:], r.take(uint64(more)))
	v := binary.LittleEndian.Uint64(b[:])
	if more < 7 {
		v |= uint64(first&(1<<(7-more)-1)) << (8 * more)
	}
	return v
}

// count is a number of things of which each takes at least a byte of what
// follows.
func (r *sevenReader) count() int {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.fail(errSevenHeader)
		return 0
	}
	return int(n)
}

// size is a number that fits an int64.
func (r *sevenReader) size() int64 {
	n := r.number()
	if n >= 1<<62 {
		r.fail(errSevenHeader)
		return 0
	}
	return int64(n)
}

// bools reads n bits, highest first.
func (r *sevenReader) bools(n int) []bool {
	packed := r.take(uint64(n+7) / 8)
	if packed == nil && n > 0 {
		return make([]bool, n)
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = packed[i/8]&(0x80>>(i%8)) != 0
	}
	return out
}

// optionalBools reads a byte that says all, or else n bits.
func (r *sevenReader) optionalBools(n int) []bool {
	if r.byte() == 0 {
		return r.bools(n)
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = true
	}
	return out
}

// digests reads n CRCs, nil where one is not defined.
func (r *sevenReader) digests(n int) []*uint32 {
	out := make([]*uint32, n)
	for i, defined := range r.optionalBools(n) {
		if defined && r.err == nil {
			crc := r.uint32()
			out[i] = &crc
		}
	}
	return out
}

func (r *sevenReader) expect(id byte) {
	if r.byte() != id {
		r.fail(errSevenHeader)
	}
}

// parseSevenHeader reads "Header", behind its first byte.
func parseSevenHeader(b []byte) (*sevenHeader, error) {
	r := &sevenReader{b: b}
	h := &sevenHeader{}
	for r.err == nil {
		switch id := r.byte(); id {
		case sevenEnd:
			return h, r.err
		case sevenArchiveProps:
			for r.byte() != sevenEnd {
				r.take(r.number())
			}
		case sevenAdditional:
			(&sevenHeader{}).readStreams(r)
		case sevenMainStreams:
			h.readStreams(r)
		case sevenFilesInfo:
			h.readFiles(r)
		default:
			r.fail(errSevenHeader)
		}
	}
	return h, r.err
}

// readStreams reads "Streams Info".
func (h *sevenHeader) readStreams(r *sevenReader) {
	var packed []int64
	var at int64
	for r.err == nil {
		switch r.byte() {
		case sevenPackInfo:
			at, packed = readSevenPack(r)
		case sevenUnpackInfo:
			h.readFolders(r)
			h.wholeFolders()
		case sevenSubStreams:
			h.readSubStreams(r)
		case sevenEnd:
			h.placePacked(r, at, packed)
			return
		default:
			r.fail(errSevenHeader)
		}
	}
}

// readSevenPack reads "Pack Info": where the packed streams begin, behind the
// signature header, and how long they are.
func readSevenPack(r *sevenReader) (at int64, sizes []int64) {
	at = r.size()
	n := r.count()
	for r.err == nil {
		switch r.byte() {
		case sevenEnd:
			return at, sizes
		case sevenSize:
			sizes = make([]int64, n)
			for i := range sizes {
				sizes[i] = r.size()
			}
		case sevenCRC:
			r.digests(n)
		default:
			r.fail(errSevenHeader)
		}
	}
	return at, nil
}

// readFolders reads "Coders Info".
func (h *sevenHeader) readFolders(r *sevenReader) {
	r.expect(sevenFolderID)
	n := r.count()
	if r.byte() != 0 { // External: a stream of its own, which nothing writes
		r.fail(unsupported("7z: folders in an external stream"))
	}
	if n > maxSevenFiles {
		r.fail(errSevenLarge)
	}
	h.folders = nil
	for range n {
		if r.err != nil {
			return
		}
		h.folders = append(h.folders, readSevenFolder(r))
	}
	r.expect(sevenCodersUnpackSize)
	for _, f := range h.folders {
		for i := range f.sizes {
			f.sizes[i] = r.size()
		}
	}
	for r.err == nil {
		switch r.byte() {
		case sevenEnd:
			return
		case sevenCRC:
			for i, crc := range r.digests(len(h.folders)) {
				h.folders[i].crc = crc
			}
		default:
			r.fail(errSevenHeader)
		}
	}
}

// readSevenFolder reads "Folder".
func readSevenFolder(r *sevenReader) *sevenFolder {
	f := &sevenFolder{}
	coders := r.count()
	if coders == 0 || coders > maxSevenCoders {
		r.fail(errSevenHeader)
		return f
	}
	ins, outs := 0, 0
	for range coders {
		c := readSevenCoder(r)
		ins, outs = ins+c.in, outs+c.out
		f.coders = append(f.coders, c)
	}
	if outs != coders || ins < outs || ins > maxSevenCoders { // one output each, as all coders that are read have
		r.fail(errSevenHeader)
		return f
	}
	for range outs - 1 {
		f.bonds = append(f.bonds, [2]int{r.index(ins), r.index(outs)})
	}
	f.readPacked(r, ins)
	f.sizes = make([]int64, outs)
	return f
}

func (r *sevenReader) index(below int) int {
	n := r.number()
	if n >= uint64(below) {
		r.fail(errSevenHeader)
		return 0
	}
	return int(n)
}

func (f *sevenFolder) readPacked(r *sevenReader, ins int) {
	n := ins - len(f.bonds)
	if n > 1 {
		for range n {
			f.packed = append(f.packed, r.index(ins))
		}
		return
	}
	for i := range ins {
		if !f.bound(i) {
			f.packed = []int{i}
			return
		}
	}
	r.fail(errSevenHeader)
}

func (f *sevenFolder) bound(in int) bool {
	for _, b := range f.bonds {
		if b[0] == in {
			return true
		}
	}
	return false
}

func readSevenCoder(r *sevenReader) (c sevenCoder) {
	flags := r.byte()
	const complex, hasProperties, reserved = 0x10, 0x20, 0xc0
	if flags&reserved != 0 {
		r.fail(errSevenHeader)
	}
	c.id = string(r.take(uint64(flags & 15)))
	c.in, c.out = 1, 1
	if flags&complex != 0 {
		c.in, c.out = r.index(maxSevenCoders), r.index(maxSevenCoders)
	}
	if flags&hasProperties != 0 {
		c.properties = bytes.Clone(r.take(r.number()))
	}
	return c
}

// wholeFolders gives each folder the one stream it has where nothing says
// otherwise.
func (h *sevenHeader) wholeFolders() {
	h.streams = nil
	for _, f := range h.folders {
		h.streams = append(h.streams, sevenStream{folder: f, size: f.size(), crc: f.crc})
	}
}

// readSubStreams reads "SubStreams Info".
func (h *sevenHeader) readSubStreams(r *sevenReader) {
	counts := make([]int, len(h.folders))
	total := 0
	id := r.byte()
	for i := range counts {
		counts[i] = 1
		if id == sevenNumUnpackStream {
			counts[i] = r.index(maxSevenFiles + 1)
		}
		if total += counts[i]; total > maxSevenFiles {
			r.fail(errSevenLarge)
			return
		}
	}
	if id == sevenNumUnpackStream {
		id = r.byte()
	}
	h.splitFolders(r, counts, id == sevenSize)
	if id == sevenSize {
		id = r.byte()
	}
	if id == sevenCRC {
		h.subDigests(r, counts)
		id = r.byte()
	}
	if id != sevenEnd {
		r.fail(errSevenHeader)
	}
}

// splitFolders cuts the folders into streams: the last has what the others left.
func (h *sevenHeader) splitFolders(r *sevenReader, counts []int, sizes bool) {
	h.streams = nil
	for i, f := range h.folders {
		var at int64
		for j := range counts[i] {
			size := f.size() - at
			if j < counts[i]-1 {
				if !sizes {
					r.fail(errSevenHeader)
				}
				size = r.size()
			}
			if r.err != nil || size < 0 || size > f.size()-at {
				r.fail(errSevenHeader)
				return
			}
			h.streams = append(h.streams, sevenStream{folder: f, offset: at, size: size})
			at += size
		}
	}
}

// subDigests reads the CRCs of the streams that do not have their folder's.
func (h *sevenHeader) subDigests(r *sevenReader, counts []int) {
	var open []*sevenStream
	next := 0
	for i, f := range h.folders {
		for range counts[i] {
			if next >= len(h.streams) {
				return
			}
			s := &h.streams[next]
			next++
			if counts[i] == 1 && f.crc != nil {
				s.crc = f.crc
				continue
			}
			open = append(open, s)
		}
	}
	for i, crc := range r.digests(len(open)) {
		open[i].crc = crc
	}
}

// placePacked hands the packed streams to the folders in their order.
func (h *sevenHeader) placePacked(r *sevenReader, at int64, sizes []int64) {
	if r.err != nil {
		return
	}
	for _, f := range h.folders {
		n := len(f.packed)
		if n > len(sizes) {
			r.fail(errSevenHeader)
			return
		}
		f.packedAt, f.packedSizes = at, sizes[:n]
		for _, size := range f.packedSizes {
			if at += size; at < 0 || at > 1<<62 {
				r.fail(errSevenHeader)
				return
			}
		}
		sizes = sizes[n:]
	}
}

// readFiles reads "Files Info".
func (h *sevenHeader) readFiles(r *sevenReader) {
	n := r.number()
	if n > maxSevenFiles {
		r.fail(errSevenLarge)
		return
	}
	if n > uint64(len(r.b)) && n > uint64(len(h.streams)) {
		r.fail(errSevenHeader)
		return
	}
	h.files = make([]sevenFile, n)
	for r.err == nil {
		id := r.number()
		if id == sevenEnd {
			return
		}
		p := &sevenReader{b: r.take(r.number())}
		if h.readProperty(p, id); p.err != nil {
			r.fail(p.err)
		}
	}
}

func (h *sevenHeader) readProperty(p *sevenReader, id uint64) {
	switch id {
	case sevenEmptyStream:
		for i, empty := range p.bools(len(h.files)) {
			h.files[i].empty = empty
		}
	case sevenEmptyFile:
		h.markEmpty(p, func(f *sevenFile) { f.emptyFile = true })
	case sevenAnti:
		h.markEmpty(p, func(f *sevenFile) { f.anti = true })
	case sevenNames:
		p.external()
		h.readNames(p)
	case sevenCTime:
		h.readFields(p, 8, func(f *sevenFile, b []byte) { f.created = b })
	case sevenATime:
		h.readFields(p, 8, func(f *sevenFile, b []byte) { f.accessed = b })
	case sevenMTime:
		h.readFields(p, 8, func(f *sevenFile, b []byte) { f.modified = b })
	case sevenAttributes:
		h.readFields(p, 4, func(f *sevenFile, b []byte) { f.attributes = binary.LittleEndian.Uint32(b) })
	} // what else there is (start positions, dummies) says nothing of content
}

// markEmpty reads a bit for each file that has no stream.
func (h *sevenHeader) markEmpty(p *sevenReader, mark func(*sevenFile)) {
	var empty []*sevenFile
	for i := range h.files {
		if h.files[i].empty {
			empty = append(empty, &h.files[i])
		}
	}
	for i, set := range p.bools(len(empty)) {
		if set {
			mark(empty[i])
		}
	}
}

func (p *sevenReader) external() {
	if p.byte() != 0 {
		p.fail(unsupported("7z: file properties in an external stream"))
	}
}

func (h *sevenHeader) readNames(p *sevenReader) {
	for i := range h.files {
		end := 0
		for end+1 < len(p.b) && (p.b[end] != 0 || p.b[end+1] != 0) {
			end += 2
		}
		h.files[i].name = p.take(uint64(end))
		if p.take(2); p.err != nil {
			return
		}
	}
}

func (h *sevenHeader) readFields(p *sevenReader, width uint64, set func(*sevenFile, []byte)) {
	defined := p.optionalBools(len(h.files))
	p.external()
	for i := range h.files {
		if !defined[i] {
			continue
		}
		b := p.take(width)
		if b == nil {
			return
		}
		set(&h.files[i], b)
	}
}

// parseSevenStreams reads the streams that an encoded header is packed in: one
// folder.
func parseSevenStreams(b []byte) (*sevenFolder, error) {
	r := &sevenReader{b: b}
	h := &sevenHeader{}
	h.readStreams(r)
	switch {
	case r.err != nil:
		return nil, r.err
	case len(h.folders) != 1:
		return nil, fmt.Errorf("%w: it is packed in %d folders", errSevenHeader, len(h.folders))
	case h.folders[0].size() > maxSevenHeader:
		return nil, errSevenLarge
	}
	return h.folders[0], nil
}
