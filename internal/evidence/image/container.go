package image

import (
	"bytes"
	"encoding/binary"
	"errors"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/ewf"
)

// containers are the readers, in the order in which they are tried. A reader
// must say evidence.ErrNotThis of what is not of its format. It may say more of
// the disk than evidence.File does: see layered, filed, noted, stated and
// digested.
func containers() []container {
	return []container{
		reader("e01", ewf.Open),
		reader("vhd-fixed", openFixed),
	}
}

// refused are the containers that are known by their first bytes and that no
// reader takes.
func refused() []magic {
	return []magic{
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
		{"ad encryption", 0, "ADCRYPT\x00"},
	}
}

type container struct {
	layer string // in locator chains, and the name in errors
	open  func(st evidence.Storage, name string) (evidence.File, error)
}

func reader[D evidence.File](layer string, open func(evidence.Storage, string) (D, error)) container {
	return container{layer, func(st evidence.Storage, name string) (evidence.File, error) {
		disk, err := open(st, name)
		if err != nil {
			return nil, err
		}
		return disk, nil
	}}
}

// What a container's disk may say besides its bytes.
type (
	layered interface { // a more exact name of the format: "vhd-dynamic"
		Layer() string
	}
	filed interface { // the files it lies in, the one that was opened first
		Names() []string
	}
	noted interface { // what must be said about the image as a whole
		Notes() []tutela.Finding
	}
	stated interface { // how the medium was acquired
		Facts() []evidence.Fact
	}
	digested interface { // digests of the medium
		Stored() []evidence.StoredDigest
	}
)

// UnsupportedError is the error of Open for a container that was recognised and
// cannot be read. It wraps evidence.ErrUnsupported.
type UnsupportedError struct {
	Format string // "aff", "qcow2" …
	Cause  error  // what a reader said; nil where there is none
}

func (e *UnsupportedError) Error() string {
	if e.Cause != nil {
		return e.Cause.Error()
	}
	return e.Format + ": no reader in this version"
}

func (e *UnsupportedError) Unwrap() error { return evidence.ErrUnsupported }

// unwrap finds the disk inside a container. The image it returns has no disk if
// the file is a raw copy. What is known and has no reader is refused.
func unwrap(st evidence.Storage, name string, file evidence.Source) (Image, error) {
	for _, c := range containers() {
		disk, err := c.open(st, name)
		switch {
		case err == nil:
			return Image{disk, []tutela.Locator{c.locator(disk, name)}}, nil
		case errors.Is(err, evidence.ErrNotThis) || unreadable(err, file):
		case errors.Is(err, evidence.ErrUnsupported):
			return Image{}, &UnsupportedError{Format: c.layer, Cause: err}
		default:
			return Image{}, err
		}
	}
	if known := recognised(file); known != "" {
		return Image{}, &UnsupportedError{Format: known}
	}
	return Image{}, nil
}

func (c container) locator(disk evidence.File, name string) tutela.Locator {
	layer, files := c.layer, 1
	if d, ok := disk.(layered); ok {
		layer = d.Layer()
	}
	if d, ok := disk.(filed); ok {
		files = len(d.Names())
	}
	return tutela.Locator{Layer: layer, At: counted(name, files)}
}

// unreadable reports whether a reader failed because the medium is bad just
// where the format would be told: a disk that has lost its first sector is still
// to be read.
func unreadable(err error, file evidence.Source) bool {
	if _, ok := errors.AsType[*evidence.ReadError](err); !ok {
		return false
	}
	_, front := file.ReadAt(make([]byte, min(footerSize, file.Size())), 0)
	_, end := file.ReadAt(make([]byte, min(footerSize, file.Size())), max(file.Size()-footerSize, 0))
	return front != nil || end != nil
}

// recognised names the format of a container that no reader takes; "" if the
// file is a raw copy.
func recognised(file evidence.Source) string {
	for _, m := range refused() {
		if has(file, m.offset, m.magic) {
			return m.name
		}
	}
	if has(file, file.Size()-512, "koly") { // the "UDIF resource" trailer
		return "dmg"
	}
	if footerOf(file).sparse() {
		return "vhd"
	}
	return ""
}

type magic struct {
	name   string
	offset int64
	magic  string
}

func has(file evidence.Source, offset int64, magic string) bool {
	if offset < 0 {
		return false
	}
	b := make([]byte, len(magic))
	n, _ := file.ReadAt(b, offset)
	return string(b[:n]) == magic
}

// footerSize is the length of the structure that ends every VHD (Virtual Hard
// Disk Image Format Specification 1.0, "Hard Disk Footer Format").
const footerSize = 512

type footer []byte

func footerOf(file evidence.Source) footer {
	b := make([]byte, footerSize)
	if file.Size() < footerSize {
		return b
	}
	n, _ := file.ReadAt(b, file.Size()-footerSize)
	return b[:n]
}

// fixed is a raw image with a footer behind it.
type fixed struct {
	evidence.Source
	file evidence.File
}

func (f fixed) Close() error { return f.file.Close() }

func openFixed(st evidence.Storage, name string) (fixed, error) {
	file, err := st.Open(name)
	if err != nil {
		return fixed{}, err
	}
	if !footerOf(file).fixedFor(file.Size()) {
		return fixed{}, errors.Join(evidence.ErrNotThis, file.Close())
	}
	return fixed{evidence.Section(file, 0, file.Size()-footerSize), file}, nil
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
