package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
	"unicode/utf8"

	"tutela"
)

// Section numbers are those of APPNOTE.TXT 6.3.10 (PKWARE). archive/zip is not
// used: it holds the whole directory in memory, and refuses what can be saved.

// zipMember is one member, from its central header or, where there is no
// directory, from its local one.
type zipMember struct {
	name, extra   []byte
	flags, method uint16
	date, clock   uint16
	crc           uint32
	compressed    int64 // bytes; -1 if not told
	size          int64 // bytes; -1 if not told
	header        int64 // of the local header, from the beginning of the archive
	attributes    uint32
	unix          bool
	checkable     bool // crc and size are told
	noCRC         bool // the crc is not told, another check is
}

// Flags of a member (4.4.4).
const (
	zipEncrypted  = 1 << 0
	zipEndMark    = 1 << 1 // LZMA only: the stream ends itself
	zipDescriptor = 1 << 3 // sizes and CRC follow the data
	zipUTF8       = 1 << 11
)

const (
	zipLocalBytes   = 30 // 4.3.7
	zipCentralBytes = 46 // 4.3.12
	zipEndBytes     = 22 // 4.3.16
	zip64LocBytes   = 20 // 4.3.15
	zip64EndBytes   = 56 // 4.3.14
)

const (
	sigLocal   = "PK\x03\x04"
	sigCentral = "PK\x01\x02"
	sigEnd     = "PK\x05\x06"
	sig64Loc   = "PK\x06\x07"
	sig64End   = "PK\x06\x06"
	sigData    = "PK\x07\x08"
)

// zip lists by the central directory; what it does not reach is listed by the
// local headers behind the last member it named.
func (l *listing) zip([]byte) error {
	dir, err := findZipDirectory(l.content, l.size)
	if err != nil {
		l.find(tutela.FindingDamaged, "zip: %v; members are those whose local headers were found", err)
		return l.zipLocals(0, l.size)
	}
	if dir.base > 0 {
		l.find(tutela.FindingDamaged, "zip: the directory counts from byte %d; what lies before it is from local headers", dir.base)
		if err := l.zipLocals(0, dir.base); err != nil {
			return err
		}
	}
	l.zipKind(dir)
	l.lookAhead = l.lookThroughZip(dir)
	before := l.number
	reached, whole, err := l.zipCentral(dir)
	if err != nil || whole {
		return err
	}
	l.find(tutela.FindingDamaged, "zip: the directory announces %d members and breaks off after %d; the rest is from local headers", dir.count, l.number-before)
	return l.zipLocals(reached, l.size)
}

// zipDirectory says where the central directory lies, in bytes.
type zipDirectory struct {
	start, end int64
	base       int64 // bytes before the archive proper: another archive, a program
	count      uint64
}

var errNoDirectory = errors.New("no central directory")

func findZipDirectory(content io.ReaderAt, size int64) (dir zipDirectory, err error) {
	end, at, err := readZipEnd(content, size)
	if err != nil {
		return dir, err
	}
	dir.count = uint64(binary.LittleEndian.Uint16(end[10:]))
	bytesLong := uint64(binary.LittleEndian.Uint32(end[12:]))
	offset := uint64(binary.LittleEndian.Uint32(end[16:]))
	dir.end = at
	if end64, at64, ok := readZip64End(content, at); ok {
		dir.count = binary.LittleEndian.Uint64(end64[32:])
		bytesLong = binary.LittleEndian.Uint64(end64[40:])
		offset = binary.LittleEndian.Uint64(end64[48:])
		dir.end = at64
	}
	if bytesLong > uint64(dir.end) || offset > uint64(dir.end) {
		return dir, errNoDirectory
	}
	// An archive behind a program may count from its own beginning or from
	// the program's.
	for _, base := range []int64{0, dir.end - int64(bytesLong) - int64(offset)} {
		dir.base, dir.start = base, base+int64(offset)
		if dir.count == 0 || hasSignature(content, dir.start, sigCentral) {
			return dir, nil
		}
	}
	return dir, errNoDirectory
}

func hasSignature(content io.ReaderAt, at int64, signature string) bool {
	var b [4]byte
	if at < 0 {
		return false
	}
	n, _ := content.ReadAt(b[:], at)
	return string(b[:n]) == signature
}

// readZipEnd finds the end record: the last one whose comment fits.
func readZipEnd(content io.ReaderAt, size int64) (end []byte, at int64, err error) {
	tail := make([]byte, min(size, zipEndBytes+1<<16))
	n, err := content.ReadAt(tail, size-int64(len(tail)))
	if n < len(tail) {
		return nil, 0, err
	}
	for i := bytes.LastIndex(tail, []byte(sigEnd)); i >= 0; i = bytes.LastIndex(tail[:i], []byte(sigEnd)) {
		if rest := len(tail) - i - zipEndBytes; rest >= 0 && int(binary.LittleEndian.Uint16(tail[i+20:])) <= rest {
			return tail[i:], size - int64(len(tail)) + int64(i), nil
		}
	}
	return nil, 0, errNoDirectory
}

func readZip64End(content io.ReaderAt, end int64) (end64 []byte, at int64, ok bool) {
	var locator [zip64LocBytes]byte
	if end < zip64LocBytes || !hasSignature(content, end-zip64LocBytes, sig64Loc) {
		return nil, 0, false
	}
	if n, _ := content.ReadAt(locator[:], end-zip64LocBytes); n < len(locator) {
		return nil, 0, false
	}
	at = int64(binary.LittleEndian.Uint64(locator[8:]))
	if at < 0 || at > end-zip64LocBytes-zip64EndBytes {
		at = end - zip64LocBytes - zip64EndBytes // behind a program, offsets are off
	}
	end64 = make([]byte, zip64EndBytes)
	if n, _ := content.ReadAt(end64, max(at, 0)); n < len(end64) || string(end64[:4]) != sig64End {
		return nil, 0, false
	}
	return end64, at, true
}

// zipCentral visits what the central directory lists. reached is the end of the
// furthest member; whole is false where the directory breaks off.
func (l *listing) zipCentral(dir zipDirectory) (reached int64, whole bool, err error) {
	before := l.number
	r := bufio.NewReaderSize(io.NewSectionReader(l.content, dir.start, max(0, dir.end-dir.start)), 64<<10)
	for {
		m, err := readZipCentral(r)
		if err != nil {
			// Older writers keep the count modulo 65536 (4.4.22).
			return reached, uint16(l.number-before) == uint16(dir.count), nil
		}
		m.header += dir.base
		reached = max(reached, m.header+zipLocalBytes+int64(len(m.name))+max(0, m.compressed))
		if err := l.zipMember(m); err != nil {
			return reached, false, err
		}
	}
}

var errZipHeader = errors.New("no header where one belongs")

func readZipCentral(r io.Reader) (*zipMember, error) {
	var h [zipCentralBytes]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, err
	}
	if string(h[:4]) != sigCentral {
		return nil, errZipHeader
	}
	u16 := func(at int) uint16 { return binary.LittleEndian.Uint16(h[at:]) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(h[at:]) }
	rest := make([]byte, int(u16(28))+int(u16(30))+int(u16(32)))
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, err
	}
	m := &zipMember{
		unix: h[5] == 3, flags: u16(8), method: u16(10), clock: u16(12), date: u16(14), crc: u32(16),
		compressed: int64(u32(20)), size: int64(u32(24)), attributes: u32(38), header: int64(u32(42)),
		name: rest[:u16(28)], extra: rest[u16(28):][:u16(30)], checkable: true,
	}
	m.widen()
	return m, nil
}

// widen takes the fields that are all ones from the zip64 extra (4.5.3), where
// they stand in this order.
func (m *zipMember) widen() {
	wide := m.field(0x0001)
	for _, field := range []*int64{&m.size, &m.compressed, &m.header} {
		if *field != 0xffffffff || len(wide) < 8 {
			continue
		}
		*field = int64(min(binary.LittleEndian.Uint64(wide), 1<<62))
		wide = wide[8:]
	}
}

// field is the payload of an extra field (4.5.1), nil if there is none.
func (m *zipMember) field(id uint16) []byte {
	for extra := m.extra; len(extra) >= 4; {
		size := int(binary.LittleEndian.Uint16(extra[2:]))
		if 4+size > len(extra) {
			return nil
		}
		if binary.LittleEndian.Uint16(extra) == id {
			return extra[4:][:size]
		}
		extra = extra[4+size:]
	}
	return nil
}

// zipMember visits one member.
func (l *listing) zipMember(z *zipMember) error {
	if err := l.next(); err != nil {
		return err
	}
	if bytes.HasSuffix(z.name, []byte("/")) && z.size <= 0 {
		return nil
	}
	m := &member{name: z.name, at: z.header, kind: tutela.File, size: z.size, times: z.times()}
	z.checkName(m)
	l.zipContent(z, m)
	l.odfManifest(m)
	if z.unix {
		l.special(m, unixKind(z.attributes>>16))
	}
	return l.member(m)
}

// zipContent finds the member's data, or says why it cannot be read.
func (l *listing) zipContent(z *zipMember, m *member) {
	data, err := l.zipData(z, m)
	switch {
	case err != nil:
		m.refuse(fail(fmt.Errorf("zip: local header at byte %d: %w", z.header, err)))
		return
	case z.flags&zipEncrypted != 0:
		l.unlockZip(z, data, m)
		return
	case zipMethods[z.method] == nil:
		m.refuse(unsupported("zip: compression method %s", zipMethodName(z.method)))
		return
	}
	if z.method == methodStore && data.Size() == z.size {
		m.random = data
	}
	m.open = func() (io.ReadCloser, error) { return z.open(data) }
}

// zipData reads the local header, compares what must agree, and returns the
// compressed bytes as far as the archive holds them.
func (l *listing) zipData(z *zipMember, m *member) (*io.SectionReader, error) {
	var h [zipLocalBytes]byte
	if n, err := l.content.ReadAt(h[:], z.header); n < len(h) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if string(h[:4]) != sigLocal {
		return nil, errZipHeader
	}
	name := make([]byte, binary.LittleEndian.Uint16(h[26:]))
	if n, _ := l.content.ReadAt(name, z.header+zipLocalBytes); n == len(name) && !bytes.Equal(name, z.name) {
		m.find(tutela.FindingDamaged, "zip: the local header names it %s", tutela.DisplayPath(name))
	}
	at := z.header + zipLocalBytes + int64(len(name)) + int64(binary.LittleEndian.Uint16(h[28:]))
	held := max(0, l.size-at)
	if z.compressed > held {
		m.find(tutela.FindingTruncated, "zip: %d of %d compressed bytes are there", held, z.compressed)
	}
	if z.compressed >= 0 {
		held = min(held, z.compressed)
	}
	return io.NewSectionReader(l.content, at, held), nil
}

// checkName says where two names of one member disagree: the Unicode field
// (4.6.9) is for names that are not UTF-8 themselves, and holds the CRC of the
// name it was made for.
func (z *zipMember) checkName(m *member) {
	if z.flags&zipUTF8 != 0 && !utf8.Valid(z.name) {
		m.find(tutela.FindingDamaged, "zip: the name is marked as UTF-8 and is not")
	}
	unicode := z.field(0x7075)
	if len(unicode) < 5 || bytes.Equal(unicode[5:], z.name) {
		return
	}
	stale := binary.LittleEndian.Uint32(unicode[1:]) != crc32.ChecksumIEEE(z.name)
	if stale || utf8.Valid(z.name) {
		m.find(tutela.FindingDamaged, "zip: the Unicode name field names it %s", tutela.DisplayPath(unicode[5:]))
	}
}

// special turns a member that Unix marked as a link or device into one. What has
// content that no link or device has stays a file: zip marks what it read from a
// pipe as a pipe, and others may.
func (l *listing) special(m *member, kind tutela.EntryKind) {
	switch {
	case kind == tutela.File:
		return
	case kind == tutela.Symlink && m.size <= int64(l.limits.NameBytes):
		m.find(tutela.FindingSpecial, "symlink to %s", tutela.DisplayPath(l.linkTarget(m)))
	case m.size != 0:
		m.find(tutela.FindingSpecial, "marked as a %s, and has content", kind)
		return
	default:
		m.find(tutela.FindingSpecial, "%s", kind)
	}
	m.kind, m.open, m.random = kind, nil, nil
}

// linkTarget is what a link's content says, as far as it can be read.
func (l *listing) linkTarget(m *member) []byte {
	if m.open == nil {
		return nil
	}
	content, err := m.open()
	if err != nil {
		return nil
	}
	defer content.Close()
	target, _ := io.ReadAll(io.LimitReader(content, int64(l.limits.NameBytes)))
	return target
}

// unixKind reads the type bits of st_mode.
func unixKind(mode uint32) tutela.EntryKind {
	switch mode & 0o170000 {
	case 0o120000:
		return tutela.Symlink
	case 0o060000, 0o020000:
		return tutela.Device
	case 0o010000:
		return tutela.Pipe
	case 0o140000:
		return tutela.Socket
	}
	return tutela.File
}

// times prefers stamps with a zone: NTFS (4.5.5), then the extended time stamp
// of Info-ZIP, then the DOS time (4.4.6), which is local and taken as UTC.
func (z *zipMember) times() (t tutela.Times) {
	if ntfs := z.field(0x000a); len(ntfs) >= 32 && binary.LittleEndian.Uint16(ntfs[4:]) == 1 {
		t.Modified, t.Accessed, t.Born = fileTime(ntfs[8:]), fileTime(ntfs[16:]), fileTime(ntfs[24:])
		return t
	}
	if ext := z.field(0x5455); len(ext) >= 5 && ext[0]&1 != 0 {
		t.Modified = time.Unix(int64(int32(binary.LittleEndian.Uint32(ext[1:]))), 0).UTC()
		return t
	}
	t.Modified = dosTime(z.date, z.clock)
	return t
}

// fileTime counts 100 ns from 1601.
func fileTime(b []byte) time.Time {
	ticks := int64(binary.LittleEndian.Uint64(b))
	if ticks <= 0 {
		return time.Time{}
	}
	const unixEpoch = 11644473600 // seconds from 1601 to 1970
	t := time.Unix(ticks/1e7-unixEpoch, ticks%1e7*100).UTC()
	if t.Year() > 9999 {
		return time.Time{} // beyond what any format of the lab can write
	}
	return t
}

func dosTime(date, clock uint16) time.Time {
	month, day := time.Month(date>>5&15), int(date&31)
	if month < 1 || month > 12 || day < 1 {
		return time.Time{}
	}
	return time.Date(1980+int(date>>9), month, day, int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}
