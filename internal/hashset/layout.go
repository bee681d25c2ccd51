package hashset

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"time"

	"tutela"
)

// A compiled set is one file, little endian:
//
//	one head of 4096 bytes:
//	   0  magic, 8 bytes: its line end shows a transfer that changed text
//	   8  version, u32
//	  12  length of the description, u32
//	  16  number of sections, u32
//	  20  CRC-32C of the head with this field zero, u32
//	  24  description, JSON: a person can read it with `head`
//	   …  sections at the next multiple of 8: kind u32, CRC-32C u32, offset u64, length u64
//	   …  zeros
//	the sections, each at a multiple of 8
//
// rows: one row an assertion, ordered by digests, so that equal input gives
// equal bytes. A row is: which digests it has (bits 1, 2, 4 for MD5, SHA-1,
// SHA-256, 8 for PDQ) u8, zero u8, category u16, series u32 (both count in
// strings, 0 is none), size u64 (0 is not told, else size+1), and the exact
// digests that any row of the set has, in the order MD5, SHA-1, SHA-256; absent
// ones are zeros.
//
// strings: number of categories u32, then scheme and code of each, number of
// series u32, then each; a string is its length u32 and its bytes.
//
// md5, sha1, sha256: entries u64, bits u32, zero u32; the entries in order of
// prefix, each the first eight bytes of a digest, read big-endian, as u64, and
// the row u32; then 2^bits+1 offsets u32: the entries whose prefix begins with
// the bits b are those from offset b to offset b+1. The tail of the digest lies
// in the row, where every hit is confirmed.
//
// pdq: 32 bytes a hash in order of rows. pdq-rows: the row u32 of each.
// bands: see near.go.
//
// sources: JSON, the files that the set was made from.
const (
	magic       = "tutset\r\n"
	fileVersion = 1 // a file of another version is not read
	headSize    = 4096
	headFixed   = 24
	sectionSize = 24
)

type sectionKind uint32

// The values are written into compiled sets: they must never change. A reader
// passes over kinds from optional on that it does not know, and refuses others:
// there is room for filters in front of the indexes without a new version.
const (
	sectionRows    sectionKind = 1
	sectionStrings sectionKind = 2
	sectionMD5     sectionKind = 3
	sectionSHA1    sectionKind = 4
	sectionSHA256  sectionKind = 5
	sectionPDQ     sectionKind = 6
	sectionPDQRows sectionKind = 7
	sectionBands   sectionKind = 8
	sectionSources sectionKind = 9

	optional sectionKind = 1 << 31
)

// Bits of the digests that a row has. They are written into compiled sets.
const (
	hasMD5    = 1
	hasSHA1   = 2
	hasSHA256 = 4
	hasPDQ    = 8
	hasExact  = hasMD5 | hasSHA1 | hasSHA256
)

// description is the JSON in the head.
type description struct {
	Name     string    `json:"name"`
	Version  int       `json:"version"`
	Status   string    `json:"status"`
	Scheme   string    `json:"scheme"`
	Format   string    `json:"format"`
	Imported time.Time `json:"imported"`
	Rows     uint64    `json:"rows"`
	MD5      uint64    `json:"md5"`
	SHA1     uint64    `json:"sha1"`
	SHA256   uint64    `json:"sha256"`
	PDQ      uint64    `json:"pdq"`
	// Strongest counts the rows whose strongest exact digest is of a kind:
	// only those are asked when matching.
	StrongestMD5    uint64 `json:"strongest_md5"`
	StrongestSHA1   uint64 `json:"strongest_sha1"`
	StrongestSHA256 uint64 `json:"strongest_sha256"`
}

type section struct {
	kind           sectionKind
	sum            uint32
	offset, length uint64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func align8(n uint64) uint64 { return (n + 7) &^ 7 }

func encodeHead(d description, sections []section) ([]byte, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	table := align8(uint64(headFixed + len(text)))
	if table+uint64(len(sections)*sectionSize) > headSize {
		return nil, fmt.Errorf("description of %d bytes does not fit the head", len(text))
	}
	head := make([]byte, headSize)
	copy(head, magic)
	le := binary.LittleEndian
	le.PutUint32(head[8:], fileVersion)
	le.PutUint32(head[12:], uint32(len(text)))
	le.PutUint32(head[16:], uint32(len(sections)))
	copy(head[headFixed:], text)
	for i, s := range sections {
		at := head[table+uint64(i*sectionSize):]
		le.PutUint32(at, uint32(s.kind))
		le.PutUint32(at[4:], s.sum)
		le.PutUint64(at[8:], s.offset)
		le.PutUint64(at[16:], s.length)
	}
	le.PutUint32(head[20:], headSum(head))
	return head, nil
}

// headSum is the checksum of the head as if its own field were zero.
func headSum(head []byte) uint32 {
	sum := crc32.Update(0, castagnoli, head[:20])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, head[headFixed:headSize])
}

func decodeHead(head []byte) (d description, sections []section, err error) {
	le := binary.LittleEndian
	if len(head) < headSize || !bytes.HasPrefix(head, []byte(magic)) {
		return d, nil, fmt.Errorf("%w: it does not begin as one", ErrCorrupt)
	}
	if v := le.Uint32(head[8:]); v != fileVersion {
		return d, nil, fmt.Errorf("%w: format version %d, this one reads %d", ErrNewer, v, fileVersion)
	}
	if headSum(head) != le.Uint32(head[20:]) {
		return d, nil, fmt.Errorf("%w: the checksum of its head does not hold", ErrCorrupt)
	}
	text, count := uint64(le.Uint32(head[12:])), uint64(le.Uint32(head[16:]))
	table := align8(headFixed + text)
	if table > headSize || count > (headSize-table)/sectionSize {
		return d, nil, fmt.Errorf("%w: its head is too small for what it announces", ErrCorrupt)
	}
	if err := json.Unmarshal(head[headFixed:headFixed+text], &d); err != nil {
		return d, nil, fmt.Errorf("%w: description: %v", ErrCorrupt, err)
	}
	for i := range count {
		at := head[table+i*sectionSize:]
		sections = append(sections, section{
			sectionKind(le.Uint32(at)), le.Uint32(at[4:]), le.Uint64(at[8:]), le.Uint64(at[16:])})
	}
	return d, sections, nil
}

func (d *description) setVersion() (tutela.SetVersion, error) {
	status, err := tutela.ParseStatus(d.Status)
	if err != nil {
		return tutela.SetVersion{}, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	if err := CheckName(d.Name); err != nil || d.Version < 1 {
		return tutela.SetVersion{}, fmt.Errorf("%w: it is called %q, version %d", ErrCorrupt, d.Name, d.Version)
	}
	return tutela.SetVersion{
		Name: d.Name, Version: d.Version, Status: status, Scheme: d.Scheme, Format: d.Format,
		Imported: d.Imported, Count: int64(d.Rows),
	}, nil
}

// rowShape is where the parts of a row lie.
type rowShape struct {
	stride            int
	md5, sha1, sha256 int // offset in the row; 0 if no row of the set has it
}

const rowFixed = 16

func shapeOf(has uint8) rowShape {
	s := rowShape{stride: rowFixed}
	place := func(bit uint8, size int) int {
		if has&bit == 0 {
			return 0
		}
		s.stride += size
		return s.stride - size
	}
	s.md5, s.sha1, s.sha256 = place(hasMD5, 16), place(hasSHA1, 20), place(hasSHA256, 32)
	return s
}

func (d *description) shape() rowShape {
	var has uint8
	for bit, n := range map[uint8]uint64{hasMD5: d.MD5, hasSHA1: d.SHA1, hasSHA256: d.SHA256} {
		if n > 0 {
			has |= bit
		}
	}
	return shapeOf(has)
}

// strongest is the kind of the strongest exact digest among those in has; 0 if
// there is none.
func strongest(has uint8) tutela.MatchKind {
	switch {
	case has&hasSHA256 != 0:
		return tutela.MatchSHA256
	case has&hasSHA1 != 0:
		return tutela.MatchSHA1
	case has&hasMD5 != 0:
		return tutela.MatchMD5
	}
	return 0
}
