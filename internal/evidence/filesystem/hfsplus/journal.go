package hfsplus

import (
	"encoding/binary"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// TN1150 "Journal".
const (
	journalInfoBytes   = 52
	journalHeaderBytes = 44
	journalInVolume    = 1
	journalElsewhere   = 2
	journalNeedsInit   = 4
)

// journal is where the journal lies in the source. It is empty where there is
// none, and problem says why if there should be one.
func (fs *FileSystem) journal() (run tutela.Run, fresh bool, problem string) {
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

// findJournal says whether changes wait in the journal.
func (fs *FileSystem) findJournal() {
	run, fresh, problem := fs.journal()
	if problem != "" {
		fs.find(tutela.FindingDamaged, problem)
		return
	}
	if fresh {
		return
	}
	b := make([]byte, journalHeaderBytes)
	if err := readFull(evidence.Section(fs.src, run.Offset, run.Length), b, 0); err != nil {
		fs.find(tutela.FindingDamaged, fmt.Sprintf("journal: %v", err))
		return
	}
	var order binary.ByteOrder = binary.LittleEndian
	if binary.BigEndian.Uint32(b[4:]) == 0x12345678 {
		order = binary.BigEndian
	}
	if order.Uint32(b) != 0x4a4e4c78 || order.Uint32(b[4:]) != 0x12345678 {
		fs.find(tutela.FindingDamaged, "journal: no header: changes that wait in it are not known")
		return
	}
	if first, next := order.Uint64(b[8:]), order.Uint64(b[16:]); first != next {
		fs.find(tutela.FindingUnsupported, fmt.Sprintf("the journal holds changes that were not written yet (bytes %d to %d of it): they are not replayed, the listing is that of before", first, next))
	}
}
