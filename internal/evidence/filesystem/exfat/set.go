package exfat

import (
	"encoding/binary"
	"fmt"
	"time"

	"tutela"
	"tutela/internal/evidence"
)

// Directory entries: specification, sections 6 and 7. A file is a set: a File
// entry, a Stream Extension entry and up to 17 File Name entries.

const (
	slotBytes = 32

	inUse     = 0x80 // bit of every type
	secondary = 0x40

	typeEnd    = 0x00
	typeBitmap = 0x81
	typeUpCase = 0x82
	typeFile   = 0x85
	typeStream = 0xc0
	typeName   = 0xc1

	minSecondary  = 2
	maxSecondary  = 18
	attrDirectory = 0x10

	flagPossible = 1 // AllocationPossible
	flagStraight = 2 // NoFatChain
)

// set is the entries of one file as they lie in a directory.
type set struct {
	slots [1 + maxSecondary][slotBytes]byte
	have  int
	want  int
	at    int64 // place of the first, in bytes
	dead  bool  // its entries are not in use
}

// begin starts a set with a File entry.
func (s *set) begin(slot []byte, at int64) {
	s.have, s.want, s.at, s.dead = 1, 1+int(slot[1]), at, slot[0]&inUse == 0
	copy(s.slots[0][:], slot)
}

// takes reports whether slot continues the set.
func (s *set) takes(slot []byte) bool {
	return s.have > 0 && s.have < min(s.want, len(s.slots)) && slot[0]&secondary != 0 && (slot[0]&inUse == 0) == s.dead
}

func (s *set) add(slot []byte) {
	copy(s.slots[s.have][:], slot)
	s.have++
}

func (s *set) whole() bool { return s.have == s.want && s.want > minSecondary }

// fits reports whether the checksum of a whole set is right: section 6.3.3. It
// was made when all entries were in use.
func (s *set) fits() bool {
	if !s.whole() {
		return false
	}
	var sum uint16
	for i := range s.have {
		for j, c := range s.slots[i] {
			switch {
			case i == 0 && (j == 2 || j == 3):
				continue
			case j == 0:
				c |= inUse
			}
			sum = sum>>1 | sum<<15
			sum += uint16(c)
		}
	}
	return sum == binary.LittleEndian.Uint16(s.slots[0][2:])
}

// entry is what a set says.
type entry struct {
	name      []byte
	at        int64
	directory bool
	straight  bool // in one piece
	possible  bool // may have clusters
	start     uint32
	size      int64
	valid     int64
	times     tutela.Times
	dead      bool
	doubt     string // of its set
	system    byte   // the type of a file without a set, else 0
	second    byte   // 1 for the second bitmap
}

// entry reads the set; the second result is false where not even a stream
// extension is there.
func (s *set) entry() (e entry, ok bool) {
	le := binary.LittleEndian
	file, stream := &s.slots[0], &s.slots[1]
	if s.have < 2 || stream[0]|inUse != typeStream {
		return e, false
	}
	size, valid := le.Uint64(stream[24:]), le.Uint64(stream[8:])
	if size >= 1<<63 || valid >= 1<<63 {
		return e, false
	}
	e = entry{
		at: s.at, dead: s.dead,
		directory: le.Uint16(file[4:])&attrDirectory != 0,
		possible:  stream[1]&flagPossible != 0,
		straight:  stream[1]&flagStraight != 0,
		start:     le.Uint32(stream[20:]),
		size:      int64(size), valid: int64(valid),
		times: tutela.Times{
			Born:     stamp(le.Uint32(file[8:]), file[20], file[22]),
			Modified: stamp(le.Uint32(file[12:]), file[21], file[23]),
			Accessed: stamp(le.Uint32(file[16:]), 0, file[24]),
		},
	}
	e.name = s.name(int(stream[3]))
	switch {
	case !s.whole():
		e.doubt = fmt.Sprintf("%d of the %d entries of its set are there", s.have, s.want)
	case !s.fits():
		e.doubt = "the checksum of its set is wrong"
	}
	return e, true
}

// name joins the File Name entries to a name of length UTF-16 units.
func (s *set) name(length int) []byte {
	var units []byte
	for i := 2; i < s.have; i++ {
		if s.slots[i][0]|inUse == typeName {
			units = append(units, s.slots[i][2:]...)
		}
	}
	return evidence.WTF8(units[:min(len(units), 2*length)], binary.LittleEndian)
}

// stamp is a time: section 7.4.8. Without a valid offset from UTC it is taken as
// it is; where it is no time, it is the zero time.
func stamp(v uint32, hundredths, zone byte) time.Time {
	month, day, hour, minute, second := v>>21&15, v>>16&31, v>>11&31, v>>5&63, v&31*2
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 || hundredths > 199 {
		return time.Time{}
	}
	t := time.Date(1980+int(v>>25), time.Month(month), int(day), int(hour), int(minute), int(second), 0, time.UTC)
	t = t.Add(time.Duration(hundredths) * 10 * time.Millisecond)
	if zone&0x80 != 0 {
		t = t.Add(-time.Duration(int8(zone<<1)>>1) * 15 * time.Minute)
	}
	return t
}
