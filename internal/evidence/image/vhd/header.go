package vhd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/url"
	"strings"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// Disk types (VHD, "Hard Disk Footer Format").
const (
	fixed        = 2
	dynamic      = 3
	differencing = 4
)

const (
	footerBytes = 512
	headerBytes = 1024
	headerMagic = "cxsparse"
)

// sum is the ones' complement of the sum of all bytes but the four of the
// checksum itself.
func sum(b []byte, at int) uint32 {
	var s uint32
	for i, c := range b {
		if i < at || i >= at+4 {
			s += uint32(c)
		}
	}
	return ^s
}

// footer is the structure that ends every VHD and, as a copy, begins all but
// fixed ones.
type footer []byte

func (f footer) dataOffset() int64 { return int64(binary.BigEndian.Uint64(f[16:])) }
func (f footer) size() int64       { return int64(binary.BigEndian.Uint64(f[48:])) }
func (f footer) kind() uint32      { return binary.BigEndian.Uint32(f[60:]) }
func (f footer) id() uniqueID      { return uniqueID(f[68:84]) }

func (f footer) sparse() bool { return f.kind() == dynamic || f.kind() == differencing }

// valid reports whether the bytes are a footer that holds together.
func (f footer) valid() bool {
	return f.named() && sum(f, 64) == binary.BigEndian.Uint32(f[64:]) && f[8] == 0 && binary.BigEndian.Uint32(f[12:])>>16 == 1
}

func (f footer) named() bool { return string(f[:8]) == "conectix" }

// leads reports whether a footer points to a header: it counts where the copy at
// the beginning cannot be read.
func (f footer) leads(src evidence.Source) bool {
	b, err := virtual.Read(src, f.dataOffset(), 8)
	return err == nil && string(b) == headerMagic
}

// readFooter reads what would be a footer; zeros where there is nothing. One of
// 511 bytes lacks a byte that is always 0.
func readFooter(src evidence.Source, at int64, length int) footer {
	f := make(footer, footerBytes)
	if at >= 0 && at <= src.Size()-int64(length) {
		src.ReadAt(f[:length], at)
	}
	return f
}

// findFooter finds the footer that counts: the one at the end or, where that is
// bad, the copy at the beginning. Where no checksum matches, two that are the
// same are believed: tools that edit images forget it.
func findFooter(src evidence.Source, files *virtual.Files) (footer, error) {
	copied := readFooter(src, 0, footerBytes)
	for _, length := range []int{footerBytes, footerBytes - 1} {
		at := src.Size() - int64(length)
		f := readFooter(src, at, length)
		switch {
		case !f.valid():
		case f.kind() == fixed && f.size() == at, f.sparse() && (copied.named() || f.leads(src)):
			return f, nil
		}
	}
	switch {
	case copied.valid() && copied.sparse():
		files.Note(tutela.FindingBackupTable, "vhd: the footer at the end is bad or missing: its copy at the beginning was used")
		return copied, nil
	case copied.named() && copied.sparse() && bytes.Equal(copied, readFooter(src, src.Size()-footerBytes, footerBytes)):
		files.Note(tutela.FindingDamaged, "vhd: the checksum of the footer does not match; its copy says the same")
		return copied, nil
	case copied.named() && copied.sparse():
		return nil, errors.New("vhd: neither the footer nor its copy holds together")
	}
	return nil, evidence.ErrNotThis
}

// header is the structure that dynamic and differencing disks have (VHD,
// "Dynamic Disk Header Format").
type header []byte

func (h header) tableOffset() int64 { return int64(binary.BigEndian.Uint64(h[16:])) }
func (h header) entries() int64     { return int64(binary.BigEndian.Uint32(h[28:])) }
func (h header) blockSize() int64   { return int64(binary.BigEndian.Uint32(h[32:])) }
func (h header) parentID() uniqueID { return uniqueID(h[40:56]) }

// parentNames are the names under which the parent may lie, without doubles:
// the relative and the absolute ones, and that of the header itself.
func (h header) parentNames(src evidence.Source) []string {
	var names []string
	seen := map[string]bool{"": true}
	add := func(name string) {
		if base := virtual.Base(name); !seen[base] {
			seen[base] = true
			names = append(names, base)
		}
	}
	for i := range 8 {
		add(h.locator(src, h[576+24*i:][:24]))
	}
	units := make([]uint16, 256)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(h[64+2*i:])
	}
	add(virtual.UTF16(units))
	return names
}

const maxLocator = 64 << 10 // bytes; Windows paths end at 32767 units

// locator reads one parent locator; "" where it is not of a kind that is known
// or cannot be read, since there are others.
func (h header) locator(src evidence.Source, e []byte) string {
	code, length, at := string(e[:4]), binary.BigEndian.Uint32(e[8:]), int64(binary.BigEndian.Uint64(e[16:]))
	if length == 0 || length > maxLocator {
		return ""
	}
	b, err := virtual.Read(src, at, int(length))
	if err != nil {
		return ""
	}
	switch code {
	case "W2ru", "W2ku":
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
		return virtual.UTF16(units)
	case "Wi2r", "Wi2k":
		return strings.TrimRight(string(b), "\x00")
	case "MacX": // a file URL
		name := strings.TrimRight(string(b), "\x00")
		if plain, err := url.PathUnescape(name); err == nil {
			return plain
		}
		return name
	}
	return ""
}
