package hashset

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"tutela"
)

// Set is an open compiled set. All its methods but Close are safe for
// concurrent use.
type Set struct {
	meta    tutela.SetVersion
	desc    description
	sources []Source
	path    string

	data  []byte // the whole file
	unmap func() error

	count   uint64
	rows    []byte
	shape   rowShape
	names   *names
	index   [4]index // by MatchKind
	ask     [4]bool  // by MatchKind: rows are known by this digest at best
	pdq     []byte
	pdqRows []byte
	bands   []byte
}

// Open maps the compiled set at path and holds all of it against its checksums,
// which reads it once. Errors wrap ErrCorrupt or ErrNewer where the file is the
// cause. A file made to deceive, whose checksums hold, may hide rows but cannot
// crash the program.
func Open(path string) (_ *Set, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open set: %w", err)
	}
	defer f.Close()
	s := &Set{path: path}
	if err := s.open(f); err != nil {
		return nil, errors.Join(fmt.Errorf("open set %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Set) open(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < headSize {
		return fmt.Errorf("%w: %d bytes are too few", ErrCorrupt, info.Size())
	}
	if s.data, s.unmap, err = mapFile(f, info.Size()); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return err
	}
	s.meta.Digest, err = toldDigest(s.path, f)
	return err
}

// load understands the bytes of the file, which are at least a head.
func (s *Set) load() (err error) {
	var sections []section
	if s.desc, sections, err = decodeHead(s.data[:headSize]); err != nil {
		return err
	}
	if s.meta, err = s.desc.setVersion(); err != nil {
		return err
	}
	parts, err := s.cut(sections)
	if err != nil {
		return err
	}
	return s.assemble(parts)
}

// cut gives the bytes of each section, checked.
func (s *Set) cut(sections []section) (map[sectionKind][]byte, error) {
	parts := map[sectionKind][]byte{}
	size := uint64(len(s.data))
	for _, sec := range sections {
		if sec.offset < headSize || sec.offset%8 != 0 || sec.offset > size || sec.length > size-sec.offset {
			return nil, fmt.Errorf("%w: section %d lies outside the file: was it cut short?", ErrCorrupt, sec.kind)
		}
		b := s.data[sec.offset : sec.offset+sec.length]
		if crc32.Checksum(b, castagnoli) != sec.sum {
			return nil, fmt.Errorf("%w: the checksum of section %d does not hold", ErrCorrupt, sec.kind)
		}
		if sec.kind > sectionSources && sec.kind < optional {
			return nil, fmt.Errorf("%w: section %d is not known", ErrNewer, sec.kind)
		}
		if _, twice := parts[sec.kind]; twice || sec.kind == 0 {
			return nil, fmt.Errorf("%w: section %d has no place in it", ErrCorrupt, sec.kind)
		}
		parts[sec.kind] = b
	}
	return parts, nil
}

// assemble holds the sizes of the sections against the counts in the head.
func (s *Set) assemble(parts map[sectionKind][]byte) (err error) {
	d := &s.desc
	if d.Rows > maxRows || max(d.MD5, d.SHA1, d.SHA256, d.PDQ) > d.Rows {
		return fmt.Errorf("%w: its counts make no sense", ErrCorrupt)
	}
	s.count, s.shape = d.Rows, d.shape()
	s.rows, s.pdq, s.pdqRows, s.bands = parts[sectionRows], parts[sectionPDQ], parts[sectionPDQRows], parts[sectionBands]
	for _, want := range []struct {
		part   []byte
		length uint64
	}{{s.rows, d.Rows * uint64(s.shape.stride)}, {s.pdq, 32 * d.PDQ}, {s.pdqRows, 4 * d.PDQ}} {
		if uint64(len(want.part)) != want.length {
			return fmt.Errorf("%w: %d bytes where the head announces %d", ErrCorrupt, len(want.part), want.length)
		}
	}
	if n := uint64(len(s.bands)); n != 0 && n != bandCount*(bandOffsets+d.PDQ*posting) {
		return fmt.Errorf("%w: bands of %d bytes for %d hashes", ErrCorrupt, n, d.PDQ)
	}
	if s.names, err = decodeNames(parts[sectionStrings]); err != nil {
		return err
	}
	if s.sources, err = decodeSources(parts[sectionSources]); err != nil {
		return err
	}
	return s.openIndexes(parts)
}

func (s *Set) openIndexes(parts map[sectionKind][]byte) (err error) {
	for _, x := range []struct {
		kind             tutela.MatchKind
		section          sectionKind
		count, strongest uint64
	}{
		{tutela.MatchMD5, sectionMD5, s.desc.MD5, s.desc.StrongestMD5},
		{tutela.MatchSHA1, sectionSHA1, s.desc.SHA1, s.desc.StrongestSHA1},
		{tutela.MatchSHA256, sectionSHA256, s.desc.SHA256, s.desc.StrongestSHA256},
	} {
		if x.count == 0 && x.strongest == 0 {
			continue
		}
		if s.index[x.kind], err = openIndex(parts[x.section], x.count); err != nil {
			return err
		}
		s.ask[x.kind] = x.strongest > 0
	}
	return nil
}

// toldDigest is the digest that stands beside the file, or that of the file
// where none does.
func toldDigest(path string, f *os.File) (tutela.SHA256, error) {
	line, err := os.ReadFile(path + digestSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return hashFile(context.Background(), f)
	}
	if err != nil {
		return tutela.SHA256{}, err
	}
	digest, name, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "  ")
	d, err := tutela.ParseSHA256(digest)
	if err != nil || name != filepath.Base(path) {
		return d, fmt.Errorf("%w: %s does not give its digest", ErrCorrupt, path+digestSuffix)
	}
	return d, nil
}

// Close gives the memory back. Nothing may use the set after it.
func (s *Set) Close() error {
	unmap := s.unmap
	*s = Set{meta: s.meta, names: &names{}}
	if unmap == nil {
		return nil
	}
	return unmap()
}

// Meta says which set this is. Its Digest is what was told at import; Verify
// holds the file against it.
func (s *Set) Meta() tutela.SetVersion { return s.meta }

// Sources are the files that the set was made from.
func (s *Set) Sources() []Source { return s.sources }

// Counts is how many rows have a digest of each kind.
type Counts struct{ MD5, SHA1, SHA256, PDQ uint64 }

// Counts says what the set can be asked for.
func (s *Set) Counts() Counts {
	return Counts{s.desc.MD5, s.desc.SHA1, s.desc.SHA256, s.desc.PDQ}
}

// Verify reads the whole file and holds its SHA-256 against Meta().Digest.
func (s *Set) Verify(ctx context.Context) error {
	d, err := hashFile(ctx, io.NewSectionReader(bytes.NewReader(s.data), 0, int64(len(s.data))))
	if err != nil {
		return fmt.Errorf("verify set %s: %w", s.path, err)
	}
	if d != s.meta.Digest {
		return fmt.Errorf("verify set %s: %w: its digest is %s, not %s", s.path, ErrCorrupt, d, s.meta.Digest)
	}
	return nil
}

// row gives the bytes of a row.
func (s *Set) row(n uint64) []byte {
	return s.rows[n*uint64(s.shape.stride) : (n+1)*uint64(s.shape.stride)]
}

// Rows is the number of assertions.
func (s *Set) Rows() uint64 { return s.count }

// Assertion gives a row whole. It panics if there is no such row.
func (s *Set) Assertion(n uint64) tutela.Assertion {
	row := s.row(n)
	a := tutela.Assertion{Category: s.category(row), Series: s.series(row)}
	a.Size = int64(binary.LittleEndian.Uint64(row[8:])) - 1
	has := row[0]
	if has&hasMD5 != 0 && s.shape.md5 > 0 {
		d := tutela.MD5(row[s.shape.md5:])
		a.MD5 = &d
	}
	if has&hasSHA1 != 0 && s.shape.sha1 > 0 {
		d := tutela.SHA1(row[s.shape.sha1:])
		a.SHA1 = &d
	}
	if has&hasSHA256 != 0 && s.shape.sha256 > 0 {
		d := tutela.SHA256(row[s.shape.sha256:])
		a.SHA256 = &d
	}
	if has&hasPDQ != 0 {
		a.PDQ = s.pdqOf(n)
	}
	return a
}

// All gives every row in order.
func (s *Set) All() iter.Seq2[uint64, tutela.Assertion] {
	return func(yield func(uint64, tutela.Assertion) bool) {
		for n := range s.count {
			if !yield(n, s.Assertion(n)) {
				return
			}
		}
	}
}

func (s *Set) category(row []byte) tutela.Category {
	id := int(binary.LittleEndian.Uint16(row[2:]))
	if id == 0 || id > len(s.names.categories) {
		return tutela.Category{}
	}
	return s.names.categories[id-1]
}

func (s *Set) series(row []byte) string {
	id := int(binary.LittleEndian.Uint32(row[4:]))
	if id == 0 || id > len(s.names.series) {
		return ""
	}
	return s.names.series[id-1]
}

// pdqOf finds the hash of a row: hashes are in order of rows.
func (s *Set) pdqOf(n uint64) *tutela.PDQ {
	rowOf := func(id int) uint64 { return uint64(binary.LittleEndian.Uint32(s.pdqRows[4*id:])) }
	id := sort.Search(len(s.pdqRows)/4, func(id int) bool { return rowOf(id) >= n })
	if id == len(s.pdqRows)/4 || rowOf(id) != n {
		return nil
	}
	h := tutela.PDQ(s.pdq[32*id:])
	return &h
}

// Exact finds the row that a content is known by, asking for the strongest
// digest first and for the lowest row where several agree. A row agrees only if
// every digest it has is that of the content, and is reported by the strongest
// of them: a row whose MD5 is the content's but whose SHA-256 is not is about
// another content, whoever made the two collide, and is no match.
func (s *Set) Exact(d tutela.Digests) (row uint64, kind tutela.MatchKind, ok bool) {
	s.exact(&d, func(r uint64, k tutela.MatchKind) bool {
		row, kind, ok = r, k, true
		return false
	})
	return row, kind, ok
}

// exact visits the rows that agree, strongest kind first, then by row, until
// visit returns false.
func (s *Set) exact(d *tutela.Digests, visit func(row uint64, kind tutela.MatchKind) bool) {
	for kind := tutela.MatchSHA256; kind >= tutela.MatchMD5; kind-- {
		if !s.ask[kind] {
			continue
		}
		x := &s.index[kind]
		from, to := x.find(prefixOf(d, kind))
		for i := from; i < to; i++ {
			if row := x.row(i); s.agrees(row, kind, d) && !visit(row, kind) {
				return
			}
		}
	}
}

func prefixOf(d *tutela.Digests, kind tutela.MatchKind) uint64 {
	switch kind {
	case tutela.MatchMD5:
		return binary.BigEndian.Uint64(d.MD5[:])
	case tutela.MatchSHA1:
		return binary.BigEndian.Uint64(d.SHA1[:])
	default:
		return binary.BigEndian.Uint64(d.SHA256[:])
	}
}

// agrees confirms a row whose strongest digest is of kind on every digest that
// it has.
func (s *Set) agrees(n uint64, kind tutela.MatchKind, d *tutela.Digests) bool {
	if n >= s.count {
		return false
	}
	row := s.row(n)
	has := row[0]
	return strongest(has) == kind &&
		(has&hasSHA256 == 0 || s.holds(row, s.shape.sha256, d.SHA256[:])) &&
		(has&hasSHA1 == 0 || s.holds(row, s.shape.sha1, d.SHA1[:])) &&
		(has&hasMD5 == 0 || s.holds(row, s.shape.md5, d.MD5[:]))
}

func (s *Set) holds(row []byte, at int, digest []byte) bool {
	return at > 0 && bytes.Equal(row[at:at+len(digest)], digest)
}

// having visits the rows that hold one digest, whatever else they hold.
func (s *Set) having(kind tutela.MatchKind, digest []byte, visit func(row uint64)) {
	at := map[tutela.MatchKind]int{
		tutela.MatchMD5: s.shape.md5, tutela.MatchSHA1: s.shape.sha1, tutela.MatchSHA256: s.shape.sha256}[kind]
	bit := uint8(1) << (kind - 1)
	from, to := s.index[kind].find(binary.BigEndian.Uint64(digest))
	for i := from; i < to; i++ {
		n := s.index[kind].row(i)
		if n < s.count && s.row(n)[0]&bit != 0 && s.holds(s.row(n), at, digest) {
			visit(n)
		}
	}
}
