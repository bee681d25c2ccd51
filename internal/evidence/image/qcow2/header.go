package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

// Incompatible features (QCOW2, "Header").
const (
	featureDirty        = 1 << 0
	featureCorrupt      = 1 << 1
	featureExternalData = 1 << 2
	featureCompression  = 1 << 3
	featureExtendedL2   = 1 << 4
	featuresKnown       = 1<<5 - 1
)

// Header extensions (QCOW2, "Header extensions").
const (
	extensionEnd           = 0
	extensionBackingFormat = 0xe2792aca
)

// header is what the first cluster says.
type header struct {
	version       uint32
	clusterBits   int
	size          int64 // of the medium in bytes
	l1Entries     int64
	l1Offset      int64
	snapshots     uint32
	snapshotTable int64
	features      uint64 // incompatible ones
	zstd          bool
	backing       string // "" if there is none
	backingFormat string // "" if it is not told
}

func (h *header) cluster() int64   { return 1 << h.clusterBits }
func (h *header) extendedL2() bool { return h.features&featureExtendedL2 != 0 }

const (
	headerV2 = 72
	headerV3 = 104
	// compressionZstd is the compression type that is not deflate.
	compressionZstd = 1
	// maxBacking bounds the name of a backing file (QCOW2, "Header": 1023).
	maxBacking = 1023
)

// readHeader reads the header and refuses what it asks for and is not read.
func readHeader(src evidence.Source) (*header, error) {
	b, err := headerBytes(src)
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	h := &header{
		version: be.Uint32(b[4:]), clusterBits: int(be.Uint32(b[20:])), size: int64(be.Uint64(b[24:])),
		l1Entries: int64(be.Uint32(b[36:])), l1Offset: int64(be.Uint64(b[40:])),
		snapshots: be.Uint32(b[60:]), snapshotTable: int64(be.Uint64(b[64:])),
	}
	length, compression := int64(headerV2), byte(0)
	if h.version == 3 {
		h.features, length = be.Uint64(b[72:]), int64(be.Uint32(b[100:]))
	}
	if length > headerV3 {
		compression = b[104]
	}
	h.zstd = compression == compressionZstd
	if err := h.check(length, be.Uint32(b[32:]), compression); err != nil {
		return nil, err
	}
	if err := h.readExtensions(src, length); err != nil {
		return nil, err
	}
	return h, h.readBacking(src, int64(be.Uint64(b[8:])), int64(be.Uint32(b[16:])))
}

// headerBytes are the bytes of a header of a version that is read, with zeros
// behind them if the file ends there.
func headerBytes(src evidence.Source) ([]byte, error) {
	b := make([]byte, 112)
	n, err := src.ReadAt(b, 0)
	if n < 8 && src.Size() >= 8 {
		return nil, err
	}
	if n < 8 || string(b[:4]) != "QFI\xfb" {
		return nil, evidence.ErrNotThis
	}
	switch version := binary.BigEndian.Uint32(b[4:]); {
	case version == 1:
		return nil, fmt.Errorf("qcow version 1 not read: %w", evidence.ErrUnsupported)
	case version != 2 && version != 3:
		return nil, fmt.Errorf("qcow2: version %d not read: %w", version, evidence.ErrUnsupported)
	case n < headerV2 || version == 3 && n < headerV3:
		return nil, errors.New("qcow2: the file ends in its header")
	}
	return b, nil
}

func (h *header) check(length int64, crypt uint32, compression byte) error {
	switch {
	case crypt == 1:
		return fmt.Errorf("qcow2: encrypted with AES: %w", evidence.ErrUnsupported)
	case crypt == 2:
		return fmt.Errorf("qcow2: encrypted with LUKS: %w", evidence.ErrUnsupported)
	case crypt != 0:
		return fmt.Errorf("qcow2: encrypted by method %d: %w", crypt, evidence.ErrUnsupported)
	case compression > compressionZstd:
		return fmt.Errorf("qcow2: compression type %d not read: %w", compression, evidence.ErrUnsupported)
	case h.features&^featuresKnown != 0:
		return fmt.Errorf("qcow2: incompatible features %#x not read: %w", h.features&^featuresKnown, evidence.ErrUnsupported)
	case h.features&featureExternalData != 0:
		return fmt.Errorf("qcow2: external data file not read: %w", evidence.ErrUnsupported)
	case h.clusterBits < 9 || h.clusterBits > 21 || h.extendedL2() && h.clusterBits < 14:
		return fmt.Errorf("qcow2: clusters of 2^%d bytes", h.clusterBits)
	case h.size < 0 || h.size > 1<<62:
		return fmt.Errorf("qcow2: a disk of %d bytes", uint64(h.size))
	case h.version == 3 && (length < headerV3 || length > h.cluster()):
		return fmt.Errorf("qcow2: a header of %d bytes", length)
	}
	return nil
}

// notes are what the header says of the state of the image.
func (h *header) notes(files *virtual.Files) {
	if h.features&featureDirty != 0 {
		files.Note(tutela.FindingDamaged, "qcow2: marked dirty: it was not closed, its reference counts may be stale")
	}
	if h.features&featureCorrupt != 0 {
		files.Note(tutela.FindingDamaged, "qcow2: marked corrupt by the program that wrote it")
	}
}

// readExtensions looks for the format of the backing file. The extensions end
// with the first cluster at the latest.
func (h *header) readExtensions(src evidence.Source, at int64) error {
	for at+8 <= h.cluster() {
		b, err := virtual.Read(src, at, 8)
		if err != nil {
			return nil // QEMU 0.10 wrote none, and the file may end here
		}
		kind, length := binary.BigEndian.Uint32(b), int64(binary.BigEndian.Uint32(b[4:]))
		if kind == extensionEnd {
			return nil
		}
		if length > h.cluster()-at-8 {
			return fmt.Errorf("qcow2: a header extension of %d bytes at %d", length, at)
		}
		if kind == extensionBackingFormat {
			name, err := virtual.Read(src, at+8, int(length))
			if err != nil {
				return fmt.Errorf("qcow2: backing format: %w", err)
			}
			h.backingFormat = string(name)
		}
		at += 8 + (length+7)&^7
	}
	return nil
}

func (h *header) readBacking(src evidence.Source, at, length int64) error {
	if at == 0 || length == 0 {
		return nil
	}
	if length > maxBacking {
		return fmt.Errorf("qcow2: a name of a backing file of %d bytes", length)
	}
	b, err := virtual.Read(src, at, int(length))
	if err != nil {
		return fmt.Errorf("qcow2: name of the backing file: %w", err)
	}
	h.backing = string(b)
	return nil
}

// elsewhere reports whether the backing file is none that could lie beside the
// image: "json:…", "nbd://host", but not "C:\disks\base.img".
func (h *header) elsewhere() bool {
	before, rest, found := strings.Cut(h.backing, ":")
	return found && before != "file" && !strings.ContainsAny(before, `/\`) && !(len(before) == 1 && strings.HasPrefix(rest, `\`))
}

// Snapshot is a state of the disk that the image keeps beside the active one.
type Snapshot struct {
	ID, Name string
	Taken    time.Time
}

const (
	maxSnapshots   = 65536
	snapshotHeader = 40
	maxExtra       = 1024
)

// readSnapshots reads the snapshot table (QCOW2, "Snapshots") as far as it goes.
func readSnapshots(src evidence.Source, h *header) ([]Snapshot, error) {
	var all []Snapshot
	at := h.snapshotTable
	for range min(h.snapshots, maxSnapshots) {
		b, err := virtual.Read(src, at, snapshotHeader)
		if err != nil {
			return all, err
		}
		be := binary.BigEndian
		id, name, extra := int(be.Uint16(b[12:])), int(be.Uint16(b[14:])), int64(be.Uint32(b[36:]))
		if extra > maxExtra {
			return all, fmt.Errorf("%d bytes of extra data", extra)
		}
		text, err := virtual.Read(src, at+snapshotHeader+extra, id+name)
		if err != nil {
			return all, err
		}
		taken := time.Unix(int64(be.Uint32(b[16:])), int64(be.Uint32(b[20:]))).UTC()
		all = append(all, Snapshot{ID: string(text[:id]), Name: string(text[id:]), Taken: taken})
		at += (snapshotHeader + extra + int64(id+name) + 7) &^ 7
	}
	return all, nil
}

const namedInNote = 8

func nameAll(all []Snapshot) string {
	var names []string
	for _, s := range all[:min(len(all), namedInNote)] {
		names = append(names, fmt.Sprintf("%q of %s", s.Name, s.Taken.Format(time.RFC3339)))
	}
	if more := len(all) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
