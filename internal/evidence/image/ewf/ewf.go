// Package ewf reads the disk inside an Expert Witness image: .E01 as EnCase,
// FTK Imager and others write it, and .s01 of SMART.
//
// Start with [Open] on the first segment; the others (E02 … E99, EAA … ZZZ) are
// found beside it. The [Disk] is the medium; it says what the image says of the
// acquisition ([Disk.Facts]), of the digests of the medium ([Disk.Stored]), of
// sectors that were not read then ([Disk.BadSectors]), and what is wrong with
// it ([Disk.Notes]).
//
// The format is that of "Expert Witness Compression Format specification" (J.
// Metz, libyal), whose section names the comments use: the original format,
// EWF-E01 of EnCase 1 to 7, FTK and linen, EWF-S01, EWF-X.
//
// Promised: every section, table and chunk is held against its Adler-32. A chunk
// that fails it is an *evidence.ReadError for the bytes of that chunk; its
// neighbours are readable. A damaged table is replaced by its copy, with a note.
// A segment that is missing, out of order or of another image is an error that
// names it. Memory does not grow with the size of the medium: tables are read
// when they are needed, a few chunks are kept.
//
// Not promised: that the image is what was acquired; only the stored digests
// tell. Not read: EWF version 2 (Ex01, Lx01), logical files (L01), images
// encrypted by FTK Imager, several images in one set of segments. What a
// truncated segment holds behind its last table is lost.
package ewf

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"tutela"
	"tutela/internal/evidence"
)

// Disk is the medium inside an image. It is safe for concurrent use until Close.
type Disk struct {
	files  *files
	tables *tables
	chunks *chunks
	chunk  int64 // length of all chunks but the last, in bytes
	size   int64 // of the medium, in bytes
	sector int64 // bytes
	sure   bool  // a checksum covers these

	facts   []evidence.Fact
	digests []evidence.StoredDigest
	bad     []sectors

	mu    sync.Mutex // guards notes
	notes []tutela.Finding
}

var _ evidence.File = (*Disk)(nil)

// Open opens the image whose first segment is called name. The error wraps
// evidence.ErrNotThis if it is no such image, evidence.ErrUnsupported for its
// kin that are not read, fs.ErrNotExist for a segment that is missing.
func Open(st evidence.Storage, name string) (*Disk, error) {
	if err := recognise(st, name); err != nil {
		return nil, err
	}
	names, next, err := segmentsOf(st, name)
	if err != nil {
		return nil, err
	}
	d := &Disk{files: newFiles(st, names)}
	segments, err := d.files.walkAll()
	if err == nil {
		err = d.assemble(segments, next)
	}
	if err != nil {
		return nil, errors.Join(err, d.files.close())
	}
	d.chunks = newChunks(d)
	return d, nil
}

// recognise tells from the first bytes what the file is.
func recognise(st evidence.Storage, name string) error {
	f, err := st.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, headerSize)
	n, _ := f.ReadAt(b, 0)
	switch b = b[:n]; {
	case n < len(signature):
	case string(b[:8]) == signature:
		return nil
	case string(b[:8]) == signatureL:
		return fmt.Errorf("ewf: logical evidence file (L01) not read: %w", evidence.ErrUnsupported)
	case string(b[:8]) == signature2:
		return fmt.Errorf("ewf: version 2 (Ex01) not read: %w", evidence.ErrUnsupported)
	case string(b[:8]) == signatureL2:
		return fmt.Errorf("ewf: logical evidence file of version 2 (Lx01) not read: %w", evidence.ErrUnsupported)
	}
	return evidence.ErrNotThis
}

// walkers is how many segments are walked at once: most of it is waiting for a
// disk or a network.
const walkers = 8

// walkAll walks all segments. Those behind the one that says it is the last are
// left out.
func (f *files) walkAll() ([]*segment, error) {
	segments, errs := make([]*segment, len(f.names)), make([]error, len(f.names))
	var group errgroup.Group
	group.SetLimit(walkers)
	for i := range f.names {
		group.Go(func() error {
			segments[i], errs[i] = f.walk(i)
			return nil
		})
	}
	group.Wait()
	for i, s := range segments {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if s.ended == "done" {
			return segments[:i+1], nil
		}
	}
	return segments, nil
}

// assemble makes one medium of the segments. next is the name of the segment
// that would follow the last that was found.
func (d *Disk) assemble(segments []*segment, next string) error {
	last := segments[len(segments)-1]
	if last.ended == "next" {
		return fmt.Errorf("segment %s of the image is missing: %w", cmp.Or(next, fmt.Sprint(len(segments)+1)), fs.ErrNotExist)
	}
	for _, s := range segments {
		d.notes = append(d.notes, s.notes...)
		d.facts = append(d.facts, s.facts...)
		d.bad = append(d.bad, s.badSectors...)
		d.collect(s.digests)
	}
	if extra := len(d.files.names) - len(segments); extra > 0 {
		d.note(tutela.FindingDamaged, "%s says that it is the last segment, and %d more are there, which are not read", last.name, extra)
	}
	g, err := d.measure(segments)
	if err != nil {
		return err
	}
	for _, s := range segments[1:] {
		if why := g.foreign(s.data); why != "" {
			return fmt.Errorf("%s is a segment of another image: %s", s.name, why)
		}
	}
	if err := d.join(segments); err != nil {
		return err
	}
	if err := d.reconcile(g, segments); err != nil {
		return err
	}
	d.noteErrors()
	return nil
}

// collect adds digests, and says so if they differ from those that are there.
func (d *Disk) collect(digests []evidence.StoredDigest) {
	for _, one := range digests {
		same := func(other evidence.StoredDigest) bool {
			return one.Algorithm == other.Algorithm && slices.Equal(one.Value, other.Value)
		}
		if !slices.ContainsFunc(d.digests, same) && len(d.digests) < 64 {
			d.digests = append(d.digests, one)
		}
	}
}

// measure finds the geometry: of the first volume section or, where that is
// missing or damaged, of a data section.
func (d *Disk) measure(segments []*segment) (*geometry, error) {
	g := segments[0].volume
	if g == nil || !g.sound {
		for _, s := range segments {
			if s.data != nil && s.data.sound {
				d.note(tutela.FindingBackupTable, "%s: the volume section cannot be used, the data section of %s is", segments[0].name, s.name)
				g = s.data
				break
			}
		}
	}
	if g == nil {
		return nil, fmt.Errorf("read %s: it has no volume section", segments[0].name)
	}
	chunk, err := g.chunk()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", segments[0].name, err)
	}
	d.chunk, d.sector, d.sure = chunk, g.bytesPerSector, g.sound
	return g, nil
}

// join numbers the chunks through all tables.
func (d *Disk) join(segments []*segment) error {
	t := &tables{files: d.files, note: d.note, size: d.chunk, measure: d.weigh, states: map[int]state{}}
	first := int64(0)
	for _, s := range segments {
		for _, one := range s.tables {
			one.first = first
			first += one.entries
			t.all = append(t.all, one)
		}
		if len(t.all) > mostTables {
			return fmt.Errorf("more than %d tables", mostTables)
		}
	}
	t.all = slices.Clip(t.all)
	d.tables = t
	return nil
}

// reconcile holds the tables against the geometry. A medium whose length nothing
// tells is as long as its chunks.
func (d *Disk) reconcile(g *geometry, segments []*segment) error {
	for _, s := range segments {
		if g.sectors == 0 && s.data != nil && s.data.sound {
			g.sectors = s.data.sectors // written when the end was known
		}
	}
	var told int64
	if all := d.tables.all; len(all) > 0 {
		told = all[len(all)-1].first + all[len(all)-1].entries
	}
	counted := g.sectors > 0 && g.sound
	if g.sectors == 0 && told > 0 {
		d.note(tutela.FindingDamaged, "nothing tells how long the medium is; it is taken to end with the last chunk")
		g.sectors = told * g.sectorsPerChunk
	}
	size, err := g.size()
	if err != nil {
		return err
	}
	d.size = size
	d.compare(told, (size+d.chunk-1)/d.chunk, counted, unsure(segments))
	return nil
}

// unsure is the first table, of all segments, before which some may be missing.
func unsure(segments []*segment) int {
	before := 0
	for _, s := range segments {
		if s.unsure <= len(s.tables) {
			return before + s.unsure
		}
		before += len(s.tables)
	}
	return before
}

// compare says so where the tables do not tell of the chunks that the medium
// has. Behind a place where a table may be missing, the numbers of the chunks
// can be trusted only if none is, which is so if the chunks of the medium were
// counted and are all there.
func (d *Disk) compare(told, expected int64, counted bool, unsure int) {
	all := d.tables.all
	switch {
	case told == expected && (counted || unsure >= len(all)):
		return
	case unsure < len(all):
		d.note(tutela.FindingDamaged, "tables are missing; nothing behind byte %d of the medium can be read", all[unsure].first*d.chunk)
		for i := unsure; i < len(all); i++ {
			all[i].lost = true
		}
	case told < expected:
		d.note(tutela.FindingTruncated, "the tables tell of %d chunks, the medium has %d", told, expected)
	default:
		d.note(tutela.FindingDamaged, "the tables tell of %d chunks, the medium has %d; the others are not read", told, expected)
	}
}

func (d *Disk) noteErrors() {
	var total int64
	for _, s := range d.bad {
		total += s.count
	}
	if len(d.bad) > 0 {
		d.note(tutela.FindingReadError, "the acquisition could not read %d sectors in %d stretches, the first at sector %d; they are read as they were stored", total, len(d.bad), d.bad[0].first)
	}
}

// note keeps what must be said, once.
func (d *Disk) note(code, format string, args ...any) {
	f := tutela.Finding{Code: code, Detail: fmt.Sprintf(format, args...)}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.notes) < 10*mostNotes && !slices.Contains(d.notes, f) {
		d.notes = append(d.notes, f)
	}
}

// Size is the length of the medium in bytes.
func (d *Disk) Size() int64 { return d.size }

// SectorSize is the length of a sector of the medium in bytes, as the image
// tells it.
func (d *Disk) SectorSize() int64 { return d.sector }

// Names are the segments, the first first.
func (d *Disk) Names() []string { return slices.Clone(d.files.names) }

// Facts are what the image says about the acquisition, as it is written there.
func (d *Disk) Facts() []evidence.Fact { return slices.Clone(d.facts) }

// Stored are the digests of the medium that the image holds.
func (d *Disk) Stored() []evidence.StoredDigest { return slices.Clone(d.digests) }

// BadSectors are the stretches that the acquisition could not read, in bytes of
// the medium. What was stored in their place, usually zeros, is what is read.
func (d *Disk) BadSectors() []tutela.Run {
	runs := make([]tutela.Run, len(d.bad))
	for i, s := range d.bad {
		runs[i] = tutela.Run{Offset: s.first * d.sector, Length: s.count * d.sector}
	}
	return runs
}

// Notes are what is wrong with the image as a whole. A table is looked at when
// it is needed, so there may be more of them after reading.
func (d *Disk) Notes() []tutela.Finding {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.notes)
}

// Close releases the segments and waits for what is being read ahead.
func (d *Disk) Close() error {
	d.chunks.close()
	return d.files.close()
}

// ReadAt reads as io.ReaderAt does. Where a chunk cannot be read it returns the
// bytes before it and an *evidence.ReadError whose Run, in bytes of the medium,
// ends with the chunk; what lies behind may be readable.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read ewf: negative offset")
	}
	if off >= d.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), d.size-off)]
	n, err := d.chunks.read(want, off)
	if err == nil && len(want) < len(p) {
		err = io.EOF
	}
	return n, err
}
