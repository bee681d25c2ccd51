package hashset

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"tutela"
	"tutela/internal/hashset/near"
)

// stream gives records in the order of rows, each row once. The slice is valid
// until visit returns.
type stream func(visit func(record []byte) error) error

// columns writes the rows of one file: every column grows in a file of its own
// while the rows pass once, but for SHA-256, the largest, which goes where it
// belongs.
type columns struct {
	ctx    context.Context
	dir    string // of temporary files; its owner removes it
	memory int64
	out    *sectionWriter

	told     func(rows uint64)
	indexing func(done, of int) // steps behind the last row

	from   *names // by which records are numbered
	names  *names // of this file
	desc   stored
	kinds  [4]*digestWriter // by MatchKind
	hashes *spool           // 32 bytes and the row u32
	marks  presenceWriter   // which hashes are frames
	plain  bool             // every row so far has one hash and no frames
	cat    numbersWriter
	series numbersWriter
	size   numbersWriter

	categoryID map[uint16]uint16
	seriesID   map[uint32]uint32
}

// digestWriter writes what belongs to one kind of exact digest.
type digestWriter struct {
	kind    tutela.MatchKind
	digests io.Writer
	spool   *spool // digests, nil if they go where they belong
	present presenceWriter
	buckets offsetsWriter
	keys    filterWriter
	entries *sorter
	count   uint64
}

// most says how many rows of a kind can come at most, as bound for buckets.
type most [4]uint64

func newColumns(ctx context.Context, dir string, memory int64, out *sectionWriter, from *names, bound most) *columns {
	c := &columns{ctx: ctx, dir: dir, memory: memory, out: out, told: func(uint64) {}, indexing: func(int, int) {}, from: from, names: newNames(), plain: true,
		categoryID: map[uint16]uint16{}, seriesID: map[uint32]uint32{}}
	c.hashes, c.marks.spool = c.spool(), c.spool()
	for _, w := range []*numbersWriter{&c.cat, &c.series, &c.size} {
		w.spool = c.spool()
	}
	shared := &fuser{}
	for kind := tutela.MatchMD5; kind <= tutela.MatchSHA256; kind++ {
		w := &digestWriter{kind: kind, digests: out}
		if kind != tutela.MatchSHA256 {
			w.spool = c.spool()
			w.digests = w.spool
		}
		w.present.spool = c.spool()
		w.buckets = offsetsWriter{spool: c.spool(), bits: bucketBits(bound[kind])}
		w.keys = filterWriter{fuser: shared, prints: c.spool()}
		w.entries = newSorter(dir, memory/4, bytes.Compare)
		c.kinds[kind] = w
	}
	return c
}

func (c *columns) spool() *spool { return &spool{dir: c.dir} }

// close gives back what an error left open.
func (c *columns) close() error {
	errs := []error{c.hashes.close(), c.marks.spool.close(), c.cat.spool.close(), c.series.spool.close(), c.size.spool.close()}
	for _, w := range c.kinds[tutela.MatchMD5:] {
		errs = append(errs, w.present.spool.close(), w.buckets.spool.close(), w.keys.prints.close(), w.entries.close())
		if w.spool != nil {
			errs = append(errs, w.spool.close())
		}
	}
	return errors.Join(errs...)
}

// write writes all rows and what belongs to them.
func (c *columns) write(rows stream) error {
	c.out.begin(digestSection(tutela.MatchSHA256, partDigests))
	if err := rows(c.row); err != nil {
		return err
	}
	if err := c.out.end(); err != nil {
		return err
	}
	steps := []func() error{c.writeDigests, c.writeNumbers, c.writeNames, c.writeHashes}
	for i, step := range steps {
		c.indexing(i, len(steps))
		if err := errors.Join(c.ctx.Err(), step()); err != nil {
			return err
		}
	}
	return nil
}

// row writes one row. Rows come in order.
func (c *columns) row(b []byte) error {
	n := c.desc.Rows
	if n%4096 == 0 {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.told(n)
	}
	if n == maxRows {
		return fmt.Errorf("more than %d rows", maxRows)
	}
	r := parseRecord(b)
	has := r.has()
	c.desc.change(has, +1)
	best := strongest(has)
	for kind := tutela.MatchMD5; kind <= tutela.MatchSHA256; kind++ {
		if err := c.kinds[kind].add(uint32(n), best, r.digest[kind]); err != nil {
			return err
		}
	}
	switch best {
	case tutela.MatchMD5:
		c.desc.StrongestMD5++
	case tutela.MatchSHA1:
		c.desc.StrongestSHA1++
	case tutela.MatchSHA256:
		c.desc.StrongestSHA256++
	}
	if err := c.rowHashes(uint32(n), &r); err != nil {
		return err
	}
	return c.rowNumbers(&r)
}

func (w *digestWriter) add(row uint32, best tutela.MatchKind, digest []byte) error {
	if best > w.kind {
		if err := w.present.add(digest != nil); err != nil {
			return err
		}
	}
	if digest == nil {
		return nil
	}
	w.count++
	if _, err := w.digests.Write(digest); err != nil {
		return err
	}
	prefix := binary.BigEndian.Uint64(digest)
	if best == w.kind {
		if err := w.buckets.add(prefix); err != nil {
			return err
		}
		return w.keys.add(prefix)
	}
	var entry [sortEntry]byte
	binary.BigEndian.PutUint64(entry[:], prefix)
	binary.BigEndian.PutUint32(entry[8:], row)
	return w.entries.add(entry[:])
}

func (c *columns) rowHashes(row uint32, r *record) error {
	c.plain = c.plain && r.pdq != nil && r.frames == nil
	if r.pdq != nil {
		if err := c.hash(row, r.pdq, false); err != nil {
			return err
		}
	}
	for frames := r.frames; len(frames) > 0; frames = frames[32:] {
		if err := c.hash(row, frames[:32], true); err != nil {
			return err
		}
	}
	return nil
}

func (c *columns) hash(row uint32, hash []byte, frame bool) error {
	if c.desc.Hashes == maxRows {
		return fmt.Errorf("more than %d hashes", maxRows)
	}
	c.desc.Hashes++
	if err := c.marks.add(frame); err != nil {
		return err
	}
	var b [hashRecord]byte
	copy(b[:], hash)
	binary.LittleEndian.PutUint32(b[32:], row)
	_, err := c.hashes.Write(b[:])
	return err
}

func (c *columns) rowNumbers(r *record) error {
	category, ok := c.categoryID[r.category]
	if !ok {
		var err error
		if category, err = c.names.category(c.from.categoryAt(r.category)); err != nil {
			return err
		}
		c.categoryID[r.category] = category
	}
	series, ok := c.seriesID[r.series]
	if !ok {
		var err error
		if series, err = c.names.seriesOf(c.from.seriesAt(r.series)); err != nil {
			return err
		}
		c.seriesID[r.series] = series
	}
	if err := c.cat.add(uint64(category)); err != nil {
		return err
	}
	if err := c.series.add(uint64(series)); err != nil {
		return err
	}
	return c.size.add(r.size)
}

func (c *columns) writeDigests() error {
	for _, w := range c.kinds[tutela.MatchMD5:] {
		if w.count == 0 {
			continue
		}
		if w.spool != nil {
			if err := c.out.section(digestSection(w.kind, partDigests), w.spool); err != nil {
				return err
			}
		}
		if err := w.write(c.out, c.spool); err != nil {
			return err
		}
	}
	return nil
}

func (w *digestWriter) write(out *sectionWriter, spool func() *spool) error {
	if err := w.present.write(out, digestSection(w.kind, partPresent)); err != nil {
		return err
	}
	if err := w.buckets.write(out, digestSection(w.kind, partSorted)); err != nil {
		return err
	}
	if err := w.keys.write(out, digestSection(w.kind, partSortedFilter)); err != nil {
		return err
	}
	if w.entries.count == 0 {
		return nil
	}
	buckets := &offsetsWriter{spool: spool(), bits: bucketBits(w.entries.count)}
	keys := &filterWriter{fuser: w.keys.fuser, prints: spool()}
	rows := spool()
	err := writeEntries(out, w.kind, w.entries, buckets, keys, rows)
	return errors.Join(err, buckets.spool.close(), keys.prints.close(), rows.close(), w.entries.close())
}

func (c *columns) writeNumbers() error {
	if err := c.cat.write(c.out, sectionCategory); err != nil {
		return err
	}
	if err := c.series.write(c.out, sectionSeries); err != nil {
		return err
	}
	return c.size.write(c.out, sectionSize64)
}

func (c *columns) writeNames() error { return c.out.whole(sectionNames, c.names.encode()) }

// hashRecord is a hash and its row in the temporary file.
const hashRecord = 36

// nearFrom is how many hashes are worth an index: below it, going through all of
// them is faster.
const nearFrom = near.Worth

// writeHashes writes hashes, their rows and, if there are many, their index.
func (c *columns) writeHashes() error {
	if c.desc.Hashes == 0 {
		return nil
	}
	if err := c.copyHashes(sectionHashes, 0, 32); err != nil {
		return err
	}
	if !c.plain {
		if err := c.copyHashes(sectionHashRows, 32, hashRecord); err != nil {
			return err
		}
	}
	if c.marks.count > 0 {
		if err := c.writeMarks(); err != nil {
			return err
		}
	}
	if c.desc.Hashes < nearFrom {
		return nil
	}
	c.out.begin(sectionNear)
	if err := near.Write(c.ctx, c.out, c.desc.Hashes, c.eachPDQ, c.memory); err != nil {
		return err
	}
	return c.out.end()
}

// writeMarks writes the bits of all hashes, also where all are frames.
func (c *columns) writeMarks() error {
	if c.marks.rows%presentBits != 0 {
		if err := c.marks.flush(); err != nil {
			return err
		}
	}
	return c.out.section(sectionFrames, c.marks.spool)
}

func (c *columns) copyHashes(kind sectionKind, from, to int) error {
	c.out.begin(kind)
	err := c.eachHash(func(_ uint32, record []byte) error {
		_, err := c.out.Write(record[from:to])
		return err
	})
	if err != nil {
		return err
	}
	return c.out.end()
}

func (c *columns) eachPDQ(visit func(id uint32, h *tutela.PDQ) error) error {
	return c.eachHash(func(id uint32, record []byte) error { return visit(id, (*tutela.PDQ)(record)) })
}

func (c *columns) eachHash(visit func(id uint32, record []byte) error) error {
	return c.hashes.read(func(r *bufio.Reader) error {
		record := make([]byte, hashRecord)
		for id := range uint32(c.desc.Hashes) {
			if id%4096 == 0 && c.ctx.Err() != nil {
				return c.ctx.Err()
			}
			if _, err := io.ReadFull(r, record); err != nil {
				return fmt.Errorf("read hashes back: %w", err)
			}
			if err := visit(id, record); err != nil {
				return err
			}
		}
		return nil
	})
}

// sectionWriter writes sections one after the other behind the head, and the
// checksums of blocks as they pass.
type sectionWriter struct {
	w        *bufio.Writer
	offset   uint64
	sections []section
	sums     []byte
	sum      uint32 // of the block under way
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
	s.sections[len(s.sections)-1].length += uint64(len(p))
	return s.put(p)
}

func (s *sectionWriter) put(p []byte) (n int, err error) {
	for len(p) > 0 {
		room := blockSize - (s.offset-headSize)%blockSize
		part := p[:min(uint64(len(p)), room)]
		s.sum = crc32.Update(s.sum, castagnoli, part)
		if uint64(len(part)) == room {
			s.endBlock()
		}
		if _, err := s.w.Write(part); err != nil {
			return n, err
		}
		s.offset += uint64(len(part))
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

func (s *sectionWriter) endBlock() {
	s.sums = binary.LittleEndian.AppendUint32(s.sums, s.sum)
	s.sum = 0
}

// end fills up to the next multiple of 8. A section of nothing is left out.
func (s *sectionWriter) end() error {
	if last := len(s.sections) - 1; s.sections[last].length == 0 {
		s.sections = s.sections[:last]
	}
	_, err := s.put(make([]byte, align8(s.offset)-s.offset))
	return err
}

// section copies a whole section.
func (s *sectionWriter) section(kind sectionKind, from *spool) error {
	s.begin(kind)
	if err := from.copyTo(s); err != nil {
		return err
	}
	return s.end()
}

func (s *sectionWriter) whole(kind sectionKind, b []byte) error {
	s.begin(kind)
	if _, err := s.Write(b); err != nil {
		return err
	}
	return s.end()
}

// finish writes the checksums, which are not in a block themselves.
func (s *sectionWriter) finish() error {
	if (s.offset-headSize)%blockSize != 0 {
		s.endBlock()
	}
	sums := section{sectionSums, crc32.Checksum(s.sums, castagnoli), s.offset, uint64(len(s.sums))}
	s.sections = append(s.sections, sums)
	if _, err := s.w.Write(s.sums); err != nil {
		return err
	}
	return s.w.Flush()
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
