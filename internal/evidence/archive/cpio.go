package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"tutela"
)

// cpio has four forms (cpio(5) of FreeBSD, "initramfs buffer format" of the
// Linux kernel documentation): old binary in either byte order, POSIX "odc" in
// octal digits, and "newc" in hexadecimal digits, with a sum of the bytes or
// without.

// cpioHeader is a member as its header tells.
type cpioHeader struct {
	inode, mode, links uint32
	modified           int64
	name               []byte
	data, size, next   int64 // bytes
	sum                *uint32
}

// isBinaryCpio asks for more than the magic of two bytes: a name of a sane
// length that ends in a zero.
func isBinaryCpio(head []byte) bool {
	order := cpioOrder(head)
	if order == nil || len(head) < 26 {
		return false
	}
	name := int(order.Uint16(head[20:]))
	return name > 1 && 26+name <= len(head) && head[26+name-1] == 0 && bytes.IndexByte(head[26:26+name], 0) == name-1
}

func cpioOrder(head []byte) binary.ByteOrder {
	switch {
	case len(head) < 2:
		return nil
	case binary.LittleEndian.Uint16(head) == 0o70707:
		return binary.LittleEndian
	case binary.BigEndian.Uint16(head) == 0o70707:
		return binary.BigEndian
	}
	return nil
}

// cpio lists the archive, and those that follow it, as in a kernel's initial
// file system.
func (l *listing) cpio([]byte) error {
	for at := int64(0); at < l.size; {
		h, err := l.readCpio(at)
		if err != nil {
			l.find(fail(err).Code, "cpio: at byte %d: %v", at, err)
			return nil
		}
		at = h.next
		if string(h.name) == "TRAILER!!!" {
			more := false
			if at, more = l.nextCpio(at); !more {
				return nil
			}
			continue
		}
		if err := l.cpioMember(h); err != nil {
			return err
		}
	}
	l.find(tutela.FindingTruncated, "cpio: the end mark is missing")
	return nil
}

// nextCpio looks behind an end mark for another archive.
func (l *listing) nextCpio(at int64) (next int64, more bool) {
	at, b := l.skipZeros(at)
	if len(b) == 0 {
		return at, false
	}
	if len(b) >= 6 && string(b[:5]) == "07070" || isBinaryCpio(b) {
		return at, true
	}
	l.find(tutela.FindingDamaged, "cpio: other bytes follow the archive at byte %d", at)
	return at, false
}

// skipZeros finds the first byte that is not zero, and what begins there.
func (l *listing) skipZeros(at int64) (int64, []byte) {
	buf := make([]byte, 32<<10)
	for at < l.size && l.ctx.Err() == nil {
		n, err := l.content.ReadAt(buf[:min(int64(len(buf)), l.size-at)], at)
		if rest := bytes.TrimLeft(buf[:n], "\x00"); len(rest) > 0 {
			at += int64(n - len(rest))
			m, _ := l.content.ReadAt(buf[:min(HeadBytes, l.size-at)], at)
			return at, buf[:m]
		}
		if at += int64(n); n == 0 || (err != nil && err != io.EOF) {
			break
		}
	}
	return at, nil
}

var errCpioHeader = errors.New("no header where one belongs")

func (l *listing) readCpio(at int64) (*cpioHeader, error) {
	var b [110]byte
	n, _ := l.content.ReadAt(b[:min(int64(len(b)), l.size-at)], at)
	head := b[:n]
	switch {
	case bytes.HasPrefix(head, []byte("070707")):
		return l.readOdc(head, at)
	case bytes.HasPrefix(head, []byte("070701")), bytes.HasPrefix(head, []byte("070702")):
		return l.readNewc(head, at)
	case cpioOrder(head) != nil:
		return l.readBinaryCpio(head, at)
	case n < 6:
		return nil, io.ErrUnexpectedEOF
	}
	return nil, errCpioHeader
}

// cpioNumbers reads fields of digits.
func cpioNumbers(b []byte, base int, widths ...int) (numbers []uint64, err error) {
	for _, width := range widths {
		if len(b) < width {
			return nil, io.ErrUnexpectedEOF
		}
		n, err := strconv.ParseUint(string(b[:width]), base, 63)
		if err != nil {
			return nil, errCpioHeader
		}
		numbers, b = append(numbers, n), b[width:]
	}
	return numbers, nil
}

func (l *listing) readOdc(head []byte, at int64) (*cpioHeader, error) {
	// magic, dev, ino, mode, uid, gid, nlink, rdev, mtime, namesize, filesize
	f, err := cpioNumbers(head, 8, 6, 6, 6, 6, 6, 6, 6, 6, 11, 6, 11)
	if err != nil {
		return nil, err
	}
	h := &cpioHeader{inode: uint32(f[2]), mode: uint32(f[3]), links: uint32(f[6]), modified: int64(f[8]), size: int64(f[10])}
	return h, l.placeCpio(h, at, 76, int64(f[9]), 1)
}

func (l *listing) readNewc(head []byte, at int64) (*cpioHeader, error) {
	// ino, mode, uid, gid, nlink, mtime, filesize, devices, namesize, check
	f, err := cpioNumbers(head[6:], 16, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8)
	if err != nil {
		return nil, err
	}
	h := &cpioHeader{inode: uint32(f[0]), mode: uint32(f[1]), links: uint32(f[4]), modified: int64(f[5]), size: int64(f[6])}
	if head[5] == '2' {
		sum := uint32(f[12])
		h.sum = &sum
	}
	return h, l.placeCpio(h, at, 110, int64(f[11]), 4)
}

func (l *listing) readBinaryCpio(head []byte, at int64) (*cpioHeader, error) {
	if len(head) < 26 {
		return nil, io.ErrUnexpectedEOF
	}
	order := cpioOrder(head)
	u16 := func(at int) uint32 { return uint32(order.Uint16(head[at:])) }
	u32 := func(at int) int64 { return int64(u16(at))<<16 | int64(u16(at+2)) } // the high half first, whatever the order
	h := &cpioHeader{inode: u16(4), mode: u16(6), links: u16(12), modified: u32(16), size: u32(22)}
	return h, l.placeCpio(h, at, 26, int64(u16(20)), 2)
}

// placeCpio reads the name behind the header and says where the data are, with
// both padded to a multiple.
func (l *listing) placeCpio(h *cpioHeader, at, header, name, multiple int64) error {
	if name > l.size-at {
		return io.ErrUnexpectedEOF
	}
	if name < 1 || name > maxCpioName {
		return errCpioHeader
	}
	raw := make([]byte, name)
	if n, err := l.content.ReadAt(raw, at+header); n < len(raw) {
		return whole(err)
	}
	h.name, _, _ = bytes.Cut(raw, []byte{0})
	h.data = at + roundUp(header+name, multiple)
	h.next = h.data + roundUp(h.size, multiple)
	return nil
}

const maxCpioName = 1 << 16 // bytes

func roundUp(n, multiple int64) int64 { return (n + multiple - 1) / multiple * multiple }

func (l *listing) cpioMember(h *cpioHeader) error {
	if err := l.next(); err != nil {
		return err
	}
	if h.mode&0o170000 == 0o040000 {
		return nil
	}
	m := &member{name: h.name, at: h.data, kind: tutela.File, size: h.size}
	if h.modified > 0 {
		m.times.Modified = time.Unix(h.modified, 0).UTC()
	}
	l.inPlace(m, h.data)
	if h.sum != nil {
		open, sum := m.open, *h.sum
		m.random = nil // read in place, nobody would check it
		m.open = func() (io.ReadCloser, error) {
			src, err := open()
			return &cpioSummed{ReadCloser: src, want: sum}, err
		}
	}
	if h.links > 1 && h.size == 0 && unixKind(h.mode) == tutela.File {
		m.find(tutela.FindingSpecial, "hard link: the content stands under another name of inode %d", h.inode)
	}
	l.special(m, unixKind(h.mode))
	return l.member(m)
}

// cpioSummed fails at the end of a content whose bytes do not add up.
type cpioSummed struct {
	io.ReadCloser
	sum, want uint32
}

func (c *cpioSummed) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	for _, b := range p[:n] {
		c.sum += uint32(b)
	}
	if err == io.EOF && c.sum != c.want {
		err = fmt.Errorf("cpio: the bytes add up to %08x, the header tells %08x", c.sum, c.want)
	}
	return n, err
}
