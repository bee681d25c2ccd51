package image

import (
	"bytes"
	"encoding/binary"

	"tutela/internal/evidence"
)

// UnsupportedError is the error of Open for a container that was recognised and
// cannot be read. It wraps evidence.ErrUnsupported.
type UnsupportedError struct {
	Format string // "ewf (E01)", "qcow2" …
}

func (e *UnsupportedError) Error() string { return e.Format + ": no reader in this version" }
func (e *UnsupportedError) Unwrap() error { return evidence.ErrUnsupported }

// unwrap looks at what the files hold: a container is refused by name, the
// footer of a fixed VHD is taken off, everything else is raw.
func (img *Image) unwrap() error {
	if name := img.container(); name != "" {
		return &UnsupportedError{Format: name}
	}
	if img.footer().fixedFor(img.size) {
		img.size -= footerSize
		img.chain[0].Layer = "vhd-fixed"
	}
	return nil
}

// container names the format of an image that is not raw; "" if it is raw.
// A reader for one of these is tried before this table once it exists.
func (img *Image) container() string {
	for _, m := range magics() {
		if img.has(m.offset, m.magic) {
			return m.name
		}
	}
	if img.has(img.size-512, "koly") { // the "UDIF resource" trailer
		return "dmg"
	}
	if img.footer().sparse() {
		return "vhd"
	}
	return ""
}

type magic struct {
	name   string
	offset int64
	magic  string
}

func magics() []magic {
	return []magic{
		{"ewf (E01)", 0, "EVF\x09\x0d\x0a\xff\x00"},
		{"ewf (L01)", 0, "LVF\x09\x0d\x0a\xff\x00"},
		{"ewf (Ex01)", 0, "EVF2\x0d\x0a\x81\x00"},
		{"ewf (Lx01)", 0, "LEF2\x0d\x0a\x81\x00"},
		{"aff", 0, "AFF10\r\n\x00"},
		{"vmdk", 0, "KDMV"},
		{"vmdk", 0, "COWD"},
		{"vmdk", 0, "# Disk DescriptorFile"},
		{"vhd", 0, "conectix"}, // dynamic and differencing disks begin with a copy of their footer
		{"vhdx", 0, "vhdxfile"},
		{"qcow2", 0, "QFI\xfb"},
		{"vdi", 64, "\x7f\x10\xda\xbe"},
		{"parallels hdd", 0, "WithoutFreeSpace"},
		{"parallels hdd", 0, "WithouFreSpacExt"},
	}
}

func (img *Image) has(offset int64, magic string) bool {
	if offset < 0 {
		return false
	}
	b := make([]byte, len(magic))
	n, _ := img.ReadAt(b, offset)
	return string(b[:n]) == magic
}

// footerSize is the length of the structure that ends every VHD (Virtual Hard
// Disk Image Format Specification 1.0, "Hard Disk Footer Format").
const footerSize = 512

type footer []byte

func (img *Image) footer() footer {
	b := make([]byte, footerSize)
	if img.size < footerSize {
		return b
	}
	n, _ := img.ReadAt(b, img.size-footerSize)
	return b[:n]
}

// fixedFor reports whether f makes a file of size bytes a fixed VHD: a raw
// image and then the footer. Everything must agree, since a footer that is
// believed takes 512 bytes out of sight.
func (f footer) fixedFor(size int64) bool {
	return f.kind() == 2 && binary.BigEndian.Uint64(f[48:]) == uint64(size-footerSize)
}

func (f footer) sparse() bool { return f.kind() == 3 || f.kind() == 4 }

// kind is the disk type (2 fixed, 3 dynamic, 4 differencing), 0 if the bytes
// are no footer.
func (f footer) kind() uint32 {
	if len(f) < footerSize || !bytes.HasPrefix(f, []byte("conectix")) {
		return 0
	}
	var sum uint32
	for i, c := range f {
		if i < 64 || i >= 68 {
			sum += uint32(c)
		}
	}
	if ^sum != binary.BigEndian.Uint32(f[64:]) {
		return 0
	}
	return binary.BigEndian.Uint32(f[60:])
}
