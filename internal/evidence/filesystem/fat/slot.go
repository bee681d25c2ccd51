package fat

import (
	"encoding/binary"
	"time"

	"tutela"
)

// Directory entries: FAT specification, "FAT Directory Structure". A slot is 32
// bytes: an entry, or a part of the long name of the entry behind it.

const (
	slotFree = 0xe5
	slotEnd  = 0x00
	slotKanj = 0x05 // stands for a name that begins with 0xe5

	attrLabel     = 0x08
	attrDirectory = 0x10
	attrLong      = 0x0f
	attrMask      = 0x3f

	lowerBase      = 0x08 // byte 12, kept by Windows NT and Linux
	lowerExtension = 0x10
)

type slot []byte

func (s slot) deleted() bool   { return s[0] == slotFree }
func (s slot) isLong() bool    { return s[11]&attrMask == attrLong }
func (s slot) isLabel() bool   { return s[11]&attrLabel != 0 }
func (s slot) directory() bool { return s[11]&attrDirectory != 0 }
func (s slot) size() int64     { return int64(binary.LittleEndian.Uint32(s[28:])) }

// start is the first cluster; its upper half exists on FAT32 only.
func (s slot) start(bits int) uint32 {
	low := uint32(binary.LittleEndian.Uint16(s[26:]))
	if bits < 32 {
		return low
	}
	return uint32(binary.LittleEndian.Uint16(s[20:]))<<16 | low
}

// isDot and isDotDot: the first two entries of every directory but the root.
func (s slot) isDot() bool    { return string(s[:11]) == ".          " && s.directory() }
func (s slot) isDotDot() bool { return string(s[:11]) == "..         " && s.directory() }

// times are local, without a zone: "Date and Time Formats".
func (s slot) times() tutela.Times {
	le := binary.LittleEndian
	return tutela.Times{
		Modified: stamp(le.Uint16(s[24:]), le.Uint16(s[22:]), 0),
		Accessed: stamp(le.Uint16(s[18:]), 0, 0),
		Born:     stamp(le.Uint16(s[16:]), le.Uint16(s[14:]), s[13]),
	}
}

// stamp is a date and a time in units of two seconds and of ten milliseconds;
// the zero time where they are none.
func stamp(date, clock uint16, hundredths byte) time.Time {
	if !isDate(date) || !isClock(clock) || hundredths > 199 {
		return time.Time{}
	}
	day := time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31), 0, 0, 0, 0, time.UTC)
	return day.Add(time.Duration(clock>>11)*time.Hour + time.Duration(clock>>5&63)*time.Minute +
		time.Duration(clock&31)*2*time.Second + time.Duration(hundredths)*10*time.Millisecond)
}

func isDate(d uint16) bool  { return d>>5&15 >= 1 && d>>5&15 <= 12 && d&31 >= 1 }
func isClock(c uint16) bool { return c>>11 < 24 && c>>5&63 < 60 && c&31 < 30 }

// named reports whether the slot can be an entry: its name has no byte that no
// name has.
func (s slot) named() bool {
	if s[11]&^attrMask != 0 || s[0] == ' ' {
		return false
	}
	for i, c := range s[:11] {
		if c < ' ' && (i > 0 || c != slotKanj) {
			return false
		}
		switch c {
		case '"', '*', '/', ':', '<', '>', '?', '\\', '|', 0x7f:
			return false
		}
	}
	return true
}

// sound is named, and the first cluster exists.
func (s slot) sound(g *geometry) bool {
	start := s.start(g.bits)
	return s.named() && (s.isLabel() || start == 0 || g.valid(start))
}

// strict is sound, and everything else in it is as drivers write it. It is asked
// of what nobody says is a directory.
func (s slot) strict(g *geometry) bool {
	le := binary.LittleEndian
	empty := s.start(g.bits) == 0
	switch {
	case !s.sound(g) || s[12]&^(lowerBase|lowerExtension) != 0 || s[13] > 199:
		return false
	case !isDate(le.Uint16(s[24:])) || !isClock(le.Uint16(s[22:])) || !isClock(le.Uint16(s[14:])):
		return false
	case le.Uint16(s[16:]) != 0 && !isDate(le.Uint16(s[16:])) || le.Uint16(s[18:]) != 0 && !isDate(le.Uint16(s[18:])):
		return false
	case s.isLabel() || s.directory():
		return s.size() == 0 && s.isLabel() == empty
	case g.bits < 32 && le.Uint16(s[20:]) != 0:
		return false
	}
	return empty == (s.size() == 0) && s.size() <= g.total
}

// strictLong is strict for a part of a long name.
func (s slot) strictLong() bool {
	order := s[0] &^ 0x40
	return s[12] == 0 && s[26] == 0 && s[27] == 0 && (s.deleted() || order >= 1 && order <= maxLongSlots)
}

// short is the name a person sees: "Short name" and the case bits of byte 12.
func (s slot) short() []byte {
	name := trim(s[:8], s[12]&lowerBase != 0)
	switch {
	case len(name) == 0:
	case s.deleted():
		name[0] = '_'
	case name[0] == slotKanj:
		name[0] = 0xe5
	}
	if extension := trim(s[8:11], s[12]&lowerExtension != 0); len(extension) > 0 {
		name = append(append(name, '.'), extension...)
	}
	return name
}

// trim is b without the spaces behind it, in lower case or as it is.
func trim(b []byte, lower bool) (out []byte) {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	for _, c := range b {
		if lower && c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return out
}
