package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"tutela"
)

const sevenSignature = 32 // bytes of a signature header

// maxRounds bounds the rounds of key derivation for one root file. 7-Zip takes
// 2^19 for each key.
const maxRounds = 1 << 27

// sevenZip lists a 7z file. Each folder is decoded once, as its members come.
func (l *listing) sevenZip([]byte) error {
	h, unlocked, err := l.readSevenHeader()
	if err != nil {
		why := fail(err)
		l.find(why.Code, "%v", why)
		return nil
	}
	if unlocked >= 0 {
		l.find(tutela.FindingUnlocked, "the list of members was opened with the examiner's passphrase number %d", unlocked+1)
	}
	return l.sevenFiles(h)
}

// readSevenHeader reads the signature header and the header it points to,
// unpacking that if need be. unlocked is the number of the passphrase it took,
// -1 for none.
func (l *listing) readSevenHeader() (h *sevenHeader, unlocked int, err error) {
	raw, err := l.sevenHeaderBytes()
	unlocked = -1
	for range 4 { // headers packed in headers packed in headers: once is usual
		switch {
		case err != nil:
			return nil, -1, err
		case len(raw) == 0:
			return &sevenHeader{}, unlocked, nil
		case raw[0] == sevenHeaderID:
			h, err := parseSevenHeader(raw[1:])
			return h, unlocked, err
		case raw[0] != sevenEncodedHeader:
			return nil, -1, errSevenHeader
		}
		raw, unlocked, err = l.unpackSevenHeader(raw[1:], unlocked)
	}
	return nil, -1, errSevenHeader
}

func (l *listing) sevenHeaderBytes() ([]byte, error) {
	var s [sevenSignature]byte
	if n, err := l.content.ReadAt(s[:], 0); n < len(s) {
		return nil, fmt.Errorf("7z: signature header: %w", whole(err))
	}
	offset, size := binary.LittleEndian.Uint64(s[12:]), binary.LittleEndian.Uint64(s[20:])
	held := uint64(l.size - sevenSignature)
	switch {
	case crc32.ChecksumIEEE(s[12:]) != binary.LittleEndian.Uint32(s[8:]):
		return nil, errors.New("7z: the start header's crc-32 does not hold")
	case size == 0 && held > 0:
		return nil, errors.New("7z: there is no list of members: the archive was not finished")
	case size == 0:
		return nil, nil
	case offset > held || size > held-offset:
		return nil, fmt.Errorf("7z: the list of members lies behind the end of this file: it continues in another volume, or was cut off: %w", io.ErrUnexpectedEOF)
	case size > maxSevenHeader:
		return nil, errSevenLarge
	}
	raw := make([]byte, size)
	if n, err := l.content.ReadAt(raw, int64(offset)+sevenSignature); n < len(raw) {
		return nil, fmt.Errorf("7z: header: %w", whole(err))
	}
	if crc32.ChecksumIEEE(raw) != binary.LittleEndian.Uint32(s[28:]) {
		return nil, errors.New("7z: the header's crc-32 does not hold")
	}
	return raw, nil
}

func (l *listing) unpackSevenHeader(b []byte, unlocked int) ([]byte, int, error) {
	f, err := parseSevenStreams(b)
	if err == nil {
		err = f.check(l.size - sevenSignature)
	}
	if err != nil {
		return nil, -1, err
	}
	if !f.encrypted() {
		raw, err := l.readSevenFolder(f, "")
		return raw, unlocked, err
	}
	if f.crc == nil {
		return nil, -1, errUnprovable
	}
	var raw []byte
	_, number := l.unlock(func(passphrase string) error {
		if err := l.derive(f.rounds()); err != nil {
			return err
		}
		raw, err = l.readSevenFolder(f, passphrase)
		return err
	})
	if number < 0 {
		return nil, -1, l.locked("7z")
	}
	return raw, number, nil
}

// errUnprovable is why something encrypted stays closed, whatever passphrases
// there are: what a wrong one gives could be taken for content.
var errUnprovable = &Error{tutela.FindingEncrypted, errors.New("7z: encrypted, and without a checksum nothing tells whether a passphrase fits")}

// readSevenFolder is all that comes out of a folder of bounded size.
func (l *listing) readSevenFolder(f *sevenFolder, passphrase string) ([]byte, error) {
	src, err := f.open(l.content, l.size, passphrase)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	// Whatever the size claims, memory grows with what comes out.
	return io.ReadAll(&checked{ReadCloser: guarded{src}, format: "7z", size: f.size(), crc: f.crc})
}

// derive counts rounds of key derivation before they are done.
func (r *root) derive(rounds int64) error {
	if r.derived += rounds; r.derived > maxRounds {
		return &Error{tutela.FindingLimit, errors.New("7z: more rounds of key derivation than are done for one file")}
	}
	return nil
}

func (l *listing) sevenFiles(h *sevenHeader) error {
	next := 0
	var open *sevenOpen
	defer func() { open.close() }()
	for i := range h.files {
		f := &h.files[i]
		if err := l.next(); err != nil {
			return err
		}
		if f.empty && !f.emptyFile && !f.anti {
			continue // a directory
		}
		m := f.member(sevenSignature)
		if !f.empty {
			if next == len(h.streams) {
				l.find(tutela.FindingDamaged, "7z: %d files and %d contents", len(h.files), len(h.streams))
				return nil
			}
			s := &h.streams[next]
			next++
			if open == nil || open.folder != s.folder {
				open.close()
				open = l.openSeven(s)
			}
			open.place(m, s)
		}
		l.sevenSpecial(f, m)
		if err := l.member(m); err != nil {
			return err
		}
	}
	if next < len(h.streams) {
		l.find(tutela.FindingDamaged, "7z: %d files and %d contents", len(h.files), len(h.streams))
	}
	return nil
}

func (f *sevenFile) member(at int64) *member {
	m := &member{name: wtf8(f.name), at: at, kind: tutela.File}
	for _, stamp := range []struct {
		raw []byte
		set func(b []byte)
	}{
		{f.created, func(b []byte) { m.times.Born = fileTime(b) }},
		{f.accessed, func(b []byte) { m.times.Accessed = fileTime(b) }},
		{f.modified, func(b []byte) { m.times.Modified = fileTime(b) }},
	} {
		if len(stamp.raw) == 8 {
			stamp.set(stamp.raw)
		}
	}
	if f.anti {
		m.find(tutela.FindingSpecial, "7z: marks a file that is to be deleted")
	} else if f.empty {
		m.open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(nil)), nil }
	}
	return m
}

// sevenSpecial turns a member that Unix marked as a link or device into one.
func (l *listing) sevenSpecial(f *sevenFile, m *member) {
	const unixExtension = 0x8000
	if f.attributes&unixExtension == 0 {
		return
	}
	l.special(m, unixKind(f.attributes>>16))
}

// sevenOpen is the folder whose members are being listed.
type sevenOpen struct {
	folder   *sevenFolder
	solid    *solid
	why      error // why nothing in it can be read
	unlocked int   // number of the passphrase, -1 for none
}

// openSeven prepares to decode the folder that begins with a stream.
func (l *listing) openSeven(first *sevenStream) *sevenOpen {
	f := first.folder
	o := &sevenOpen{folder: f, unlocked: -1, why: f.check(l.size - sevenSignature)}
	passphrase := ""
	switch {
	case o.why != nil || !f.encrypted():
	case first.crc == nil:
		o.why = errUnprovable
	default:
		passphrase, o.unlocked = l.unlock(func(p string) error {
			if err := l.derive(f.rounds()); err != nil {
				return err
			}
			return l.sevenFits(f, first, p)
		})
		if o.unlocked < 0 {
			o.why = l.locked("7z")
		}
	}
	o.solid = &solid{root: l.root, begin: func() (io.ReadCloser, error) { return f.open(l.content, l.size, passphrase) }}
	return o
}

// sevenFits decodes the first content of a folder to see whether a passphrase
// fits.
func (l *listing) sevenFits(f *sevenFolder, first *sevenStream, passphrase string) error {
	src, err := f.open(l.content, l.size, passphrase)
	if err != nil {
		return err
	}
	return l.fits(&checked{ReadCloser: part{io.LimitReader(guarded{src}, first.size), src}, format: "7z", size: first.size, crc: first.crc}, nil)
}

// part is a stretch of what it closes.
type part struct {
	io.Reader
	io.Closer
}

// place says where the content of a member is.
func (o *sevenOpen) place(m *member, s *sevenStream) {
	m.size, m.at = s.size, sevenSignature+o.folder.packedAt
	switch {
	case o.why != nil:
		m.refuse(fail(o.why))
		return
	case o.unlocked >= 0 && s.crc == nil:
		m.refuse(errUnprovable)
		return
	case o.unlocked >= 0:
		m.unlocked(o.unlocked)
	}
	m.open = func() (io.ReadCloser, error) {
		src, err := o.solid.part(s.offset, s.size)
		if err != nil {
			return nil, err
		}
		return &checked{ReadCloser: src, format: "7z", size: s.size, crc: s.crc}, nil
	}
}

func (o *sevenOpen) close() {
	if o != nil {
		o.solid.close()
	}
}
