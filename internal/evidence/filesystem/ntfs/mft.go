package ntfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
)

// table is the MFT: records of one size, in the clusters of its own record 0.
type table struct {
	stream
	recordSize int64
	records    int64
	first      record // record 0
	mirrored   bool   // first is from $MFTMirr
}

// openTable finds record 0, at the place the boot sector names or in the mirror,
// and from it the clusters of all others.
func (fs *FileSystem) openTable() error {
	first, mirrored, err := fs.firstRecord()
	if err != nil {
		return err
	}
	attributes, err := first.attributes(nil)
	if err != nil {
		fs.find(tutela.FindingDamaged, "$MFT: "+err.Error())
	}
	parts := unnamedData(attributes)
	if len(parts) == 0 {
		return errors.New("record 0 of the mft has no content")
	}
	fs.mft = table{recordSize: fs.geo.record, first: first, mirrored: mirrored}
	problems := fs.extendTable(parts, attributes)
	for _, p := range problems {
		fs.find(tutela.FindingDamaged, "$MFT: "+p)
	}
	return fs.boundTable()
}

// boundTable keeps the table within what the source can hold, whatever its
// record says: sparse clusters cost nothing and could claim any number.
func (fs *FileSystem) boundTable() error {
	t := &fs.mft
	if t.mappedBytes() == 0 {
		return errors.New("the mft has no clusters")
	}
	if held := min(t.mappedBytes(), fs.held()); t.size > held {
		fs.find(tutela.FindingDamaged, fmt.Sprintf("the mft claims %d bytes and has %d", t.size, held))
		t.size = held
	}
	for i := range t.extents {
		if t.extents[i].lcn == sparse {
			t.extents[i].lcn = missing
		}
	}
	// Records beyond the valid length were never written: what lies there is
	// what the clusters held before they became part of the MFT.
	if t.valid >= firstUserRecord*t.recordSize {
		t.size = min(t.size, t.valid)
	}
	t.valid = t.size
	t.records = t.size / t.recordSize
	if t.records == 0 {
		return fmt.Errorf("the mft has %d bytes: not one record", t.size)
	}
	return nil
}

// firstRecord is the best record 0 there is: whole from the MFT, whole from the
// mirror, or torn.
func (fs *FileSystem) firstRecord() (r record, mirrored bool, err error) {
	own, ownErr := fs.recordZeroAt(fs.geo.mft)
	if ownErr == nil && own.damage == "" {
		return own, false, nil
	}
	mirror, mirrorErr := fs.recordZeroAt(fs.geo.mirror)
	switch {
	case mirrorErr == nil && (ownErr != nil || mirror.damage == ""):
		fs.find(tutela.FindingBackupTable, "record 0 of the mft is bad: its copy in $MFTMirr was used")
		return mirror, true, nil
	case ownErr == nil:
		return own, false, nil
	}
	return r, false, fmt.Errorf("no record 0: in the mft: %w; in its mirror: %w", ownErr, mirrorErr)
}

func (fs *FileSystem) recordZeroAt(lcn int64) (record, error) {
	b := make([]byte, fs.geo.record)
	if err := readFull(fs.src, b, lcn*fs.geo.cluster); err != nil {
		return record{}, err
	}
	r, err := parseRecord(recordMFT, b)
	if err != nil {
		return r, err
	}
	if !r.inUse() || r.base != 0 {
		return r, errors.New("record 0 is not in use")
	}
	attributes, _ := r.attributes(nil)
	if len(unnamedData(attributes)) == 0 {
		return r, errors.New("record 0 has no content")
	}
	return r, nil
}

// extendTable assembles the table from record 0 and, if that has an attribute
// list, from the records it lists. Those lie in the table itself, so it is
// assembled again as long as that makes another of them readable.
func (fs *FileSystem) extendTable(parts, attributes []attribute) (problems []string) {
	fs.mft.stream, problems = fs.assemble(parts)
	list := firstOf(attributes, typeAttributeList)
	if list == nil {
		return problems
	}
	value, err := fs.listValue(list)
	if err != nil {
		return append(problems, err.Error())
	}
	waiting, err := listedRecords(value, recordMFT)
	if err != nil {
		problems = append(problems, err.Error())
	}
	for progress := true; progress; {
		progress = false
		waiting, parts, progress = fs.readListed(waiting, parts)
		fs.mft.stream, problems = fs.assemble(parts)
	}
	if len(waiting) > 0 {
		problems = append(problems, fmt.Sprintf("%d records of its attribute list cannot be read", len(waiting)))
	}
	return problems
}

func (fs *FileSystem) readListed(waiting []reference, parts []attribute) (still []reference, all []attribute, progress bool) {
	for _, ref := range waiting {
		r, err := fs.mft.read(ref.number())
		if err != nil || r.base.number() != recordMFT || r.sequence != ref.sequence() || !r.inUse() {
			still = append(still, ref)
			continue
		}
		attributes, _ := r.attributes(nil)
		parts = append(parts, unnamedData(attributes)...)
		progress = true
	}
	sortParts(parts)
	return still, parts, progress
}

// read reads one record out of order.
func (t *table) read(number int64) (record, error) {
	if number < 0 || number >= t.size/t.recordSize {
		return record{}, fmt.Errorf("record %d is beyond the mft", number)
	}
	b := make([]byte, t.recordSize)
	if _, err := t.ReadAt(b, number*t.recordSize); err != nil {
		return record{}, fmt.Errorf("record %d: %w", number, err)
	}
	return parseRecord(number, b)
}

// each visits every record that was ever used, in order, reading in large
// steps. The record's bytes are good until visit returns. A record that cannot
// be read, or is none, comes with an error.
func (t *table) each(ctx context.Context, visit func(record, error) error) error {
	chunk := make([]byte, min(readChunk, t.records*t.recordSize))
	for number := int64(0); number < t.records; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := chunk[:min(int64(len(chunk)), (t.records-number)*t.recordSize)]
		_, err := t.ReadAt(b, number*t.recordSize)
		if err != nil && int64(len(b)) > t.recordSize {
			err = t.eachAlone(number, b, visit)
		} else {
			err = t.eachIn(number, b, err, visit)
		}
		if err != nil {
			return err
		}
		number += int64(len(b)) / t.recordSize
	}
	return nil
}

// eachAlone reads record by record where a large step failed.
func (t *table) eachAlone(number int64, b []byte, visit func(record, error) error) error {
	for ; len(b) > 0; b = b[t.recordSize:] {
		one := b[:t.recordSize]
		_, err := t.ReadAt(one, number*t.recordSize)
		if err := t.eachIn(number, one, err, visit); err != nil {
			return err
		}
		number++
	}
	return nil
}

func (t *table) eachIn(number int64, b []byte, readErr error, visit func(record, error) error) error {
	for ; len(b) > 0; b = b[t.recordSize:] {
		r, err := record{number: number}, readErr
		switch {
		case number == recordMFT && t.mirrored:
			r, err = t.first, nil
		case readErr == nil:
			r, err = parseRecord(number, b[:t.recordSize:t.recordSize])
		}
		number++
		if err == errNeverUsed {
			continue
		}
		if err := visit(r, err); err != nil {
			return err
		}
	}
	return nil
}

// Attribute lists: FSNTFS "The attribute list attribute".

// listValue reads an attribute list, which may lie outside its record.
func (fs *FileSystem) listValue(list *attribute) ([]byte, error) {
	if list.resident {
		return list.value, nil
	}
	s, problems := fs.assemble([]attribute{*list})
	if len(problems) > 0 {
		return nil, fmt.Errorf("attribute list: %s", problems[0])
	}
	if s.size > maxListBytes || list.compressed() {
		return nil, fmt.Errorf("attribute list of %d bytes, flags %#x", s.size, list.flags)
	}
	b := make([]byte, s.size)
	if n, err := s.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("attribute list: %w", err)
	}
	return b, nil
}

// listedRecords are the records that a list names, each once, without the one
// the list belongs to. With an error come those before it.
func listedRecords(list []byte, owner int64) (refs []reference, err error) {
	seen := map[int64]bool{owner: true}
	for len(list) >= 24 {
		length := int(binary.LittleEndian.Uint16(list[4:]))
		if length < 24 || length > len(list) {
			return refs, fmt.Errorf("attribute list: entry of %d bytes with %d left", length, len(list))
		}
		ref := reference(binary.LittleEndian.Uint64(list[16:]))
		if !seen[ref.number()] {
			seen[ref.number()] = true
			refs = append(refs, ref)
		}
		list = list[length:]
	}
	return refs, nil
}
