package ntfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

var (
	errEncrypted = fmt.Errorf("content is encrypted (EFS): %w", evidence.ErrUnsupported)
	errTooMuch   = errors.New("content larger than the volume is not read")
	errCrowded   = errors.New("files in use claim more clusters than the volume has: not read")
)

var badClusters = []byte("$\x00B\x00a\x00d\x00")

// item makes one content readable.
func (w *walker) item(f *file, parts []attribute) item {
	first := &parts[0]
	it := item{kind: tutela.File, at: "$DATA"}
	if first.kind == typeIndexRoot {
		it.at = "$INDEX_ROOT"
	}
	if len(first.name) > 0 {
		it.suffix = append([]byte{':'}, evidence.WTF8(first.name, binary.LittleEndian)...)
		it.at += string(it.suffix)
	}
	if first.resident {
		it.readResident(first)
		return it
	}
	s, problems := w.fs.assemble(parts)
	for _, p := range problems {
		it.find(tutela.FindingDamaged, p)
	}
	if f.number == recordBadClus && bytes.Equal(first.name, badClusters) {
		s = s.onlyMapped()
	}
	w.readClusters(&it, f, first, &s)
	return it
}

// readResident copies the value: its record is gone when the next one is read.
func (it *item) readResident(a *attribute) {
	value := bytes.Clone(a.value)
	it.size = int64(len(value))
	it.inRecord = true
	it.open = func() (evidence.Content, error) { return openBytes(value) }
	if a.encrypted() {
		it.find(tutela.FindingEncrypted, "EFS")
		it.refuse(errEncrypted)
	}
}

// readClusters makes a non-resident content readable, unless it is encrypted or
// claims what no volume can hold.
func (w *walker) readClusters(it *item, f *file, first *attribute, s *stream) {
	it.size = s.size
	it.clusters = s.mappedBytes()
	it.runs, it.slack = s.sourceRuns(), s.slack()
	it.open = s.open
	if first.compressed() {
		it.runs = nil
		it.open = s.openCompressed
	}
	w.tellClusters(it, f, s)
	switch {
	case first.encrypted():
		it.find(tutela.FindingEncrypted, "EFS")
		it.refuse(errEncrypted)
	case first.compressed() && !lznt1Units(first):
		reason := fmt.Sprintf("compression %d in units of 2^%d clusters", first.flags&attributeCompression, first.unitShift)
		it.find(tutela.FindingUnsupported, reason)
		it.refuse(fmt.Errorf("%s: %w", reason, evidence.ErrUnsupported))
	default:
		if err := w.affordable(f, first, s); err != nil {
			it.find(tutela.FindingLimit, err.Error())
			it.refuse(err)
		}
	}
}

// lznt1Units: XP leaves the unit size of some compressed attributes 0 (FSNTFS
// "Non-resident MFT attribute").
func lznt1Units(a *attribute) bool {
	return a.flags&attributeCompression == 1 && (a.unitShift == unitShift || a.unitShift == 0)
}

// tellClusters says what happened to the clusters of a content: cut off with the
// image, or given to another file since.
func (w *walker) tellClusters(it *item, f *file, s *stream) {
	if s.mappedBytes() > s.heldBytes() {
		it.find(tutela.FindingTruncated, "clusters lie behind the end of the image")
	}
	if f.inUse() || w.bitmap == nil {
		return
	}
	if !w.checked.take(s.mappedBytes()) {
		it.find(tutela.FindingLimit, "not known whether it is overwritten: deleted files claim too many clusters")
		return
	}
	used, all, err := w.bitmap.overwritten(s)
	switch {
	case err != nil:
		it.find(tutela.FindingReadError, err.Error()+": not known whether it is overwritten")
	case used > 0:
		it.find(tutela.FindingOverwritten, fmt.Sprintf("%d of %d clusters belong to other files now", used, all))
	}
}

// affordable is an error where reading s takes longer than a volume can demand:
// no more zeros than it has bytes (compression makes 16 of one), and
// all files in use together no more than twice its clusters, each of which can
// belong to one file only.
func (w *walker) affordable(f *file, first *attribute, s *stream) error {
	backed := s.mappedBytes()
	if first.compressed() {
		backed = product(backed, unitClusters)
	}
	held := s.heldBytes()
	if s.size-backed > w.fs.held() || held > w.fs.held() {
		return errTooMuch
	}
	if f.inUse() && !w.claimed.take(held) {
		return errCrowded
	}
	return nil
}

// heldBytes is how much of the mapped clusters the source has.
func (s *stream) heldBytes() (n int64) {
	size := s.src.Size()
	for _, e := range s.extents {
		if e.mapped() {
			n += max(0, min(e.length*s.cluster, size-e.lcn*s.cluster))
		}
	}
	return n
}

// onlyMapped is the clusters of s one behind another.
func (s *stream) onlyMapped() stream {
	out := stream{src: s.src, cluster: s.cluster}
	for _, e := range s.extents {
		if e.mapped() {
			out.extents = append(out.extents, extent{out.end(), e.lcn, e.length})
		}
	}
	out.size = out.mappedBytes()
	out.valid = out.size
	return out
}
