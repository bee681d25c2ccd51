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
//	   …  sections at the next multiple of 8: kind u32, CRC-32C u32 (of sums;
//	      zero for the others), offset u64, length u64
//	   …  zeros
//	the sections, each at a multiple of 8, sums last
//
// Rows are ordered by SHA-256, SHA-1, MD5, PDQ and frames, an absent digest
// before all others. So rows whose strongest digest is MD5 stand together and
// are ordered by it, then those of SHA-1, then those of SHA-256: what a scan asks
// for needs no index but the places where the leading bits change. Everything
// that rows hold is a column, and a column that tells nothing takes no room.
// columns.go, buckets.go, fuse.go and blocks.go say what the sections hold.
//
// A version is whole, or names the whole version it is based on and holds the
// rows that were added and the numbers of those that were withdrawn.
const (
	magic       = "tutset\r\n"
	fileVersion = 2 // a file of another version is not read
	headSize    = 4096
	headFixed   = 24
	sectionSize = 24
)

type sectionKind uint32

// The values are written into compiled sets: they must never change. A reader
// passes over kinds from optional on that it does not know, and refuses others.
const (
	sectionSums      sectionKind = 1 // CRC-32C u32 of each block behind the head
	sectionNames     sectionKind = 2 // categories and series
	sectionSources   sectionKind = 3 // JSON: the files that the set was made from
	sectionWithdrawn sectionKind = 4 // u32 each, in order: rows of the base that left
	sectionCategory  sectionKind = 5 // numbers in names, from 1; 0 is none
	sectionSeries    sectionKind = 6
	sectionSize64    sectionKind = 7  // 0 is not told, else size+1
	sectionHashes    sectionKind = 8  // 32 bytes each, in order of rows
	sectionHashRows  sectionKind = 9  // u32 each; not there where hash n is row n's
	sectionFrames    sectionKind = 10 // a bit each, set for frames; not there without frames
	sectionNear      sectionKind = 11 // package near

	optional sectionKind = 1 << 31
)

// Parts of an exact digest. Their sections are 16 times the kind of match plus
// these.
const (
	partDigests       = 0 // packed, in order of rows
	partPresent       = 1 // which rows have one; not there where all or none do
	partSorted        = 2 // buckets of the rows that are ordered by it
	partSortedFilter  = 3
	partEntries       = 4 // the other rows, ordered by it
	partEntryBuckets  = 5
	partEntriesFilter = 6
	parts             = 7
)

func digestSection(kind tutela.MatchKind, part int) sectionKind {
	return sectionKind(16*int(kind) + part)
}

func (k sectionKind) isKnown() bool {
	digest := k >= 16 && k < 64 && k%16 < parts
	return k >= sectionSums && k <= sectionNear || digest
}

// Bits of the digests that a row has.
const (
	hasMD5    = 1
	hasSHA1   = 2
	hasSHA256 = 4
	hasPDQ    = 8
	hasFrames = 16
	hasExact  = hasMD5 | hasSHA1 | hasSHA256
)

// holdings counts the rows of something that have a digest of each kind.
type holdings struct {
	Rows   uint64 `json:"rows"`
	MD5    uint64 `json:"md5"`
	SHA1   uint64 `json:"sha1"`
	SHA256 uint64 `json:"sha256"`
	PDQ    uint64 `json:"pdq"`
	Videos uint64 `json:"videos"` // rows with frames
}

func (h *holdings) exact() [4]uint64 {
	return [4]uint64{tutela.MatchMD5: h.MD5, tutela.MatchSHA1: h.SHA1, tutela.MatchSHA256: h.SHA256}
}

// change counts a row in or, with by -1, out.
func (h *holdings) change(has uint8, by int) {
	step := uint64(by)
	h.Rows += step
	for bit, n := range [...]*uint64{&h.MD5, &h.SHA1, &h.SHA256, &h.PDQ, &h.Videos} {
		if has&(1<<bit) != 0 {
			*n += step
		}
	}
}

// add counts what another holds in.
func (h *holdings) add(o *holdings) {
	h.Rows += o.Rows
	h.MD5 += o.MD5
	h.SHA1 += o.SHA1
	h.SHA256 += o.SHA256
	h.PDQ += o.PDQ
	h.Videos += o.Videos
}

// stored describes the columns of a file.
type stored struct {
	holdings
	// Strongest counts the rows whose strongest exact digest is of a kind.
	StrongestMD5    uint64 `json:"strongest_md5"`
	StrongestSHA1   uint64 `json:"strongest_sha1"`
	StrongestSHA256 uint64 `json:"strongest_sha256"`
	Hashes          uint64 `json:"hashes"` // PDQ hashes of pictures and of frames
}

func (b *stored) strongest() [4]uint64 {
	return [4]uint64{tutela.MatchMD5: b.StrongestMD5, tutela.MatchSHA1: b.StrongestSHA1, tutela.MatchSHA256: b.StrongestSHA256}
}

// check holds the counts against each other.
func (b *stored) check() error {
	for _, n := range []uint64{b.MD5, b.SHA1, b.SHA256, b.PDQ, b.Videos, b.StrongestMD5, b.StrongestSHA1, b.StrongestSHA256} {
		if b.Rows > maxRows || n > b.Rows {
			return fmt.Errorf("%w: its counts make no sense", ErrCorrupt)
		}
	}
	exact, strongest := b.exact(), b.strongest()
	later := b.Rows
	for kind := tutela.MatchSHA256; kind >= tutela.MatchMD5; kind-- {
		if strongest[kind] > exact[kind] || strongest[kind] > later {
			return fmt.Errorf("%w: its counts make no sense", ErrCorrupt)
		}
		later -= strongest[kind]
		if exact[kind] > b.Rows-later {
			return fmt.Errorf("%w: its counts make no sense", ErrCorrupt)
		}
	}
	// What is left are rows that have nothing but hashes.
	if b.StrongestSHA256 != b.SHA256 || b.Hashes > maxRows || later > b.Hashes {
		return fmt.Errorf("%w: its counts make no sense", ErrCorrupt)
	}
	return nil
}

// baseText names the whole version of the same set that a version is based on.
type baseText struct {
	Version int    `json:"version"`
	SHA256  string `json:"sha256"`
	Rows    uint64 `json:"rows"`
}

// description is the JSON in the head.
type description struct {
	Name     string    `json:"name"`
	Version  int       `json:"version"`
	Status   string    `json:"status"`
	Scheme   string    `json:"scheme"`
	Format   string    `json:"format"`
	Imported time.Time `json:"imported"`
	Holds    holdings  `json:"holds"`  // of the version
	Stored   stored    `json:"stored"` // of this file; the same where there is no base
	Base     *baseText `json:"base,omitempty"`
	// Features names the file beside this one that describes places in pictures.
	Features *featuresText `json:"features,omitempty"`
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
	switch v := le.Uint32(head[8:]); {
	case v > fileVersion:
		return d, nil, fmt.Errorf("%w: format version %d, this one reads %d", ErrNewer, v, fileVersion)
	case v < fileVersion:
		return d, nil, fmt.Errorf("%w: format version %d, this one reads %d: import the list again", ErrOlder, v, fileVersion)
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
	if b := d.Base; b != nil && (b.Version < 1 || b.Version >= d.Version || b.Rows > maxRows-d.Stored.Rows) {
		return tutela.SetVersion{}, fmt.Errorf("%w: version %d is based on version %d", ErrCorrupt, d.Version, b.Version)
	}
	return tutela.SetVersion{
		Name: d.Name, Version: d.Version, Status: status, Scheme: d.Scheme, Format: d.Format,
		Imported: d.Imported, Count: int64(d.Holds.Rows),
	}, nil
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

// digestSize is the length of an exact digest in bytes, by kind.
func digestSize(kind tutela.MatchKind) int {
	return [...]int{tutela.MatchMD5: 16, tutela.MatchSHA1: 20, tutela.MatchSHA256: 32}[kind]
}
