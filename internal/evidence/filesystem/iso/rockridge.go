package iso

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
)

// rock is what the system use fields of one record say (SUSP and RRIP 1.12).
type rock struct {
	name     []byte // NM; nil if none
	mode     uint32 // PX, POSIX st_mode; 0 if none
	target   []byte // SL
	times    tutela.Times
	hasTimes bool
	child    int64 // CL: logical block of the relocated directory; -1 if none
	moved    bool  // RE: this directory is reached through a CL elsewhere
	zisofs   bool  // ZF: the content is compressed
	root     bool  // SP was seen with its check bytes
	skip     int   // SP: LEN_SKP
	known    bool  // a field only Rock Ridge has was seen
}

// POSIX file types as PX carries them (RRIP 4.1.1).
const (
	modeType    = 0o170000
	modeSocket  = 0o140000
	modeSymlink = 0o120000
	modeBlock   = 0o060000
	modeChar    = 0o020000
	modePipe    = 0o010000
)

// maxContinuations is how often one record's fields may go on elsewhere. Linux
// has the same bound.
const maxContinuations = 32

// detectRockRidge looks for SP in the first record of the root directory
// (SUSP 5.3). CD-ROM XA puts 14 bytes of its own before it.
func (fs *FileSystem) detectRockRidge(t *tree) {
	var sector [sectorSize]byte
	if _, err := fs.src.ReadAt(sector[:], t.root.extent.Offset); err != nil {
		return
	}
	self, err := parseRecord(sector[:], t.blockSize)
	if err != nil {
		return
	}
	budget := int64(maxContinuations * sectorSize)
	for _, skip := range []int{0, 14} {
		use, err := fs.readSystemUse(self.systemUse, skip, t.blockSize, &budget)
		if use.root && (use.known || err != nil) {
			t.layer, t.names, t.skip = "rockridge", rockRidgeNames, use.skip
			return
		}
	}
}

var (
	errContinuation = errors.New("rock ridge: a continuation area lies outside the image or refers to itself")
	errBudget       = errors.New("rock ridge: continuation areas of this volume overlap and exceed its size")
)

// readSystemUse reads every field of a system use area and of the areas it
// continues in. budget is what may still be read from such areas, in bytes; it
// keeps a volume whose records all share one area from being read for ever.
func (fs *FileSystem) readSystemUse(area []byte, skip int, blockSize int64, budget *int64) (rock, error) {
	use := rock{child: -1}
	links := linkTarget{}
	area = area[min(skip, len(area)):]
	for range maxContinuations {
		next := use.readArea(area, &links)
		if next == nil {
			use.target = links.path
			return use, nil
		}
		var err error
		if area, err = fs.continuation(next, blockSize, budget); err != nil {
			use.target = links.path
			return use, err
		}
	}
	use.target = links.path
	return use, errContinuation
}

// continuation reads the area a CE field points at (SUSP 5.1). Like Linux it
// takes no area longer than a sector.
func (fs *FileSystem) continuation(ce []byte, blockSize int64, budget *int64) ([]byte, error) {
	block := int64(binary.LittleEndian.Uint32(ce[0:]))
	offset := int64(binary.LittleEndian.Uint32(ce[8:]))
	length := int64(binary.LittleEndian.Uint32(ce[16:]))
	if length > sectorSize || block*blockSize+offset+length > fs.src.Size() {
		return nil, errContinuation
	}
	if *budget -= length; *budget < 0 {
		return nil, errBudget
	}
	area := make([]byte, length)
	if _, err := fs.src.ReadAt(area, block*blockSize+offset); err != nil {
		return nil, fmt.Errorf("rock ridge: read continuation area: %w", err)
	}
	return area, nil
}

// readArea reads the fields of one area and returns the payload of its CE
// field, nil if it does not go on.
func (u *rock) readArea(area []byte, links *linkTarget) (next []byte) {
	for len(area) >= 4 {
		size := int(area[2])
		if size < 4 || size > len(area) {
			return next
		}
		signature, payload := string(area[:2]), area[4:size]
		switch {
		case signature == "ST":
			return next
		case signature == "CE" && len(payload) >= 24:
			next = payload
		default:
			u.readField(signature, payload, links)
		}
		area = area[size:]
	}
	return next
}

func (u *rock) readField(signature string, p []byte, links *linkTarget) {
	switch {
	case signature == "SP" && len(p) >= 3:
		u.root = p[0] == 0xbe && p[1] == 0xef
		u.skip = int(p[2])
	case signature == "ER" && len(p) >= 4:
		u.known = u.known || isRockRidge(p)
	case signature == "RR":
		u.known = true
	case signature == "NM" && len(p) >= 1:
		u.readName(p)
	case signature == "PX" && len(p) >= 8:
		u.known = true
		u.mode = binary.LittleEndian.Uint32(p)
	case signature == "SL" && len(p) >= 1:
		links.add(p[1:])
	case signature == "CL" && len(p) >= 8:
		u.child = int64(binary.LittleEndian.Uint32(p))
	case signature == "RE":
		u.moved = true
	case signature == "TF" && len(p) >= 1:
		u.readTimes(p)
	case signature == "ZF":
		u.zisofs = true
	}
}

// isRockRidge reports whether an ER field (SUSP 5.5) announces Rock Ridge under
// one of the three identifiers it has had.
func isRockRidge(p []byte) bool {
	id := p[4:]
	id = id[:min(int(p[0]), len(id))]
	switch string(id) {
	case "RRIP_1991A", "IEEE_P1282", "IEEE_1282":
		return true
	}
	return false
}

// readName joins the parts of a name (RRIP 4.1.4). Flags 2 and 4 mean "." and
// "..", which the records themselves say better.
func (u *rock) readName(p []byte) {
	if p[0]&(2|4) == 0 {
		u.name = append(u.name, p[1:]...)
	}
}

// readTimes reads a TF field (RRIP 4.1.6): the flags say which stamps follow,
// in this order, and whether each has 7 or 17 bytes.
func (u *rock) readTimes(p []byte) {
	flags, stamps := p[0], p[1:]
	size, parse := 7, recordTime
	if flags&0x80 != 0 {
		size, parse = 17, longTime
	}
	order := []struct {
		flag byte
		set  func(*tutela.Times, []byte)
	}{
		{1 << 0, func(t *tutela.Times, b []byte) { t.Born = parse(b) }},
		{1 << 1, func(t *tutela.Times, b []byte) { t.Modified = parse(b) }},
		{1 << 2, func(t *tutela.Times, b []byte) { t.Accessed = parse(b) }},
		{1 << 3, func(t *tutela.Times, b []byte) { t.Changed = parse(b) }},
	}
	for _, o := range order {
		if flags&o.flag == 0 {
			continue
		}
		if len(stamps) < size {
			return
		}
		o.set(&u.times, stamps[:size])
		u.hasTimes = true
		stamps = stamps[size:]
	}
}

// linkTarget puts the components of SL fields together (RRIP 4.1.3).
type linkTarget struct {
	path    []byte
	started bool
	partial bool // the last component goes on in the next
}

func (l *linkTarget) add(components []byte) {
	for len(components) >= 2 {
		flags, size := components[0], int(components[1])
		if 2+size > len(components) {
			return
		}
		l.component(flags, components[2:2+size])
		components = components[2+size:]
	}
}

func (l *linkTarget) component(flags byte, text []byte) {
	if l.started && !l.partial && !bytes.HasSuffix(l.path, []byte("/")) {
		l.path = append(l.path, '/')
	}
	l.started, l.partial = true, flags&1 != 0
	switch {
	case flags&2 != 0:
		l.path = append(l.path, '.')
	case flags&4 != 0:
		l.path = append(l.path, ".."...)
	case flags&8 != 0:
		l.path = append(l.path, '/')
	default:
		l.path = append(l.path, text...)
	}
}
