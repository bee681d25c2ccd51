package image

import (
	"errors"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/ewf"
	"tutela/internal/evidence/image/parallels"
	"tutela/internal/evidence/image/qcow2"
	"tutela/internal/evidence/image/udif"
	"tutela/internal/evidence/image/vdi"
	"tutela/internal/evidence/image/vhd"
	"tutela/internal/evidence/image/vhdx"
	"tutela/internal/evidence/image/vmdk"
)

// containers are the readers, in the order in which they are tried: those that
// know their files by the front before those that look at the end. A reader must
// say evidence.ErrNotThis of what is not of its format. It may say more of the
// disk than evidence.File does: see layered, filed, noted, stated and digested.
func containers() []container {
	return []container{
		reader("e01", ewf.Open),
		reader("vmdk", vmdk.Open),
		reader("vhdx", vhdx.Open),
		reader("qcow2", qcow2.Open),
		reader("vdi", vdi.Open),
		reader("parallels", parallels.Open),
		reader("vhd", vhd.Open),
		reader("udif", udif.Open),
	}
}

// refused are the containers that are known by their first bytes and that no
// reader takes.
func refused() []magic {
	return []magic{
		{"aff", "AFF10\r\n\x00"},
		{"ad encryption", "ADCRYPT\x00"},
		{"vhd", "conectix"}, // the copy of a footer that is broken, as the footer is
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

// probe is how many bytes at the front and at the end tell the formats, VHD and
// Apple's among them. Without them an image is raw.
const probe = 512

// unreadable reports whether a reader failed because the medium is bad just
// where the format would be told: a disk that has lost its first sector is still
// to be read.
func unreadable(err error, file evidence.Source) bool {
	if _, ok := errors.AsType[*evidence.ReadError](err); !ok {
		return false
	}
	b := make([]byte, min(probe, file.Size()))
	_, front := file.ReadAt(b, 0)
	_, end := file.ReadAt(b, file.Size()-int64(len(b)))
	return front != nil || end != nil
}

type magic struct{ name, magic string }

// recognised names the format of a container that no reader takes; "" if the
// file is a raw copy.
func recognised(file evidence.Source) string {
	for _, m := range refused() {
		b := make([]byte, len(m.magic))
		if n, _ := file.ReadAt(b, 0); string(b[:n]) == m.magic {
			return m.name
		}
	}
	return ""
}
