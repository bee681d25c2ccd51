package archive

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutela"
)

// Names are those of [MS-CAB], "Cabinet File Format".

const (
	cabHeader = 36 // CFHEADER without its optional parts, bytes
	cabFolder = 8  // CFFOLDER
	cabFile   = 16 // CFFILE, without its name
	cabData   = 8  // CFDATA
)

// Compression types (CFFOLDER.typeCompress).
const (
	cabStored  = 0
	cabMSZIP   = 1
	cabQuantum = 2
	cabLZX     = 3
)

// cab is a cabinet being listed.
type cab struct {
	*listing
	folders []*cabinetFolder
	reserve int64 // bytes of each CFDATA that are somebody else's
}

// cabinetFolder is a run of data blocks that decompresses to the contents of
// its files, one behind the other.
type cabinetFolder struct {
	cab    *cab
	start  int64 // of the first block
	blocks int
	method int
	solid  *solid
}

// cabinet lists a cabinet. Each folder is decoded once, as its members come.
func (l *listing) cabinet([]byte) error {
	h := make([]byte, cabHeader)
	if n, err := l.content.ReadAt(h, 0); n < len(h) {
		l.find(tutela.FindingTruncated, "cab: header: %v", whole(err))
		return nil
	}
	c := &cab{listing: l}
	flags := binary.LittleEndian.Uint16(h[30:])
	if err := c.readFolders(h, flags); err != nil {
		l.find(fail(err).Code, "cab: folders: %v", err)
		return nil
	}
	defer c.close()
	if flags&3 != 0 {
		l.find(tutela.FindingTruncated, "cab: one of a set: it continues in another cabinet")
	}
	return c.files(int64(binary.LittleEndian.Uint32(h[16:])), int(binary.LittleEndian.Uint16(h[28:])))
}

// readFolders reads the optional parts of the header and the folders behind
// them.
func (c *cab) readFolders(h []byte, flags uint16) error {
	const hasPrevious, hasNext, hasReserve = 1, 2, 4
	at, folderReserve := int64(cabHeader), int64(0)
	if flags&hasReserve != 0 {
		var r [4]byte
		if n, err := c.content.ReadAt(r[:], at); n < len(r) {
			return whole(err)
		}
		at += 4 + int64(binary.LittleEndian.Uint16(r[:]))
		folderReserve, c.reserve = int64(r[2]), int64(r[3])
	}
	for _, bit := range []uint16{hasPrevious, hasNext} {
		if flags&bit == 0 {
			continue
		}
		for range 2 { // szCabinet, szDisk
			name, err := c.text(at)
			if err != nil {
				return err
			}
			at += int64(len(name)) + 1
		}
	}
	for range binary.LittleEndian.Uint16(h[26:]) {
		var f [cabFolder]byte
		if n, err := c.content.ReadAt(f[:], at); n < len(f) {
			return whole(err)
		}
		at += cabFolder + folderReserve
		c.addFolder(f[:])
	}
	return nil
}

func (c *cab) addFolder(f []byte) {
	folder := &cabinetFolder{
		cab: c, start: int64(binary.LittleEndian.Uint32(f)), blocks: int(binary.LittleEndian.Uint16(f[4:])),
		method: int(binary.LittleEndian.Uint16(f[6:]) & 15),
	}
	folder.solid = &solid{root: c.root, begin: func() (io.ReadCloser, error) {
		return io.NopCloser(&cabReader{cabinetFolder: folder, at: folder.start}), nil
	}}
	c.folders = append(c.folders, folder)
}

// text reads a string that ends in a zero, of at most 255 bytes and it.
func (c *cab) text(at int64) ([]byte, error) {
	var b [257]byte
	n, _ := c.content.ReadAt(b[:], at)
	text, _, ended := bytes.Cut(b[:n], []byte{0})
	if !ended {
		return nil, errors.New("a name does not end")
	}
	return bytes.Clone(text), nil
}

func (c *cab) files(at int64, count int) error {
	var open *cabinetFolder
	for range count {
		if err := c.next(); err != nil {
			return err
		}
		f := make([]byte, cabFile)
		n, err := c.content.ReadAt(f, at)
		name, bad := c.text(at + cabFile)
		if n < len(f) || bad != nil {
			c.find(tutela.FindingDamaged, "cab: the file table breaks off at byte %d: %v", at, errors.Join(bad, whole(err)))
			return nil
		}
		m, folder := c.file(f, name, at)
		if open != nil && open != folder {
			open.solid.close()
		}
		open = folder
		if err := c.listing.member(m); err != nil {
			return err
		}
		at += cabFile + int64(len(name)) + 1
	}
	return nil
}

func (c *cab) file(f, name []byte, at int64) (*member, *cabinetFolder) {
	size, offset := int64(binary.LittleEndian.Uint32(f)), int64(binary.LittleEndian.Uint32(f[4:]))
	index := int(binary.LittleEndian.Uint16(f[8:]))
	m := &member{name: bytes.ReplaceAll(name, []byte{'\\'}, []byte{'/'}), at: at, kind: tutela.File, size: size}
	m.times.Modified = dosTime(binary.LittleEndian.Uint16(f[10:]), binary.LittleEndian.Uint16(f[12:]))
	const fromPrevious, toNext, both = 0xfffd, 0xfffe, 0xffff
	switch {
	case index == fromPrevious || index == both:
		m.refuse(&Error{tutela.FindingTruncated, errors.New("cab: the member begins in another cabinet")})
		return m, nil
	case index == toNext:
		m.refuse(&Error{tutela.FindingTruncated, errors.New("cab: the member continues in another cabinet")})
		return m, nil
	case index >= len(c.folders):
		m.refuse(&Error{tutela.FindingDamaged, fmt.Errorf("cab: folder %d of %d", index, len(c.folders))})
		return m, nil
	}
	folder := c.folders[index]
	if why := folder.unread(); why != nil {
		m.refuse(why)
		return m, folder
	}
	m.open = func() (io.ReadCloser, error) {
		src, err := folder.solid.part(offset, size)
		if err != nil {
			return nil, err
		}
		return &checked{ReadCloser: src, format: "cab", size: size}, nil
	}
	return m, folder
}

func (f *cabinetFolder) unread() *Error {
	switch f.method {
	case cabStored, cabMSZIP:
		return nil
	case cabQuantum:
		return unsupported("cab: quantum compression")
	case cabLZX:
		return unsupported("cab: lzx compression")
	}
	return unsupported("cab: compression %d", f.method)
}

func (c *cab) close() {
	for _, f := range c.folders {
		f.solid.close()
	}
}

// cabReader decodes a folder, block by block.
type cabReader struct {
	*cabinetFolder
	at     int64 // of the next block
	read   int   // blocks so far
	out    []byte
	window []byte // what MSZIP blocks refer back to, at most 32 KiB
}

const cabBlock = 32 << 10 // bytes that one block gives at most

func (r *cabReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.read == r.blocks {
			return 0, io.EOF
		}
		if err := r.block(); err != nil {
			return 0, err
		}
		r.read++
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// block reads one CFDATA and decodes it.
func (r *cabReader) block() error {
	var h [cabData]byte
	if n, err := r.cab.content.ReadAt(h[:], r.at); n < len(h) {
		return whole(err)
	}
	packed, plain := int64(binary.LittleEndian.Uint16(h[4:])), int(binary.LittleEndian.Uint16(h[6:]))
	// The checksum covers the two sizes, what is reserved and the data.
	raw := make([]byte, 4+r.cab.reserve+packed)
	if n, err := r.cab.content.ReadAt(raw, r.at+4); n < len(raw) {
		return whole(err)
	}
	if want := binary.LittleEndian.Uint32(h[:]); want != 0 && r.sum(raw) != want {
		return fmt.Errorf("cab: the checksum of the block at byte %d does not hold", r.at)
	}
	r.at += int64(cabData) + r.cab.reserve + packed
	data := raw[4+r.cab.reserve:]
	switch {
	case plain == 0:
		return fmt.Errorf("cab: a block continues in another cabinet: %w", io.ErrUnexpectedEOF)
	case plain > cabBlock:
		return fmt.Errorf("cab: a block of %d bytes", plain)
	}
	out, err := r.decode(data, plain)
	if err != nil {
		return err
	}
	if len(out) != plain {
		return fmt.Errorf("cab: a block gives %d bytes, its header tells %d", len(out), plain)
	}
	r.out, r.window = out, out
	return nil
}

func (r *cabReader) decode(data []byte, plain int) ([]byte, error) {
	if r.method == cabStored {
		return data, nil
	}
	deflated, signed := bytes.CutPrefix(data, []byte("CK"))
	if !signed {
		return nil, errors.New("cab: a block without the MSZIP signature")
	}
	z := flate.NewReaderDict(bytes.NewReader(deflated), r.window)
	out, err := io.ReadAll(io.LimitReader(z, int64(plain)+1))
	if err != nil {
		return nil, fmt.Errorf("cab: %w", err)
	}
	return out, nil
}

// sum is the checksum of "Checksum calculation": 32-bit words xored, the bytes
// that are left over in the opposite order. What comes first is the data, and
// the eight bytes behind the checksum last.
func (r *cabReader) sum(raw []byte) uint32 {
	split := 4 + r.cab.reserve
	return cabXOR(raw[:split], cabXOR(raw[split:], 0))
}

func cabXOR(b []byte, sum uint32) uint32 {
	for ; len(b) >= 4; b = b[4:] {
		sum ^= binary.LittleEndian.Uint32(b)
	}
	var last uint32
	for _, c := range b {
		last = last<<8 | uint32(c)
	}
	return sum ^ last
}
