package vhdx

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/image/virtual"
)

const (
	logSector     = 4096
	logHeader     = 64
	logDescriptor = 32
	// maxLog bounds the log that is replayed, in bytes. Windows makes logs of 1 MB.
	maxLog = 64 << 20
	// maxPatches bounds the changes that are laid over a file.
	maxPatches = 1 << 16
	// maxSealing is how many times the length of a log its checksums may take:
	// entries do not overlap, but leftovers of older ones look as if they did.
	maxSealing = 8
)

// replay is the file as it is after its log was written into it ([MS-VHDX]
// 2.3.3). Nothing is written: the changes lie over the file in memory.
func replay(file evidence.Source, h header, files *virtual.Files) (evidence.Source, error) {
	if h.log == (guid{}) {
		return file, nil
	}
	if h.logLength == 0 || h.logLength%logSector != 0 || h.logOffset < alignment {
		return nil, fmt.Errorf("vhdx: a log of %d bytes at %d", h.logLength, h.logOffset)
	}
	if h.logLength > maxLog {
		return nil, fmt.Errorf("vhdx: a log of %d bytes not replayed: %w", h.logLength, evidence.ErrUnsupported)
	}
	b, err := virtual.Read(file, h.logOffset, int(h.logLength))
	if err != nil {
		return nil, fmt.Errorf("vhdx: log: %w", err)
	}
	l := ring{b, h.log}
	entries, err := l.active()
	if err != nil {
		return nil, fmt.Errorf("vhdx: %w", err)
	}
	o := &overlay{Source: file, size: file.Size()}
	for _, e := range entries {
		if err := o.apply(e, l.read(e.at, e.length)); err != nil {
			return nil, fmt.Errorf("vhdx: log entry %d: %w", e.sequence, err)
		}
	}
	if need := entries[len(entries)-1].flushed; file.Size() < need {
		files.Note(tutela.FindingTruncated, "vhdx: the file had %d bytes when the log was written, %d are here", need, file.Size())
	}
	files.Note(tutela.FindingDamaged, "vhdx: the disk was not closed: %d entries of its log were replayed, in memory", len(entries))
	return o, nil
}

// ring is the log: entries that may go on at its beginning.
type ring struct {
	bytes []byte
	id    guid
}

// logEntry is an entry whose checksum matches.
type logEntry struct {
	at, length int64 // in the ring
	tail       int64
	sequence   uint64
	flushed    int64 // the least length of the file, in bytes
}

// read is length bytes of the ring.
func (l ring) read(at, length int64) []byte {
	b := make([]byte, 0, length)
	for int64(len(b)) < length {
		from := l.bytes[(at+int64(len(b)))%int64(len(l.bytes)):]
		b = append(b, from[:min(int64(len(from)), length-int64(len(b)))]...)
	}
	return b
}

// entry is what could be an entry at a place, its checksum not yet held
// ([MS-VHDX] 2.3.1.1).
func (l ring) entry(at int64) (e logEntry, ok bool) {
	le := binary.LittleEndian
	b := l.read(at, logHeader)
	e = logEntry{
		at: at, length: int64(le.Uint32(b[8:])), tail: int64(le.Uint32(b[12:])),
		sequence: le.Uint64(b[16:]), flushed: int64(le.Uint64(b[48:])),
	}
	ok = string(b[:4]) == "loge" && guid(b[32:48]) == l.id && e.sequence != 0 &&
		e.length > 0 && e.length%logSector == 0 && e.length <= int64(len(l.bytes)) &&
		e.tail%logSector == 0 && e.tail < int64(len(l.bytes))
	return e, ok
}

// active is the sequence of entries to replay: of those whose newest entry says
// that its oldest belongs to them, the one with the newest ([MS-VHDX] 2.3.2).
func (l ring) active() ([]logEntry, error) {
	all := make([]logEntry, len(l.bytes)/logSector) // by place; without a length there is none
	var heads []logEntry
	budget := maxSealing * int64(len(l.bytes))
	for n := range all {
		e, ok := l.entry(int64(n) * logSector)
		if !ok {
			continue
		}
		if budget -= e.length; budget < 0 {
			return nil, errors.New("the entries of the log overlap")
		}
		if sealed(l.read(e.at, e.length)) {
			all[n] = e
			heads = append(heads, e)
		}
	}
	slices.SortStableFunc(heads, func(a, b logEntry) int { return cmp.Compare(b.sequence, a.sequence) })
	for _, head := range heads {
		if chain := l.chain(all, head); chain != nil {
			return chain, nil
		}
	}
	return nil, errors.New("the log is not empty, and no sequence of entries in it holds together")
}

// chain are the entries from the tail of head to head itself, if they are there
// without a gap.
func (l ring) chain(all []logEntry, head logEntry) []logEntry {
	var chain []logEntry
	for at, last := head.tail, uint64(0); ; {
		e := all[at/logSector]
		if e.length == 0 || last != 0 && e.sequence != last+1 || e.sequence > head.sequence {
			return nil
		}
		chain = append(chain, e)
		if e.at == head.at {
			return chain
		}
		at, last = (at+e.length)%int64(len(l.bytes)), e.sequence
	}
}

// overlay is a file with changes over it. It is not changed once it is complete.
type overlay struct {
	evidence.Source
	size    int64
	patches []patch // a later one lies over an earlier
}

// patch is a stretch of the file; without bytes it is zeros.
type patch struct {
	offset, length int64
	bytes          []byte
}

func (o *overlay) Size() int64 { return o.size }

// apply takes the descriptors of an entry and its data sectors ([MS-VHDX]
// 2.3.1.2 to 2.3.1.4).
func (o *overlay) apply(e logEntry, b []byte) error {
	count := int64(binary.LittleEndian.Uint32(b[24:]))
	data := (logHeader + count*logDescriptor + logSector - 1) / logSector * logSector
	if data > e.length {
		return fmt.Errorf("%d descriptors", count)
	}
	if int64(len(o.patches))+count > maxPatches {
		return fmt.Errorf("more than %d changes not replayed: %w", maxPatches, evidence.ErrUnsupported)
	}
	sectors := b[data:]
	for n := range count {
		d := b[logHeader+n*logDescriptor:][:logDescriptor]
		p, err := newPatch(e, d, sectors)
		if err != nil {
			return err
		}
		if p.bytes != nil {
			sectors = sectors[logSector:]
		}
		o.patches = append(o.patches, p)
		o.size = max(o.size, p.offset+p.length)
	}
	return nil
}

// newPatch is the change that a descriptor asks for. The bytes of a data
// descriptor lie in the next data sector, but for the first eight and the last
// four.
func newPatch(e logEntry, d, sectors []byte) (patch, error) {
	le := binary.LittleEndian
	if le.Uint64(d[24:]) != e.sequence {
		return patch{}, errors.New("a descriptor of another entry")
	}
	p := patch{offset: int64(le.Uint64(d[16:])), length: logSector}
	switch string(d[:4]) {
	case "zero":
		p.length = int64(le.Uint64(d[8:]))
	case "desc":
		if len(sectors) < logSector {
			return p, errors.New("a data sector is missing")
		}
		s := sectors[:logSector]
		if string(s[:4]) != "data" || le.Uint32(s[4:]) != uint32(e.sequence>>32) || le.Uint32(s[4092:]) != uint32(e.sequence) {
			return p, errors.New("a data sector of another entry")
		}
		p.bytes = slices.Concat(d[8:16], s[8:4092], d[4:8])
	default:
		return p, fmt.Errorf("a descriptor %q", d[:4])
	}
	if p.offset < 0 || p.length < 0 || p.offset%logSector != 0 || p.length%logSector != 0 || p.offset+p.length < p.offset {
		return p, fmt.Errorf("%d bytes at %d", p.length, p.offset)
	}
	return p, nil
}

// ReadAt reads from the file, and what the changes cover from them. What lies
// between the end of the file and a change behind it is missing.
func (o *overlay) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.Source.ReadAt(p, off)
	good := n
	for _, c := range o.patches {
		from, to := max(c.offset, off), min(c.offset+c.length, off+int64(len(p)))
		if from >= to {
			continue
		}
		into := p[from-off : to-off]
		if c.bytes == nil {
			clear(into)
		} else {
			copy(into, c.bytes[from-c.offset:])
		}
	}
	for moved := true; moved && good < len(p); {
		moved = false
		for _, c := range o.patches {
			if at := off + int64(good); c.offset <= at && at < c.offset+c.length {
				good, moved = int(min(int64(len(p)), c.offset+c.length-off)), true
			}
		}
	}
	if good == len(p) {
		return good, nil
	}
	return good, err
}
