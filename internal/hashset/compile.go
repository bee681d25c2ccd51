package hashset

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tutela"
	"tutela/internal/durable"
)

// Meta is what the importer says about a set; it is written into the file.
type Meta struct {
	Name     string
	Version  int // from 1
	Status   tutela.Status
	Scheme   string // default category scheme
	Format   string // what it was imported from
	Imported time.Time
	Sources  []Source
}

// Work bounds what compiling may use.
type Work struct {
	TempDir string // for sorting; "" is the folder of the set
	Memory  int64  // bytes of buffers, 0 is 128 MiB; Go's own overhead comes on top
}

const defaultMemory = 128 << 20

// Report says what became of what was read. Nothing is dropped in silence.
type Report struct {
	Read     int64 // assertions given by the reader
	Rows     int64 // assertions in the set
	Merged   int64 // repeated with the same digests, category and series
	NoDigest int64 // left out: the source gave no digest that can be looked up
	Refused  int64 // left out: no digest but trivial ones
	Trivial  int64 // trivial digests taken off, also from assertions that were kept

	Uncategorised int64
	Unlisted      []CodeCount // codes that the scheme registry does not list; kept
}

// CodeCount is how often a category stood in the source.
type CodeCount struct {
	Category tutela.Category
	Count    int64
}

const maxRows = math.MaxUint32

// sortRecord is a row on its way through the sorter, ordered by digests first:
// sha256, sha1, md5, pdq, has, category, series, size+1; big endian.
const (
	atSHA1     = 32
	atMD5      = atSHA1 + 20
	atPDQ      = atMD5 + 16
	atHas      = atPDQ + 32
	atCategory = atHas + 1
	atSeries   = atCategory + 2
	atSize     = atSeries + 4
	sortRecord = atSize + 8
)

// compiler holds what one Compile needs while it runs.
type compiler struct {
	ctx    context.Context
	dir    string // temporary, its own
	memory int64
	out    *sectionWriter
	rows   *sorter
	index  [4]*sorter // by MatchKind; 0 is not used
	pdq    *os.File
	names  *names
	desc   description
	shape  rowShape
	counts map[tutela.Category]int64
	report Report
	row    []byte // scratch
}

// Compile writes the assertions of r as a compiled set to path, which must not
// exist, and beside it path.sha256 in the format of sha256sum. Before the last
// rename nothing has happened; an error leaves nothing behind. The same
// assertions in the same order with the same meta give the same bytes.
func Compile(ctx context.Context, path string, meta Meta, r Reader, work Work) (_ tutela.SetVersion, _ Report, err error) {
	if err := checkMeta(path, meta); err != nil {
		return tutela.SetVersion{}, Report{}, fmt.Errorf("compile set %q: %w", meta.Name, err)
	}
	c := &compiler{ctx: ctx, memory: cmp.Or(work.Memory, defaultMemory), names: newNames(), counts: map[tutela.Category]int64{}}
	c.dir, err = os.MkdirTemp(cmp.Or(work.TempDir, filepath.Dir(path)), ".compile-*")
	if err != nil {
		return tutela.SetVersion{}, Report{}, fmt.Errorf("compile set %q: %w", meta.Name, err)
	}
	defer func() { err = errors.Join(err, c.cleanUp()) }()
	version, err := c.compile(path, meta, r)
	if err != nil {
		return tutela.SetVersion{}, c.report, fmt.Errorf("compile set %q: %w", meta.Name, err)
	}
	return version, c.report, nil
}

func checkMeta(path string, meta Meta) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already: a version never changes", path)
	}
	if meta.Version < 1 {
		return fmt.Errorf("version %d: versions count from 1", meta.Version)
	}
	if _, err := tutela.ParseStatus(meta.Status.String()); err != nil {
		return err
	}
	return CheckName(meta.Name)
}

func (c *compiler) compile(path string, meta Meta, r Reader) (tutela.SetVersion, error) {
	if err := c.read(r); err != nil {
		return tutela.SetVersion{}, err
	}
	c.desc.Name, c.desc.Version, c.desc.Status = meta.Name, meta.Version, meta.Status.String()
	c.desc.Scheme, c.desc.Format, c.desc.Imported = meta.Scheme, meta.Format, meta.Imported.UTC().Round(0)
	tmp, err := os.CreateTemp(filepath.Dir(path), ".set-*")
	if err != nil {
		return tutela.SetVersion{}, err
	}
	digest, err := c.fill(tmp, meta.Sources)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = publish(tmp.Name(), path, digest)
	}
	if err != nil {
		return tutela.SetVersion{}, errors.Join(err, discard(tmp.Name()))
	}
	version, err := c.desc.setVersion()
	version.Digest = digest
	return version, err
}

func discard(name string) error {
	if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// publish is the commit point: with the rename the set is there. Its digest, for
// sha256sum and for quick opening, is written first, so that nothing can fail
// after the rename but the sync of the folder; then both are taken back.
func publish(tmp, path string, digest tutela.SHA256) error {
	line := digest.String() + "  " + filepath.Base(path) + "\n"
	if err := durable.WriteFile(path+digestSuffix, []byte(line), 0o600); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, discard(path+digestSuffix))
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return errors.Join(err, discard(path), discard(path+digestSuffix))
	}
	return nil
}

const digestSuffix = ".sha256"

func (c *compiler) cleanUp() error {
	var errs []error
	for _, s := range append(c.index[:], c.rows) {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	if c.pdq != nil {
		errs = append(errs, c.pdq.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// read takes everything from the reader into the sorter.
func (c *compiler) read(r Reader) error {
	c.rows = newSorter(c.dir, sortRecord, c.memory/2)
	for {
		a, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("nothing was imported: %w", err)
		}
		if c.report.Read%4096 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		c.report.Read++
		if err := c.take(&a); err != nil {
			return err
		}
	}
	c.report.Unlisted = unlisted(c.counts)
	return nil
}

func (c *compiler) take(a *tutela.Assertion) error {
	if digestsOf(a) == 0 {
		c.report.NoDigest++
		return nil
	}
	c.report.Trivial += trivialDigests().strip(a)
	if digestsOf(a) == 0 {
		c.report.Refused++
		return nil
	}
	if c.rows.count == maxRows {
		return fmt.Errorf("more than %d assertions", maxRows)
	}
	if a.Category == (tutela.Category{}) {
		c.report.Uncategorised++
	} else {
		c.counts[a.Category]++
	}
	record, err := c.encode(a)
	if err != nil {
		return err
	}
	return c.rows.add(record)
}

func digestsOf(a *tutela.Assertion) (has uint8) {
	if a.MD5 != nil {
		has |= hasMD5
	}
	if a.SHA1 != nil {
		has |= hasSHA1
	}
	if a.SHA256 != nil {
		has |= hasSHA256
	}
	if a.PDQ != nil {
		has |= hasPDQ
	}
	return has
}

func (c *compiler) encode(a *tutela.Assertion) ([]byte, error) {
	category, err := c.names.category(a.Category)
	if err != nil {
		return nil, err
	}
	series, err := c.names.seriesOf(a.Series)
	if err != nil {
		return nil, err
	}
	c.row = append(c.row[:0], make([]byte, sortRecord)...)
	b := c.row
	if a.SHA256 != nil {
		copy(b, a.SHA256[:])
	}
	if a.SHA1 != nil {
		copy(b[atSHA1:], a.SHA1[:])
	}
	if a.MD5 != nil {
		copy(b[atMD5:], a.MD5[:])
	}
	if a.PDQ != nil {
		copy(b[atPDQ:], a.PDQ[:])
	}
	b[atHas] = digestsOf(a)
	binary.BigEndian.PutUint16(b[atCategory:], category)
	binary.BigEndian.PutUint32(b[atSeries:], series)
	binary.BigEndian.PutUint64(b[atSize:], uint64(max(a.Size, -1)+1))
	c.shape = shapeOf(c.seen(b[atHas]))
	return b, nil
}

// seen remembers which digests any row has; the counts in the description are
// made exact when the rows are written.
func (c *compiler) seen(has uint8) uint8 {
	c.desc.MD5 |= uint64(has & hasMD5)
	c.desc.SHA1 |= uint64(has & hasSHA1)
	c.desc.SHA256 |= uint64(has & hasSHA256)
	return uint8(c.desc.MD5 | c.desc.SHA1 | c.desc.SHA256)
}

func unlisted(counts map[tutela.Category]int64) []CodeCount {
	var out []CodeCount
	for category, n := range counts {
		scheme, ok := SchemeNamed(category.Scheme)
		if _, listed := scheme.Label(category.Code); !ok || !listed {
			out = append(out, CodeCount{category, n})
		}
	}
	slices.SortFunc(out, func(a, b CodeCount) int {
		return cmp.Or(cmp.Compare(a.Category.Scheme, b.Category.Scheme), cmp.Compare(a.Category.Code, b.Category.Code))
	})
	return out
}

// fill writes the whole file and returns its digest.
func (c *compiler) fill(f *os.File, sources []Source) (tutela.SHA256, error) {
	if err := f.Chmod(0o600); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return tutela.SHA256{}, err
	}
	c.out = newSectionWriter(f)
	steps := []func() error{c.writeRows, c.writeStrings, c.writeIndexes, c.writePDQ,
		func() error { return c.writeSources(sources) }, c.out.flush}
	for _, step := range steps {
		if err := step(); err != nil {
			return tutela.SHA256{}, err
		}
	}
	head, err := encodeHead(c.desc, c.out.sections)
	if err != nil {
		return tutela.SHA256{}, err
	}
	if _, err := f.WriteAt(head, 0); err != nil {
		return tutela.SHA256{}, err
	}
	if err := f.Sync(); err != nil {
		return tutela.SHA256{}, err
	}
	return hashFile(c.ctx, f)
}

// writeRows merges what is repeated, writes the rows in order and feeds the
// sorters of the indexes.
func (c *compiler) writeRows() (err error) {
	for kind := tutela.MatchMD5; kind <= tutela.MatchSHA256; kind++ {
		c.index[kind] = newSorter(c.dir, indexEntry, c.memory/8)
	}
	if c.pdq, err = os.CreateTemp(c.dir, "pdq-*"); err != nil {
		return err
	}
	pdq := bufio.NewWriterSize(c.pdq, 64<<10)
	c.desc.MD5, c.desc.SHA1, c.desc.SHA256 = 0, 0, 0
	c.out.begin(sectionRows)
	var held []byte
	err = c.rows.each(func(record []byte) error {
		if held != nil && bytes.Equal(held[:atSize], record[:atSize]) {
			c.report.Merged++
			mergeSize(held, record)
			return nil
		}
		if held != nil {
			if err := c.writeRow(held, pdq); err != nil {
				return err
			}
		}
		held = append(held[:0], record...)
		return nil
	})
	if err == nil && held != nil {
		err = c.writeRow(held, pdq)
	}
	c.report.Rows = int64(c.desc.Rows)
	return errors.Join(err, pdq.Flush(), c.out.end(), c.rows.close())
}

// mergeSize lets a size that is told win over one that is not. Where two are
// told, the smaller came first and stays.
func mergeSize(held, record []byte) {
	if binary.BigEndian.Uint64(held[atSize:]) == 0 {
		copy(held[atSize:], record[atSize:])
	}
}

func (c *compiler) writeRow(b []byte, pdq io.Writer) error {
	if c.desc.Rows%4096 == 0 && c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	row, has := uint32(c.desc.Rows), b[atHas]
	c.desc.Rows++
	if err := c.feed(b, row); err != nil {
		return err
	}
	if has&hasPDQ != 0 {
		c.desc.PDQ++
		if _, err := pdq.Write(binary.LittleEndian.AppendUint32(b[atPDQ:atHas:atHas], row)); err != nil {
			return err
		}
	}
	le := binary.LittleEndian
	out := append(c.row[:0], has, 0)
	out = le.AppendUint16(out, binary.BigEndian.Uint16(b[atCategory:]))
	out = le.AppendUint32(out, binary.BigEndian.Uint32(b[atSeries:]))
	out = le.AppendUint64(out, binary.BigEndian.Uint64(b[atSize:]))
	if c.shape.md5 > 0 {
		out = append(out, b[atMD5:atPDQ]...)
	}
	if c.shape.sha1 > 0 {
		out = append(out, b[atSHA1:atMD5]...)
	}
	if c.shape.sha256 > 0 {
		out = append(out, b[:atSHA1]...)
	}
	c.row = out
	_, err := c.out.Write(out)
	return err
}

// feed gives the row to the index of every digest it has.
func (c *compiler) feed(b []byte, row uint32) error {
	has := b[atHas]
	switch strongest(has) {
	case tutela.MatchSHA256:
		c.desc.StrongestSHA256++
	case tutela.MatchSHA1:
		c.desc.StrongestSHA1++
	case tutela.MatchMD5:
		c.desc.StrongestMD5++
	}
	for _, d := range []struct {
		bit   uint8
		kind  tutela.MatchKind
		at    int
		count *uint64
	}{
		{hasMD5, tutela.MatchMD5, atMD5, &c.desc.MD5},
		{hasSHA1, tutela.MatchSHA1, atSHA1, &c.desc.SHA1},
		{hasSHA256, tutela.MatchSHA256, 0, &c.desc.SHA256},
	} {
		if has&d.bit == 0 {
			continue
		}
		*d.count++
		var entry [indexEntry]byte
		copy(entry[:8], b[d.at:])
		binary.BigEndian.PutUint32(entry[8:], row)
		if err := c.index[d.kind].add(entry[:]); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) writeStrings() error {
	c.out.begin(sectionStrings)
	_, err := c.out.Write(c.names.encode())
	return errors.Join(err, c.out.end())
}

func (c *compiler) writeIndexes() error {
	kinds := map[tutela.MatchKind]sectionKind{
		tutela.MatchMD5: sectionMD5, tutela.MatchSHA1: sectionSHA1, tutela.MatchSHA256: sectionSHA256}
	for kind := tutela.MatchMD5; kind <= tutela.MatchSHA256; kind++ {
		if c.index[kind].count == 0 {
			continue
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.out.begin(kinds[kind])
		if err := writeIndex(c.out, c.index[kind]); err != nil {
			return err
		}
		if err := errors.Join(c.out.end(), c.index[kind].close()); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) writeSources(sources []Source) error {
	text, err := encodeSources(sources)
	if err != nil {
		return err
	}
	c.out.begin(sectionSources)
	_, err = c.out.Write(text)
	return errors.Join(err, c.out.end())
}

// hashFile reads the file from its beginning.
func hashFile(ctx context.Context, f io.ReadSeeker) (d tutela.SHA256, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return d, err
	}
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return d, err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			h.Sum(d[:0])
			return d, nil
		}
		if err != nil {
			return d, err
		}
	}
}

// sectionWriter writes sections one after the other behind the head, and their
// checksums as they pass.
type sectionWriter struct {
	w        *bufio.Writer
	offset   uint64
	sections []section
}

func newSectionWriter(f *os.File) *sectionWriter {
	s := &sectionWriter{w: bufio.NewWriterSize(f, 1<<20), offset: headSize}
	s.w.Write(make([]byte, headSize)) // written over at the end
	return s
}

func (s *sectionWriter) begin(kind sectionKind) {
	s.sections = append(s.sections, section{kind: kind, offset: s.offset})
}

func (s *sectionWriter) Write(p []byte) (int, error) {
	current := &s.sections[len(s.sections)-1]
	current.sum = crc32.Update(current.sum, castagnoli, p)
	current.length += uint64(len(p))
	s.offset += uint64(len(p))
	return s.w.Write(p)
}

// end fills up to the next multiple of 8.
func (s *sectionWriter) end() error {
	next := align8(s.offset)
	_, err := s.w.Write(make([]byte, next-s.offset))
	s.offset = next
	return err
}

func (s *sectionWriter) flush() error { return s.w.Flush() }
