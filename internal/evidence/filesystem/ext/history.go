package ext

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"tutela"
)

// The past: the journal keeps copies of blocks as they were until it comes round
// and overwrites them. Copies of inode tables tell where the content of files
// lay that are deleted now, copies of directories tell their names.

const (
	keptCopies  = 256      // blocks of the journal that are kept in memory
	takenMemory = 32 << 20 // bytes
	present     = int64(1) << 40
)

// old is a copy of a block in the journal.
type old struct {
	age      int64 // transactions, compared with the one the log begins with; higher is younger
	sequence uint32
	at       int64 // block of the journal
	escaped  bool
}

// history finds old copies. It is for one goroutine.
type history struct {
	log    *journal
	copies map[int64][]old // by block of the volume, youngest first
	cache  map[int64][]byte
	reads  budget
	solid  int64             // age from which on no transaction is missing
	spent  bool              // reads was used up
	full   bool              // there were more copies than are remembered
	taken  map[int64][]int64 // by group: when each cluster was last given to a file
}

// readHistory looks through the whole log, whatever of it is in place already.
func (j *journal) readHistory(ctx context.Context) (*history, error) {
	h := &history{log: j, copies: map[int64][]old{}, cache: map[int64][]byte{}, taken: map[int64][]int64{}}
	left := int64(maxTags)
	ages := map[int64]bool{}
	for at := j.first; at < j.end; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := j.read(at)
		kind, sequence := uint32(0), uint32(0)
		if err == nil {
			kind, sequence = header(b)
		}
		if kind != journalDescriptor {
			at++
			continue
		}
		ages[j.age(sequence)] = true
		found, n := j.copiesOf(at, j.tags(b), sequence)
		if left -= int64(len(found)); left < 0 {
			h.full = true
			break
		}
		for block, o := range found {
			h.copies[block] = append(h.copies[block], o)
		}
		at += 1 + n
	}
	h.solid = solid(ages)
	total := int64(0)
	for _, list := range h.copies {
		slices.SortFunc(list, func(a, b old) int { return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(b.at, a.at)) })
		total += int64(len(list))
	}
	h.reads = budget{4096*total + 1<<20}
	return h, nil
}

// age compares a transaction with the one that the log begins with.
func (j *journal) age(sequence uint32) int64 { return int64(int32(sequence - j.sequence)) }

// solid is the first of the ages up to the youngest that follow each other: a
// log that was begun anew has holes before.
func solid(ages map[int64]bool) int64 {
	from := int64(math.MinInt64)
	for age := range ages {
		from = max(from, age)
	}
	for ages[from-1] {
		from--
	}
	return from
}

// copiesOf are the copies behind the descriptor in block at that are still
// those it speaks of: younger transactions may have overwritten the last of
// them, and they begin with a header, which a copy never does. n is how many
// blocks may be passed over.
func (j *journal) copiesOf(at int64, tags []tag, sequence uint32) (found map[int64]old, n int64) {
	found = map[int64]old{}
	place := at
	for _, t := range tags {
		place = j.next(place)
		b, err := j.read(place)
		if err != nil {
			continue
		}
		if be32(b, 0) == journalMagic {
			return found, max(0, place-at-1)
		}
		if j.fs.inVolume(t.block, 1) && j.dataRight(b, t, sequence) {
			found[t.block] = old{j.age(sequence), sequence, place, t.escaped}
		}
	}
	if !j.checksums() && !j.continues(j.next(place), sequence) {
		return nil, 0
	}
	return found, max(0, place-at)
}

// continues reports whether the transaction goes on in a block or ends there.
func (j *journal) continues(at int64, sequence uint32) bool {
	b, err := j.read(at)
	if err != nil {
		return false
	}
	kind, of := header(b)
	return kind != 0 && of == sequence
}

// read is a copy, as it would lie in place. It may not be changed.
func (h *history) read(o old) ([]byte, error) {
	if !h.reads.take(1) {
		h.spent = true
		return nil, errors.New("the journal was searched too often")
	}
	if b, ok := h.cache[o.at]; ok {
		return b, nil
	}
	b, err := h.log.read(o.at)
	if err != nil {
		return nil, err
	}
	if o.escaped {
		b[0], b[1], b[2], b[3] = 0xc0, 0x3b, 0x39, 0x98
	}
	if len(h.cache) >= keptCopies {
		clear(h.cache)
	}
	h.cache[o.at] = b
	return b, nil
}

// asOf is the youngest copy of a block that is not younger than age.
func (h *history) asOf(block, age int64) (old, bool) {
	for _, o := range h.copies[block] {
		if o.age <= age {
			return o, true
		}
	}
	return old{}, false
}

// takenSince reports whether the journal knows of a time, younger than age, when
// a block was given to a file: copies of the block bitmaps show when.
func (h *history) takenSince(block, age int64) bool {
	if h == nil || age == present {
		return false
	}
	s := h.log.fs.super
	g := (block - s.first) / s.perGroup
	ages, ok := h.taken[g]
	if !ok {
		if len(h.taken) >= max(1, takenMemory/int(64*s.block)) {
			clear(h.taken)
		}
		ages = h.readTaken(g)
		h.taken[g] = ages
	}
	return ages != nil && ages[(block-s.groupStart(g))/s.ratio] > age
}

// readTaken compares the copies of a group's block bitmap one after another; nil
// if there are none.
func (h *history) readTaken(g int64) []int64 {
	fs := h.log.fs
	copies := h.copies[fs.group[g].blockBitmap]
	if len(copies) < 2 {
		return nil
	}
	ages := make([]int64, 8*fs.block)
	for i := range ages {
		ages[i] = math.MinInt64
	}
	var before []byte
	for i := len(copies) - 1; i >= 0; i-- {
		b, err := h.read(copies[i])
		if err != nil {
			continue
		}
		for at := range before {
			fresh := b[at] &^ before[at]
			for ; fresh != 0; fresh &= fresh - 1 {
				ages[8*at+bits.TrailingZeros8(fresh)] = copies[i].age
			}
		}
		before = b
	}
	return ages
}

// version is an inode as it was.
type version struct {
	*inode
	old
}

// versions calls visit with the copies of an inode, youngest first, until it
// returns false.
func (h *history) versions(number int64, visit func(version) bool) {
	if h == nil {
		return
	}
	fs := h.log.fs
	block, within, err := fs.place(number)
	if err != nil {
		return
	}
	for _, o := range h.copies[block] {
		b, err := h.read(o)
		if err != nil || !h.reads.take(fs.inodeBytes>>10) {
			return
		}
		in := fs.parseInode(number, b[within:][:fs.inodeBytes])
		if in.known() && in.size >= 0 && fs.inodeRight(in) && !visit(version{in, o}) {
			return
		}
	}
}

// last is the youngest version of the file that a directory of some age calls by
// this number, one that tells where its content was if there is one.
func (h *history) last(number, age int64) (best version, ok bool) {
	var then version
	h.versions(number, func(v version) bool {
		if v.links > 0 {
			then = v
		}
		return then.inode == nil || v.age > age
	})
	if then.inode == nil {
		return version{}, false
	}
	best = then
	h.versions(number, func(v version) bool {
		if v.generation != then.generation || v.kind() != then.kind() {
			return true
		}
		if v.holdsContent() || v.links > 0 && v.size == 0 {
			best = v
			return false
		}
		return true
	})
	return best, true
}

// holdsContent reports whether the inode tells where a content is.
func (in *inode) holdsContent() bool {
	if in.size <= 0 {
		return false
	}
	switch {
	case in.is(flagInline), in.kind() == modeSymlink && in.size < blockArea:
		return true
	case in.is(flagExtents):
		return le16(in.area(), 0) == extentMagic && le16(in.area(), 2) > 0
	}
	for i := range 15 {
		if le32(in.area(), 4*i) != 0 {
			return true
		}
	}
	return false
}

// assumed is the finding that every entry from the journal carries.
func (h *history) assumed(v version) tutela.Finding {
	detail := fmt.Sprintf("where its content was is known from transaction %d of the journal", v.sequence)
	if v.age < h.solid {
		detail += ", and later ones are gone: who had its blocks since is not known"
	}
	return tutela.Finding{Code: tutela.FindingAssumed, Detail: detail}
}
