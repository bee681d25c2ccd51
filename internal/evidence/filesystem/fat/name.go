package fat

import (
	"encoding/binary"

	"tutela/internal/evidence"
)

// Long names: FAT specification, "Long File Name Implementation". The parts of a
// name lie in front of its entry, the last part first.

const (
	maxLongSlots = 20
	lastPart     = 0x40
	unitsPerSlot = 13
)

// longName collects the parts of one name.
type longName struct {
	parts   [maxLongSlots][]byte // UTF-16LE, in the order found: the last of the name first
	count   int
	missing int // parts still to come; of a deleted name nobody knows
	sum     byte
	dead    bool
}

func (l *longName) reset() { l.count, l.missing = 0, 0 }

// add takes one part. A part that does not continue the name begins a new one or
// none.
func (l *longName) add(s slot) {
	if s.deleted() {
		if !l.dead || l.sum != s[13] || l.count == maxLongSlots {
			l.count = 0
		}
		l.missing = 0
		l.push(s)
		return
	}
	order := int(s[0])
	switch {
	case order&lastPart != 0:
		order &^= lastPart
		l.reset()
	case l.dead || l.sum != s[13] || order != l.missing:
		order = 0
	}
	if order < 1 || order > maxLongSlots || l.count == maxLongSlots {
		l.reset()
		return
	}
	l.push(s)
	l.missing = order - 1
}

func (l *longName) push(s slot) {
	units := make([]byte, 0, 2*unitsPerSlot)
	units = append(units, s[1:11]...)
	units = append(units, s[14:26]...)
	l.parts[l.count] = append(units, s[28:32]...)
	l.count++
	l.dead, l.sum = s.deleted(), s[13]
}

// take is the name of the entry in s, nil where the parts do not belong to it,
// and forgets the parts.
func (l *longName) take(s slot) []byte {
	defer l.reset()
	if l.count == 0 || l.missing != 0 || l.dead != s.deleted() {
		return nil
	}
	name := l.join()
	switch {
	case len(name) == 0:
		return nil
	case !s.deleted() && checksum(s[:11]) == l.sum:
		return name
	case s.deleted() && fitsFirst(firstLetter(s, l.sum), name):
		return name
	}
	return nil
}

func (l *longName) join() []byte {
	var units []byte
	for i := l.count - 1; i >= 0; i-- {
		units = append(units, l.parts[i]...)
	}
	for i := 0; i < len(units); i += 2 {
		if units[i] == 0 && units[i+1] == 0 {
			units = units[:i]
			break
		}
	}
	return evidence.WTF8(units, binary.LittleEndian)
}

// checksum is ChkSum of the specification.
func checksum(short []byte) (sum byte) {
	for _, c := range short {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}

// firstLetter is the letter that a deleted short name must have begun with for
// the checksum to be right: the sum is undone byte by byte.
func firstLetter(s slot, sum byte) byte {
	for i := 10; i > 0; i-- {
		sum -= s[i]
		sum = sum<<1 | sum>>7
	}
	return sum
}

// fitsFirst reports whether a short name made from the long one can begin with
// the letter. It is what is left of the checksum where that letter is lost.
func fitsFirst(letter byte, long []byte) bool {
	for len(long) > 0 && (long[0] == '.' || long[0] == ' ') {
		long = long[1:]
	}
	if len(long) == 0 {
		return letter > ' '
	}
	c := long[0]
	switch {
	case c >= 'a' && c <= 'z':
		return letter == c-'a'+'A'
	case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return letter == c
	}
	return letter > ' ' && (letter < 'a' || letter > 'z')
}
