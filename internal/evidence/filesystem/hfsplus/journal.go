package hfsplus

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// TN1150 "Journal". What the kernel added since (sequence numbers, checksums of
// blocks) is as in vfs_journal.h of Apple's published kernel.
const (
	journalInfoBytes   = 52
	journalHeaderBytes = 44
	listHeadBytes      = 16 // of a block list, before its array
	blockInfoBytes     = 16
	listSummedBytes    = 32 // the head and the first element of the array
	maxListBytes       = 1 << 20

	journalInVolume  = 1
	journalElsewhere = 2
	journalNeedsInit = 4

	listChecksBlocks = 1
	listIsFirst      = 2 // of a transaction

	sector     = 512
	maxPatches = 1 << 20 // sectors: a journal of 512 MiB
)

// journalRun is where the journal lies in the source. It is empty where there is
// none, and problem says why if there should be one.
func (fs *FileSystem) journalRun() (run tutela.Run, fresh bool, problem string) {
	h := &fs.header
	if h.attributes&attrJournaled == 0 {
		return run, false, ""
	}
	b := make([]byte, journalInfoBytes)
	if int64(h.journalInfo) >= h.blocks {
		return run, false, "the journal info block lies outside the volume"
	}
	if err := readFull(fs.src, b, h.start+int64(h.journalInfo)*h.block); err != nil {
		return run, false, fmt.Sprintf("journal info block: %v", err)
	}
	flags := binary.BigEndian.Uint32(b)
	if flags&journalElsewhere != 0 || flags&journalInVolume == 0 {
		return run, false, "the journal lies on another device: changes that wait in it are not known"
	}
	offset, size := binary.BigEndian.Uint64(b[36:]), binary.BigEndian.Uint64(b[44:])
	if all := uint64(h.bytes()); offset > all || size > all-offset {
		return run, false, "the journal lies outside the volume"
	}
	return tutela.Run{Offset: h.start + int64(offset), Length: int64(size)}, flags&journalNeedsInit != 0, ""
}

// journal is an opened journal. Offsets are in bytes from its beginning; behind
// its end it goes on behind its header.
type journal struct {
	src         evidence.Source // all of it
	run         tutela.Run      // where in the volume's source
	order       binary.ByteOrder
	first, next int64 // of the transactions that wait; equal if none does
	listBytes   int64 // of a block list, without the blocks
	header      int64 // bytes; also of the sectors that blocks are counted in

	patches  map[int64]int64 // sector of the source: where its new bytes lie
	waiting  []patch         // of the transaction that is being read
	lists    int             // block lists that are taken
	sequence uint32
}

// patch is a sector that has new bytes in the journal.
type patch struct{ sector, from int64 }

var errJournal = errors.New("it does not hold together")

func openJournal(src evidence.Source, run tutela.Run) (*journal, error) {
	j := &journal{src: evidence.Section(src, run.Offset, run.Length), run: run, order: binary.LittleEndian, patches: map[int64]int64{}}
	b := make([]byte, journalHeaderBytes)
	if err := readFull(j.src, b, 0); err != nil {
		return nil, err
	}
	if binary.BigEndian.Uint32(b[4:]) == 0x12345678 {
		j.order = binary.BigEndian
	}
	if j.order.Uint32(b) != 0x4a4e4c78 || j.order.Uint32(b[4:]) != 0x12345678 {
		return nil, errors.New("no header")
	}
	j.first, j.next = int64(j.order.Uint64(b[8:])), int64(j.order.Uint64(b[16:]))
	size := int64(j.order.Uint64(b[24:]))
	j.listBytes, j.header = int64(j.order.Uint32(b[32:])), int64(j.order.Uint32(b[40:]))
	sum := j.order.Uint32(b[36:])
	clear(b[36:40])
	switch {
	case sum != checksum(b):
		return nil, errors.New("its header has another checksum")
	case size != run.Length || j.header < sector || j.header%sector != 0 || j.header >= size,
		j.listBytes < sector || j.listBytes%sector != 0 || j.listBytes > maxListBytes,
		j.outside(j.first) || j.outside(j.next):
		return nil, errors.New("its header makes no sense")
	}
	return j, nil
}

func (j *journal) outside(at int64) bool {
	return at < j.header || at > j.run.Length || at%sector != 0
}

// checksum: TN1150 "Journal Checksums".
func checksum(b []byte) (sum uint32) {
	for _, v := range b {
		sum = sum<<8 ^ (sum + uint32(v))
	}
	return ^sum
}

// after is n bytes on from a place.
func (j *journal) after(at, n int64) int64 {
	if at += n; at >= j.run.Length {
		at = j.header + (at - j.run.Length)
	}
	return at
}

// read fills p from a place on, a sector at a time.
func (j *journal) read(p []byte, at int64) error {
	for len(p) > 0 {
		at = j.after(at, 0)
		n := min(len(p), sector)
		if err := readFull(j.src, p[:n], at); err != nil {
			return err
		}
		p, at = p[n:], at+sector
	}
	return nil
}

// replay reads all transactions that wait. A transaction that does not hold
// together, and what follows it, is left out, and the error says where it is.
// Behind the place where the header says that they end there may be more: they
// count as long as their numbers go on.
func (j *journal) replay() error {
	beyond := false
	at := j.after(j.first, 0)
	next := j.after(j.next, 0)
	for used := int64(0); used < j.run.Length; {
		if at == next && used > 0 {
			beyond = true
		}
		kept := len(j.waiting)
		length, err := j.list(at, beyond)
		if err != nil {
			j.waiting = j.waiting[:min(kept, len(j.waiting))]
		}
		if err != nil && beyond {
			break // old transactions, or none
		}
		if err != nil {
			return fmt.Errorf("block list at byte %d: %w", at, err)
		}
		at, used = j.after(at, length), used+length
	}
	j.commit()
	return nil
}

// commit takes the transaction that was read.
func (j *journal) commit() {
	for _, p := range j.waiting {
		j.patches[p.sector] = p.from
	}
	j.waiting = j.waiting[:0]
}

// list reads a block list and the blocks behind it, and returns the bytes it
// takes. Beyond the end it must carry the next number.
func (j *journal) list(at int64, beyond bool) (length int64, err error) {
	b := make([]byte, j.listBytes)
	if err := j.read(b, at); err != nil {
		return 0, err
	}
	sum := j.order.Uint32(b[8:])
	clear(b[8:12])
	number := j.order.Uint32(b[listHeadBytes+12:])
	blocks := int64(j.order.Uint16(b[2:]))
	switch {
	case sum != checksum(b[:listSummedBytes]):
		return 0, errJournal
	case number != 0 && j.sequence != 0 && number != j.sequence && number != j.sequence+1, beyond && number == 0:
		return 0, errJournal
	case blocks == 0 || listHeadBytes+blocks*blockInfoBytes > j.listBytes:
		return 0, errJournal
	}
	flags := j.order.Uint32(b[12:])
	if number != j.sequence || number == 0 {
		j.commit()
	}
	j.sequence = number
	length = j.listBytes
	for i := int64(1); i < blocks; i++ {
		n, err := j.block(b[listHeadBytes+i*blockInfoBytes:], j.after(at, length), flags&listChecksBlocks != 0)
		if err != nil {
			return 0, err
		}
		if length += n; length >= j.run.Length {
			return 0, errJournal
		}
	}
	if used := int64(j.order.Uint32(b[4:])); used != length {
		return 0, errJournal
	}
	j.lists++
	return length, nil
}

// block takes a block of a list, whose new bytes lie at a place of the journal.
func (j *journal) block(info []byte, at int64, checks bool) (length int64, err error) {
	number, size := j.order.Uint64(info), int64(j.order.Uint32(info[8:]))
	if size <= 0 || size%sector != 0 || size > j.run.Length || len(j.waiting)+int(size/sector) > maxPatches {
		return 0, errJournal
	}
	if number == 1<<64-1 {
		return size, nil // given up
	}
	if number > uint64(1<<62)/uint64(j.header) {
		return 0, errJournal
	}
	if sum := j.order.Uint32(info[12:]); checks && sum != 0 {
		b := make([]byte, size)
		if err := j.read(b, at); err != nil {
			return 0, err
		}
		if sum != checksum(b) {
			return 0, errJournal
		}
	}
	for done := int64(0); done < size; done += sector {
		j.waiting = append(j.waiting, patch{(int64(number)*j.header + done) / sector, j.run.Offset + j.after(at, done)})
	}
	return size, nil
}

// replayed is the source as it would be if what waits in the journal had been
// written.
type replayed struct {
	evidence.Source
	patches map[int64]int64 // sector: where its bytes lie
}

func (r *replayed) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Source.ReadAt(p, off)
	if off < 0 || n == 0 {
		return n, err
	}
	for s := off / sector; s*sector < off+int64(n); s++ {
		from, ok := r.patches[s]
		if !ok {
			continue
		}
		begin, end := max(s*sector, off), min((s+1)*sector, off+int64(n))
		if err := readFull(r.Source, p[begin-off:end-off], from+begin-s*sector); err != nil {
			return int(begin - off), err
		}
	}
	return n, err
}

// replayJournal makes fs read the structures of the volume with the changes that
// wait in the journal, and says so.
func (fs *FileSystem) replayJournal() {
	run, fresh, problem := fs.journalRun()
	if problem != "" {
		fs.find(tutela.FindingDamaged, problem)
	}
	if run.Length == 0 || fresh {
		return
	}
	j, err := openJournal(fs.src, run)
	if err != nil {
		fs.find(tutela.FindingDamaged, fmt.Sprintf("journal: %v: changes that wait in it are not known", err))
		return
	}
	if j.first == j.next {
		return
	}
	if fs.header.start != 0 {
		fs.find(tutela.FindingUnsupported, "changes wait in the journal of a volume in an HFS wrapper: they are not replayed")
		return
	}
	if err := j.replay(); err != nil {
		fs.find(tutela.FindingDamaged, fmt.Sprintf("journal: %v: changes from there on are not known", err))
	}
	fs.find(tutela.FindingAssumed, fmt.Sprintf("the volume was not unmounted: the listing is that after the changes that wait in the journal (%d lists of blocks)", j.lists))
	fs.meta = &replayed{fs.src, j.patches}
}
