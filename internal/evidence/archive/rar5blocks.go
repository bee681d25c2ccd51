package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"tutela"
)

// rar5 reads the blocks of RAR 5 ("RAR 5.0 archive format" of the technote).
type rar5 struct {
	content io.ReaderAt
	size    int64
}

const (
	rar5Main    = 1
	rar5File    = 2
	rar5Locked  = 4
	rar5End     = 5
	maxRAR5Head = 2 << 20 // bytes, as the technote says
)

// rar5Header is a block header, read up to what its type adds.
type rar5Header struct {
	kind, flags uint64
	data, end   int64
	body, extra fields
}

func (r *rar5) read(at int64) (h rar5Header, err error) {
	var fixed [7]byte // checksum, and a size of up to three bytes
	n, _ := r.content.ReadAt(fixed[:], at)
	if n == 0 {
		return h, io.EOF
	}
	size, width := binary.Uvarint(fixed[4:max(n, 4)])
	if width <= 0 || size == 0 || size > maxRAR5Head {
		return h, errRARHeader
	}
	raw := make([]byte, int(size)+width)
	if n, err := r.content.ReadAt(raw, at+4); n < len(raw) {
		return h, whole(err)
	}
	if crcOf(raw) != binary.LittleEndian.Uint32(fixed[:]) {
		return h, errors.New("the checksum of a header does not hold")
	}
	h.data = at + 4 + int64(len(raw))
	return h, h.parse(raw[width:])
}

func (h *rar5Header) parse(raw []byte) error {
	const hasExtra, hasData = 1, 2
	f := fields{b: raw}
	h.kind, h.flags = f.vint(), f.vint()
	var extra, data uint64
	if h.flags&hasExtra != 0 {
		extra = f.vint()
	}
	if h.flags&hasData != 0 {
		data = f.vint()
	}
	if f.bad || extra > uint64(len(f.b)) || data > 1<<62-uint64(h.data) {
		return errRARHeader
	}
	cut := uint64(len(f.b)) - extra
	h.body, h.extra = fields{b: f.b[:cut]}, fields{b: f.b[cut:]}
	h.end = h.data + int64(data)
	return nil
}

func (r *rar5) main() (next int64, solid bool, volume int, err error) {
	h, err := r.read(8)
	switch {
	case err != nil:
		return 0, false, 0, whole(err)
	case h.kind == rar5Locked:
		return 0, false, 0, &Error{tutela.FindingEncrypted, errors.New("the list of members is encrypted")}
	case h.kind != rar5Main:
		return 0, false, 0, errRARHeader
	}
	const numbered, isSolid = 2, 4
	flags := h.body.vint()
	if flags&numbered != 0 {
		volume = int(min(h.body.vint(), 1<<30))
	}
	return h.end, flags&isSolid != 0, volume, nil
}

func (r *rar5) head(solid bool) []byte {
	h := []byte{3, rar5Main, 0, 0}
	if solid {
		h[3] = 4
	}
	out := binary.LittleEndian.AppendUint32([]byte("Rar!\x1a\x07\x01\x00"), crcOf(h))
	return append(out, h...)
}

func (r *rar5) block(at int64) (b rarBlock, err error) {
	h, err := r.read(at)
	if err != nil {
		return b, err
	}
	b = rarBlock{at: at, data: h.data, end: h.end}
	switch h.kind {
	case rar5File:
		b.file, err = h.file()
	case rar5Locked:
		b.locked = true
	case rar5End:
		b.last, b.more = true, h.body.vint()&1 != 0
	}
	return b, err
}

func (h *rar5Header) file() (*rarFile, error) {
	const before, after = 0x08, 0x10
	const isDirectory, hasTime, hasCRC, sizeUnknown = 1, 2, 4, 8
	f := &rarFile{kind: tutela.File, before: h.flags&before != 0, after: h.flags&after != 0}
	flags, size, attributes := h.body.vint(), h.body.vint(), h.body.vint()
	f.directory = flags&isDirectory != 0
	if f.size = int64(size); flags&sizeUnknown != 0 || f.size < 0 {
		f.size = -1
	}
	if flags&hasTime != 0 {
		f.times.Modified = time.Unix(int64(h.body.uint32()), 0).UTC()
	}
	if flags&hasCRC != 0 {
		crc := h.body.uint32()
		f.crc = &crc
	}
	f.compression(h.body.vint())
	const unix = 1
	if h.body.vint() == unix {
		f.kind = unixKind(uint32(attributes))
	}
	f.name = bytes.Clone(h.body.take(h.body.vint()))
	if h.body.bad {
		return nil, errRARHeader
	}
	return f, f.extras(&h.extra)
}

func (f *rarFile) compression(v uint64) {
	version, method := v&0x3f, v>>7&7
	f.solid = v&0x40 != 0
	if method == 0 {
		return
	}
	f.dictionary = 128 << 10 << (v >> 10 & 31)
	if version == 1 {
		f.dictionary += f.dictionary / 32 * int64(v>>15&31)
	}
	if version > 1 {
		f.method = fmt.Sprintf("of version %d", version)
	}
}

// extras reads the records behind a file header that matter here.
func (f *rarFile) extras(e *fields) error {
	const encryption, timed, redirection = 1, 3, 5
	for len(e.b) > 0 {
		record := fields{b: e.take(e.vint())}
		if e.bad {
			return errRARHeader
		}
		switch record.vint() {
		case encryption:
			f.encrypted = true
		case timed:
			f.extraTimes(&record)
		case redirection:
			f.redirected(&record)
		}
	}
	return nil
}

// extraTimes reads a file time record: Unix seconds or FILETIMEs.
func (f *rarFile) extraTimes(r *fields) {
	flags := r.vint()
	for i, t := range []*time.Time{&f.times.Modified, &f.times.Born, &f.times.Accessed} {
		switch {
		case flags&(2<<i) == 0:
		case flags&1 != 0:
			*t = time.Unix(int64(r.uint32()), 0).UTC()
		default:
			if b := r.take(8); b != nil {
				*t = fileTime(b)
			}
		}
	}
	if flags&0x11 != 0x11 {
		return
	}
	for i, t := range []*time.Time{&f.times.Modified, &f.times.Born, &f.times.Accessed} {
		if flags&(2<<i) != 0 {
			*t = t.Add(time.Duration(r.uint32() & 0x3fffffff))
		}
	}
}

// redirected reads a file system redirection record: links, and copies of other
// members.
func (f *rarFile) redirected(r *fields) {
	r.vint() // what kind of link
	r.vint() // whether it leads to a directory
	f.target, f.kind = bytes.Clone(r.take(r.vint())), tutela.Symlink
}
