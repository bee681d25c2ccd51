package ext

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"

	"tutela"
	"tutela/internal/evidence"
)

// The journal: ext4 documentation "Journal (jbd2)". All its numbers are
// big-endian.

const (
	journalMagic = 0xc03b3998

	journalDescriptor = 1
	journalCommit     = 2
	journalSuper1     = 3
	journalSuper2     = 4
	journalRevoke     = 5

	journal64bit  = 0x2
	journalCRC2   = 0x8
	journalCRC3   = 0x10
	journalFast   = 0x20
	journalKnown  = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20
	tagEscaped    = 0x1
	tagSameUUID   = 0x2
	tagLast       = 0x8
	fastHead      = 9
	defaultFast   = 256
	maxTags       = 4 << 20 // copies that are remembered, 100 MB or so
	journalHeader = 12
)

// journal is the log of one volume.
type journal struct {
	fs       *FileSystem
	src      evidence.Source
	places   []blockRun // of its blocks
	first    int64      // block of the log
	end      int64      // behind the last
	start    int64      // of what is not yet in place, 0 for nothing
	sequence uint32     // of the transaction there
	features uint32
	seed     uint32
	fast     int64 // blocks behind end
}

// tag says that a block of the journal is a copy of a block of the volume.
type tag struct {
	block    int64
	checksum uint32
	escaped  bool
}

// openJournal reads the superblock of the journal of inode in.
func (fs *FileSystem) openJournal(in *inode) (*journal, error) {
	if in.kind() != modeFile {
		return nil, fmt.Errorf("inode %d is not a file", in.number)
	}
	all := mapper{fs: fs, read: fs.readBlock, budget: &budget{fs.blocks}}
	m := all.of(in)
	if len(m.problems) > 0 {
		return nil, fmt.Errorf("%s", m.problems[0])
	}
	j := &journal{fs: fs, src: fs.src, places: m.runs, end: 1}
	b, err := j.read(0)
	if err != nil {
		return nil, err
	}
	kind := be32(b, 4)
	if be32(b, 0) != journalMagic || kind != journalSuper1 && kind != journalSuper2 {
		return nil, fmt.Errorf("no journal superblock")
	}
	j.sequence, j.start, j.first, j.end = be32(b, 0x18), int64(be32(b, 0x1c)), int64(be32(b, 0x14)), int64(be32(b, 0x10))
	if kind == journalSuper2 {
		j.features = be32(b, 0x28)
	}
	if j.features&^journalKnown != 0 {
		return nil, fmt.Errorf("journal feature %#x", j.features&^journalKnown)
	}
	j.seed = crc32c(^uint32(0), b[0x30:0x40])
	return j, j.limit(b)
}

func (j *journal) limit(b []byte) error {
	held := int64(0)
	for _, r := range j.places {
		held = max(held, r.logical+r.n)
	}
	if int64(be32(b, 0xc)) != j.fs.block || j.first < 1 || j.end > held || j.first >= j.end || j.start >= j.end {
		return fmt.Errorf("a log from block %d to %d of %d", j.first, j.end, held)
	}
	if j.features&journalFast != 0 {
		if j.fast = int64(be32(b, 0x54)); j.fast == 0 {
			j.fast = defaultFast
		}
		if j.fast >= j.end-j.first {
			return fmt.Errorf("%d blocks for fast commits in a journal of %d", j.fast, j.end)
		}
		j.end -= j.fast
	}
	return nil
}

// place is where block n of the journal lies in the source.
func (j *journal) place(n int64) (int64, error) {
	i := sort.Search(len(j.places), func(i int) bool { return n < j.places[i].logical+j.places[i].n })
	if i == len(j.places) || n < j.places[i].logical {
		return 0, fmt.Errorf("block %d of the journal is nowhere", n)
	}
	return (j.places[i].physical + n - j.places[i].logical) * j.fs.block, nil
}

func (j *journal) read(n int64) ([]byte, error) {
	at, err := j.place(n)
	if err != nil {
		return nil, err
	}
	b := make([]byte, j.fs.block)
	return b, readFull(j.src, b, at)
}

// header is the kind and the transaction of a block; kind 0 is none.
func header(b []byte) (kind, sequence uint32) {
	if be32(b, 0) != journalMagic {
		return 0, 0
	}
	return be32(b, 4), be32(b, 8)
}

func (j *journal) next(n int64) int64 {
	if n+1 >= j.end {
		return j.first
	}
	return n + 1
}

func (j *journal) checksums() bool { return j.features&(journalCRC2|journalCRC3) != 0 }

// tail is the end of what a descriptor or revoke block holds; right reports
// whether its checksum holds.
func (j *journal) tail(b []byte) (end int, right bool) {
	if !j.checksums() {
		return len(b), true
	}
	end = len(b) - 4
	return end, crc32c(j.seed, b[:end], []byte{0, 0, 0, 0}) == be32(b, end)
}

// tags reads a descriptor block.
func (j *journal) tags(b []byte) (tags []tag) {
	end, right := j.tail(b)
	if !right {
		return nil
	}
	size := j.tagBytes()
	for at := journalHeader; at+size <= end; {
		t := tag{block: int64(be32(b, at))}
		var flags uint32
		if j.features&journalCRC3 != 0 {
			flags, t.checksum = be32(b, at+4), be32(b, at+12)
			t.block |= int64(be32(b, at+8)&0x7fffffff) << 32
		} else {
			flags, t.checksum = uint32(binary.BigEndian.Uint16(b[at+6:])), uint32(binary.BigEndian.Uint16(b[at+4:]))
			if j.features&journal64bit != 0 {
				t.block |= int64(be32(b, at+8)&0x7fffffff) << 32
			}
		}
		t.escaped = flags&tagEscaped != 0
		tags = append(tags, t)
		at += size
		if flags&tagSameUUID == 0 {
			at += 16
		}
		if flags&tagLast != 0 {
			break
		}
	}
	return tags
}

func (j *journal) tagBytes() int {
	size := 8
	if j.features&journalCRC3 != 0 {
		return 16
	}
	if j.features&journalCRC2 != 0 {
		size += 2
	}
	if j.features&journal64bit != 0 {
		size += 4
	}
	return size
}

// dataRight holds a copy against its tag.
func (j *journal) dataRight(b []byte, t tag, sequence uint32) bool {
	if !j.checksums() {
		return true
	}
	sum := crc32c(j.seed, binary.BigEndian.AppendUint32(nil, sequence), b)
	if j.features&journalCRC3 == 0 {
		sum &= 0xffff
	}
	return sum == t.checksum
}

// commitRight holds a commit block against its checksum.
func (j *journal) commitRight(b []byte) bool {
	if !j.checksums() {
		return true
	}
	return crc32c(j.seed, b[:0x10], []byte{0, 0, 0, 0}, b[0x14:]) == be32(b, 0x10)
}

// overlay is where blocks lie that were committed and not yet written to their
// place.
type overlay struct {
	evidence.Source
	block  int64
	copies map[int64]copied
	sorted []int64
}

// copied is a place in the source, in bytes, that holds a block.
type copied struct {
	at      int64
	escaped bool // its first four bytes are the journal's magic
}

// write is a block of the volume that a transaction changed.
type write struct {
	tag
	at       int64 // of the copy in the source, bytes
	sequence uint32
}

// replaying collects what the transactions from the start of the log on changed.
type replaying struct {
	j        *journal
	at       int64 // block of the log to be read next
	left     int64 // blocks that the log can still have
	sequence uint32
	done     []write
	revoked  map[int64]uint32 // last transaction that did

	pending       []write // of the transaction at hand
	pendingRevoke []int64
}

// replay reads the transactions that a mount would write to their places.
func (j *journal) replay() (o *overlay, transactions int64) {
	r := &replaying{j: j, at: j.start, left: j.end - j.first, sequence: j.sequence, revoked: map[int64]uint32{}}
	for r.step() {
	}
	j.fastCommits(r.sequence)
	return r.overlay(), int64(r.sequence - j.sequence)
}

// step takes one block of the log; false where it ends. What comes behind the
// last commit block was never finished, and does not count.
func (r *replaying) step() bool {
	b, err := r.j.read(r.at)
	if err != nil || r.left <= 0 {
		return false
	}
	kind, sequence := header(b)
	if sequence != r.sequence {
		return false
	}
	r.advance()
	switch kind {
	case journalDescriptor:
		r.describe(b)
	case journalRevoke:
		r.pendingRevoke = append(r.pendingRevoke, r.j.revoked(b)...)
	case journalCommit:
		return r.commit(b)
	default:
		return false
	}
	return true
}

func (r *replaying) advance() {
	r.at = r.j.next(r.at)
	r.left--
}

func (r *replaying) describe(b []byte) {
	for _, t := range r.j.tags(b) {
		if place, err := r.j.place(r.at); err == nil && r.j.fs.inVolume(t.block, 1) {
			r.pending = append(r.pending, write{t, place, r.sequence})
		}
		r.advance()
	}
}

func (r *replaying) commit(b []byte) bool {
	if !r.j.commitRight(b) {
		return false
	}
	r.done = append(r.done, r.pending...)
	for _, block := range r.pendingRevoke {
		r.revoked[block] = r.sequence
	}
	r.pending, r.pendingRevoke = nil, nil
	r.sequence++
	return true
}

// overlay is the last copy of each block that was not revoked since.
func (r *replaying) overlay() *overlay {
	j := r.j
	o := &overlay{Source: j.src, block: j.fs.block, copies: map[int64]copied{}}
	b := make([]byte, j.fs.block)
	var bad int
	for _, w := range r.done {
		if by, ok := r.revoked[w.block]; ok && int32(by-w.sequence) >= 0 {
			continue
		}
		if readFull(j.src, b, w.at) != nil || !j.dataRight(b, w.tag, w.sequence) {
			bad++
			continue
		}
		o.copies[w.block] = copied{w.at, w.escaped}
	}
	if bad > 0 {
		j.fs.find(tutela.FindingDamaged, fmt.Sprintf("%d blocks in the journal are bad and were not replayed", bad))
	}
	o.sorted = slices.Sorted(maps.Keys(o.copies))
	return o
}

// revoked are the blocks that a revoke block names: what older transactions hold
// of them must not be replayed.
func (j *journal) revoked(b []byte) (blocks []int64) {
	end, right := j.tail(b)
	if !right {
		return nil
	}
	size := 4
	if j.features&journal64bit != 0 {
		size = 8
	}
	end = min(end, int(min(be32(b, 12), 1<<20)))
	for at := 16; at+size <= end; at += size {
		block := int64(be32(b, at))
		if size == 8 {
			block = int64(binary.BigEndian.Uint64(b[at:]) & math.MaxInt64)
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// fastCommits says where changes lie behind the log that are not read.
func (j *journal) fastCommits(sequence uint32) {
	if j.fast == 0 {
		return
	}
	at, err := j.place(j.end)
	b := make([]byte, 16)
	if err != nil || readFull(j.src, b, at) != nil {
		return
	}
	if le16(b, 0) == fastHead && le32(b, 8) == sequence {
		j.fs.find(tutela.FindingUnsupported, "the last changes before the volume was cut off are fast commits: not replayed")
	}
}

// ReadAt reads what a mount would see.
func (o *overlay) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := o.piece(p[n:], off+int64(n))
		if n += m; m == 0 || err != nil && n < len(p) {
			return n, err
		}
	}
	return n, nil
}

// piece reads up to the next block that is somewhere else, or up to the end of
// one that is.
func (o *overlay) piece(p []byte, at int64) (int, error) {
	i, here := slices.BinarySearch(o.sorted, at/o.block)
	if !here {
		if i < len(o.sorted) {
			p = p[:min(int64(len(p)), o.sorted[i]*o.block-at)]
		}
		return o.Source.ReadAt(p, at)
	}
	c, within := o.copies[at/o.block], at%o.block
	p = p[:min(int64(len(p)), o.block-within)]
	n, err := o.Source.ReadAt(p, c.at+within)
	if c.escaped && within < 4 {
		copy(p[:n], binary.BigEndian.AppendUint32(nil, journalMagic)[within:])
	}
	return n, err
}

// inPlace leaves of the extents what lies in the source as it is.
func (o *overlay) inPlace(extents []evidence.Extent) (out []evidence.Extent) {
	for _, e := range extents {
		if e.Offset == evidence.Hole {
			continue
		}
		at, end := e.Offset, e.Offset+e.Length
		i, _ := slices.BinarySearch(o.sorted, at/o.block)
		for ; i < len(o.sorted) && o.sorted[i]*o.block < end; i++ {
			if from := o.sorted[i] * o.block; from > at {
				out = append(out, evidence.Extent{Offset: at, Length: from - at})
			}
			at = min(end, (o.sorted[i]+1)*o.block)
		}
		if at < end {
			out = append(out, evidence.Extent{Offset: at, Length: end - at})
		}
	}
	return out
}
