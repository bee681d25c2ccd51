// Package bitlocker opens volumes that BitLocker has encrypted, with a recovery
// password, a password, or the key that lies in the clear while protection is
// suspended.
//
// Start with [Open]. It was written from the documentation of libbde ("BDE"
// below, with its section names) and Niels Ferguson's paper on the Elephant
// diffuser (2006).
//
// Read are the layouts of Windows Vista, of Windows 7 and later and BitLocker To
// Go, and AES in CBC mode with and without the diffuser and in XTS mode, each
// with 128 and 256 bits. A volume that was being encrypted or decrypted is read
// as far as it says how far that had come; the stretch that was being worked on
// is an error of the read.
//
// Promised: keys are proven by their message authentication code, so that a
// wrong password never gives bytes. Of the three copies of the metadata one
// whose checksum holds is used. What Windows shows in place of its metadata
// reads as zeros, as it does there.
//
// Not promised: startup keys, smart cards and TPM are named as what would open a
// volume, and not used. Encryption on write that has not ended (used space only)
// is refused by name. The layout of Vista was not held against a volume that
// Vista has made.
package bitlocker

import (
	"encoding/binary"
	"fmt"
	"io"

	"tutela/internal/evidence"
	"tutela/internal/evidence/unlock/sector"
)

// Opened is a volume that a key has opened.
type Opened struct {
	Source evidence.Source // what lies behind the encryption
	How    string          // which key opened which protector, never the key
	Notes  []string        // what must be said about the metadata
}

const format = "bitlocker"

// header is the first sector of the volume.
type header struct {
	sector int64    // bytes
	blocks [3]int64 // where the metadata lie, in bytes; only the first on Vista
	vista  bool
	onUse  bool // encrypted on write
	raw    []byte
}

var (
	identifier      = "\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01" // BDE "Overview"
	identifierOnUse = "\x3b\x4d\xa8\x92\x80\xdd\x0e\x4d\x9e\x4e\xb1\xe3\x28\x4e\xae\xd8" // used space only
)

// Open tries the keys on the volume. The error wraps evidence.ErrNotThis where
// it is not encrypted by BitLocker, is an *evidence.LockedError where no key
// opens it, and wraps evidence.ErrUnsupported where something in it is not read.
func Open(src evidence.Source, keys evidence.Keys) (*Opened, error) {
	return open(src, keys, stretchings)
}

func open(src evidence.Source, keys evidence.Keys, times int) (*Opened, error) {
	h, err := readHeader(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	m, err := readMetadata(src, h)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	layout, err := m.layout(src, h)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	key, how, err := m.unlock(keys, times)
	if err != nil {
		return nil, err
	}
	if layout.Cipher, err = m.cipher(key, h.sector); err != nil {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	view, err := sector.NewView(src, layout)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	return &Opened{Source: m.first(view, h), How: how, Notes: m.notes}, nil
}

// readHeader reads BDE "Volume header". All of it that three layouts have in
// common is that a FAT or NTFS boot sector stands around it.
func readHeader(src evidence.Source) (h header, err error) {
	b := make([]byte, 512)
	if n, err := src.ReadAt(b, 0); n < len(b) {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return h, evidence.ErrNotThis
		}
		return h, err
	}
	h = header{sector: int64(binary.LittleEndian.Uint16(b[11:])), raw: b}
	switch string(b[3:11]) {
	case "-FVE-FS-":
		if cluster := int64(binary.LittleEndian.Uint64(b[56:])); cluster > 0 && !isIdentifier(b[160:176]) {
			h.vista = true
			h.blocks[0] = cluster * int64(b[13]) * h.sector
			break
		}
		h.place(b[160:])
	case "MSWIN4.1": // to go
		if !isIdentifier(b[424:440]) {
			return h, evidence.ErrNotThis
		}
		h.place(b[424:])
	default:
		return h, evidence.ErrNotThis
	}
	if h.sector < sector.MinSize || h.sector > sector.MaxSize || h.sector&(h.sector-1) != 0 {
		return h, fmt.Errorf("sectors of %d bytes", h.sector)
	}
	return h, nil
}

func isIdentifier(b []byte) bool { return string(b) == identifier || string(b) == identifierOnUse }

// place reads an identifier and the three offsets behind it.
func (h *header) place(b []byte) {
	h.onUse = string(b[:16]) == identifierOnUse
	for i := range h.blocks {
		h.blocks[i] = int64(binary.LittleEndian.Uint64(b[16+8*i:]))
	}
}
