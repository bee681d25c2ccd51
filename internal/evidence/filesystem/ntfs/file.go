package ntfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"tutela"
)

// file is a base record with all its attributes, wherever they are stored.
type file struct {
	record
	attributes []attribute
	findings   []tutela.Finding
}

func (f *file) find(code, detail string) {
	f.findings = append(f.findings, tutela.Finding{Code: code, Detail: detail})
}

// gather collects the attributes of r: its own and, if it has an attribute list,
// those in the records listed. A listed record must say itself that it belongs
// to r, so each is read for one file only and no list can lead in a circle.
func (w *walker) gather(r record) file {
	f := file{record: r}
	if r.damage != "" {
		f.find(tutela.FindingDamaged, r.damage)
	}
	attributes, err := r.attributes(w.scratch[:0])
	if err != nil {
		f.find(tutela.FindingDamaged, err.Error())
	}
	if list := firstOf(attributes, typeAttributeList); list != nil {
		attributes = w.gatherListed(&f, *list, attributes)
	}
	w.scratch = attributes[:0]
	f.attributes = attributes
	return f
}

func (w *walker) gatherListed(f *file, list attribute, attributes []attribute) []attribute {
	if !list.resident && !w.lists.take(list.size) {
		f.find(tutela.FindingLimit, "attribute lists larger than the volume")
		return attributes
	}
	value, err := w.fs.listValue(&list)
	if err != nil {
		f.find(tutela.FindingDamaged, err.Error())
		return attributes
	}
	refs, err := listedRecords(value, f.number)
	if err != nil {
		f.find(tutela.FindingDamaged, err.Error())
	}
	for _, ref := range refs {
		r, err := w.extension(ref, f)
		if err != nil {
			f.find(tutela.FindingDamaged, err.Error())
			continue
		}
		if r.damage != "" {
			f.find(tutela.FindingDamaged, fmt.Sprintf("record %d: %s", r.number, r.damage))
		}
		if attributes, err = r.attributes(attributes); err != nil {
			f.find(tutela.FindingDamaged, fmt.Sprintf("record %d: %v", r.number, err))
		}
	}
	return attributes
}

// extension reads a record that holds more attributes of f.
func (w *walker) extension(ref reference, f *file) (record, error) {
	base, ok := w.extensions[ref.number()]
	if !ok || base.number() != f.number || !f.meets(base) || !w.heads[ref.number()].meets(ref) {
		return record{}, fmt.Errorf("attribute list: record %d does not belong to this file", ref.number())
	}
	return w.fs.mft.read(ref.number())
}

// names are those a person would see: DOS names only where there is no other.
func (f *file) names() (names []fileName) {
	var short []fileName
	for i := range f.attributes {
		a := &f.attributes[i]
		if a.kind != typeFileName || !a.resident {
			continue
		}
		n, err := parseFileName(a.value)
		switch {
		case err != nil:
			f.find(tutela.FindingDamaged, err.Error())
		case len(n.name) == 0:
			f.find(tutela.FindingDamaged, "an empty file name")
		case n.space == namespaceDOS:
			short = append(short, n)
		default:
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return short
	}
	return names
}

// standard reads the times of $STANDARD_INFORMATION.
func (f *file) standard() (t tutela.Times) {
	a := firstOf(f.attributes, typeStandardInformation)
	if a == nil || len(a.value) < 36 {
		return t
	}
	sane := [4]bool{}
	t.Born, sane[0] = filetime(a.value)
	t.Modified, sane[1] = filetime(a.value[8:])
	t.Changed, sane[2] = filetime(a.value[16:])
	t.Accessed, sane[3] = filetime(a.value[24:])
	if slices.Contains(sane[:], false) {
		f.find(tutela.FindingDamaged, "a time beyond the year 9999")
	}
	return t
}

// contents groups the attributes that become entries (see the package comment):
// each group is one content, its parts in order of their clusters. The groups
// come ordered by type and name.
func (f *file) contents() (groups [][]attribute) {
	var parts []attribute
	for _, a := range f.attributes {
		if a.kind == typeData || a.kind == typeIndexRoot && !bytes.Equal(a.name, directoryIndex) {
			parts = append(parts, a)
		}
	}
	sortParts(parts)
	for len(parts) > 0 {
		n := 1
		for n < len(parts) && continues(&parts[n], &parts[0]) {
			n++
		}
		groups = append(groups, parts[:n:n])
		parts = parts[n:]
	}
	return groups
}

var directoryIndex = []byte("$\x00I\x003\x000\x00")

// continues reports whether a is a further part of the content that first
// begins. A second beginning under the same name is a content of its own.
func continues(a, first *attribute) bool {
	return compareContent(a, first) == 0 && !a.resident && !first.resident && a.low > 0
}

func compareContent(a, b *attribute) int {
	if c := cmp.Compare(a.kind, b.kind); c != 0 {
		return c
	}
	return bytes.Compare(a.name, b.name)
}

func sortParts(parts []attribute) {
	slices.SortStableFunc(parts, func(a, b attribute) int {
		if c := compareContent(&a, &b); c != 0 {
			return c
		}
		return cmp.Compare(a.low, b.low)
	})
}

// unnamedData are the parts of the non-resident, unnamed $DATA, in order.
func unnamedData(attributes []attribute) (parts []attribute) {
	for _, a := range attributes {
		if a.kind == typeData && len(a.name) == 0 && !a.resident {
			parts = append(parts, a)
		}
	}
	sortParts(parts)
	return parts
}

func firstOf(attributes []attribute, kind uint32) *attribute {
	for i := range attributes {
		if attributes[i].kind == kind {
			return &attributes[i]
		}
	}
	return nil
}

// reparse reads $REPARSE_POINT; ok is false where the file has none.
func (w *walker) reparse(f *file) (p reparsePoint, ok bool) {
	a := firstOf(f.attributes, typeReparsePoint)
	if a == nil {
		return p, false
	}
	value := a.value
	if !a.resident {
		s, problems := w.fs.assemble([]attribute{*a})
		if len(problems) > 0 || s.size > maxReparseBytes {
			f.find(tutela.FindingDamaged, "the reparse point cannot be read")
			return p, false
		}
		value = make([]byte, s.size)
		if n, err := s.ReadAt(value, 0); n < len(value) {
			f.find(tutela.FindingReadError, "reparse point: "+err.Error())
			return p, false
		}
	}
	if len(value) < 8 {
		f.find(tutela.FindingDamaged, fmt.Sprintf("reparse point of %d bytes", len(value)))
		return p, false
	}
	return reparsePoint{binary.LittleEndian.Uint32(value), value[8:]}, true
}
