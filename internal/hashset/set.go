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
	"slices"
	"sort"
	"strconv"
	"strings"

	"tutela"
	"tutela/internal/feature"
)

// Set is an open compiled set. All its methods but Close are safe for
// concurrent use.
//
// Rows are numbered for good: a version that is based on another keeps the
// numbers of the rows that stayed, and those that were added follow behind the
// last of the base. So numbers may have gaps.
type Set struct {
	meta    tutela.SetVersion
	desc    description
	sources []Source
	path    string

	data  []byte // the whole file
	unmap func() error
	base  *Set // nil if the file is whole

	layers []layer // the base, if there is one, and the file's own rows
}

// layer is a body and its place among the rows of a set.
type layer struct {
	*body
	first uint64 // number of its first row
	gone  part   // rows of it that were withdrawn, u32 each, in order
}

// Open maps the compiled set at path, and the version that it is based on, which
// must lie beside it. Nothing but the heads is read: what else the files hold is
// held against its checksums when it is first asked for. Whoever relies on an
// answer asks [Set.Damage] after it. Errors wrap ErrCorrupt, ErrNewer or ErrOlder
// where a file is the cause. A file made to deceive, whose checksums hold, may
// hide rows but cannot crash the program.
func Open(path string) (*Set, error) {
	s, err := openWhole(path)
	if err != nil {
		return nil, err
	}
	if err := s.hasFeatures(); err != nil {
		return nil, errors.Join(fmt.Errorf("open set %s: %w", path, err), s.Close())
	}
	if s.desc.Base == nil {
		return s, nil
	}
	if err := s.openBase(); err != nil {
		return nil, errors.Join(fmt.Errorf("open set %s: %w", path, err), s.Close())
	}
	return s, nil
}

// openWhole leaves the base closed.
func openWhole(path string) (_ *Set, err error) {
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
	parts, err := cut(s.data, sections)
	if err != nil {
		return err
	}
	b, err := openBody(parts, s.desc.Stored)
	if err != nil {
		return errors.Join(parts.blocks.err(), err)
	}
	s.layers = []layer{{body: b}}
	if s.sources, err = openSources(parts.of(sectionSources)); err != nil {
		return err
	}
	return s.placeOn(parts.of(sectionWithdrawn))
}

// placeOn keeps room for the base.
func (s *Set) placeOn(withdrawn part) error {
	base := s.desc.Base
	if base == nil {
		if withdrawn.len() != 0 || s.desc.Holds != s.desc.Stored.holdings {
			return fmt.Errorf("%w: rows were withdrawn from nothing", ErrCorrupt)
		}
		return nil
	}
	if gone := withdrawn.len() / 4; withdrawn.len()%4 != 0 || gone > base.Rows || s.desc.Holds.Rows != base.Rows-gone+s.desc.Stored.Rows {
		return fmt.Errorf("%w: %d bytes of withdrawn rows", ErrCorrupt, withdrawn.len())
	}
	s.layers[0].first = base.Rows
	s.layers = []layer{{gone: withdrawn}, s.layers[0]}
	return nil
}

func (s *Set) openBase() error {
	want := s.desc.Base
	base, err := openWhole(filepath.Join(filepath.Dir(s.path), strconv.Itoa(want.Version)+setSuffix))
	if err != nil {
		return fmt.Errorf("the version it is based on: %w", err)
	}
	s.base = base
	digest, err := tutela.ParseSHA256(want.SHA256)
	if err != nil {
		return fmt.Errorf("%w: the version it is based on: %v", ErrCorrupt, err)
	}
	m := base.meta
	if base.desc.Base != nil || m.Name != s.meta.Name || m.Version != want.Version || m.Digest != digest || base.Rows() != want.Rows {
		return fmt.Errorf("%w: it is based on version %d with digest %s, and %s is another", ErrCorrupt, want.Version, want.SHA256, base.path)
	}
	s.layers[0].body = base.layers[0].body
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

func crc32c(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Close gives the memory back. Nothing may use the set after it.
func (s *Set) Close() error {
	unmap, base := s.unmap, s.base
	*s = Set{meta: s.meta}
	var errs []error
	if base != nil {
		errs = append(errs, base.Close())
	}
	if unmap != nil {
		errs = append(errs, unmap())
	}
	return errors.Join(errs...)
}

// Damage is what was met where checksums did not hold; nil while all that was
// asked for was whole. A look-up that met damage may have missed something.
// Errors wrap ErrCorrupt.
func (s *Set) Damage() error {
	for i := range s.layers {
		if err := s.layers[i].blocks.err(); err != nil {
			return fmt.Errorf("set %s version %d: %w", s.meta.Name, s.meta.Version, err)
		}
	}
	return nil
}

// Meta says which set this is. Its Digest is what was told at import; Verify
// holds the file against it.
func (s *Set) Meta() tutela.SetVersion { return s.meta }

// Base is the version of the same set that this one is based on; 0 if its file
// is whole.
func (s *Set) Base() int {
	if s.desc.Base == nil {
		return 0
	}
	return s.desc.Base.Version
}

// Sources are the files that the set was made from, those of this version last.
func (s *Set) Sources() []Source { return s.sources }

// Counts is how many rows have a digest of each kind, and how many have frames.
type Counts struct{ MD5, SHA1, SHA256, PDQ, Videos uint64 }

// Counts says what the set can be asked for.
func (s *Set) Counts() Counts {
	h := &s.desc.Holds
	return Counts{h.MD5, h.SHA1, h.SHA256, h.PDQ, h.Videos}
}

// Verify reads the whole file, that of its features and that of the base, and
// holds their SHA-256 against what was told at import.
func (s *Set) Verify(ctx context.Context) error {
	d, err := hashFile(ctx, io.NewSectionReader(bytes.NewReader(s.data), 0, int64(len(s.data))))
	if err != nil {
		return fmt.Errorf("verify set %s: %w", s.path, err)
	}
	if d != s.meta.Digest {
		return fmt.Errorf("verify set %s: %w: its digest is %s, not %s", s.path, ErrCorrupt, d, s.meta.Digest)
	}
	if err := s.eachFeatures(ctx, func(tutela.SHA256, feature.Set) {}); err != nil {
		return fmt.Errorf("verify set %s: %w", s.path, err)
	}
	if s.base != nil {
		return s.base.Verify(ctx)
	}
	return nil
}

// withdrawn reports whether a row of the layer left.
func (l *layer) withdrawn(row uint64) bool {
	if len(l.gone.b) == 0 {
		return false
	}
	at := func(i int) uint64 {
		b := l.gone.take(4*uint64(i), 4)
		if b == nil {
			return 0
		}
		return uint64(binary.LittleEndian.Uint32(b))
	}
	n := int(l.gone.len() / 4)
	i := sort.Search(n, func(i int) bool { return at(i) >= row })
	return i < n && at(i) == row
}

// layerOf finds the layer of a row and its place there.
func (s *Set) layerOf(n uint64) (*layer, uint64) {
	l := &s.layers[0]
	if last := &s.layers[len(s.layers)-1]; n >= last.first {
		l = last
	}
	return l, n - l.first
}

// Rows is the number of assertions.
func (s *Set) Rows() uint64 { return s.desc.Holds.Rows }

// Assertion gives a row whole. It panics if there is no such row.
func (s *Set) Assertion(n uint64) tutela.Assertion {
	l, row := s.layerOf(n)
	if row >= l.desc.Rows || l.withdrawn(row) {
		panic(fmt.Sprintf("set %s version %d has no row %d", s.meta.Name, s.meta.Version, n))
	}
	return l.assertion(row)
}

func (s *Set) categoryOf(n uint64) tutela.Category {
	l, row := s.layerOf(n)
	return l.body.categoryOf(row)
}

// All gives every row in the order of digests: SHA-256, SHA-1, MD5, PDQ, an
// absent one before all others. The numbers of rows ascend only where the set is
// not based on another.
func (s *Set) All() iter.Seq2[uint64, tutela.Assertion] {
	return func(yield func(uint64, tutela.Assertion) bool) {
		next := s.inOrder()
		for row, ok := next(); ok; row, ok = next() {
			if row.live && !yield(row.number, row.Assertion) {
				return
			}
		}
	}
}

// placedRow is a row, its number, and whether it was not withdrawn.
type placedRow struct {
	tutela.Assertion
	number uint64
	live   bool
}

// inOrder goes through the rows of a set in order, withdrawn ones too.
func (s *Set) inOrder() (next func() (placedRow, bool)) {
	switch len(s.layers) {
	case 0:
		return func() (placedRow, bool) { return placedRow{}, false }
	case 1:
		return s.layers[0].rows()
	}
	return merged(s.layers[0].rows(), s.layers[1].rows())
}

// rows goes through the rows of one layer.
func (l *layer) rows() func() (placedRow, bool) {
	row, gone := uint64(0), uint64(0)
	return func() (placedRow, bool) {
		if row >= l.desc.Rows {
			return placedRow{}, false
		}
		p := placedRow{l.assertion(row), l.first + row, true}
		if b := l.gone.take(4*gone, 4); b != nil && uint64(binary.LittleEndian.Uint32(b)) == row {
			p.live = false
			gone++
		}
		row++
		return p, true
	}
}

// merged gives the rows of a and b in order.
func merged(a, b func() (placedRow, bool)) func() (placedRow, bool) {
	x, moreX := a()
	y, moreY := b()
	return func() (placedRow, bool) {
		if moreX && (!moreY || compareRows(&x.Assertion, &y.Assertion) <= 0) {
			p := x
			x, moreX = a()
			return p, true
		}
		p, ok := y, moreY
		if moreY {
			y, moreY = b()
		}
		return p, ok
	}
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
		digest := digestOf(d, kind)
		for i := range s.layers {
			l := &s.layers[i]
			row, end := l.candidates(kind, digest)
			for ; row < end && l.holds(row, kind, digest); row++ {
				if l.agreesBelow(row, kind, d) && !l.withdrawn(row) && !visit(l.first+row, kind) {
					return
				}
			}
		}
	}
}

func digestOf(d *tutela.Digests, kind tutela.MatchKind) []byte {
	switch kind {
	case tutela.MatchMD5:
		return d.MD5[:]
	case tutela.MatchSHA1:
		return d.SHA1[:]
	default:
		return d.SHA256[:]
	}
}

// agreesBelow confirms a row on the digests that are weaker than kind.
func (b *body) agreesBelow(row uint64, kind tutela.MatchKind, d *tutela.Digests) bool {
	for kind--; kind >= tutela.MatchMD5; kind-- {
		if !b.agrees(row, kind, digestOf(d, kind)) {
			return false
		}
	}
	return true
}

// having visits the rows that hold one digest, whatever else they hold.
func (s *Set) having(kind tutela.MatchKind, digest []byte, visit func(row uint64)) {
	for i := range s.layers {
		l := &s.layers[i]
		l.body.having(kind, digest, func(row uint64) {
			if !l.withdrawn(row) {
				visit(l.first + row)
			}
		})
	}
}

// Near visits every row with a PDQ hash of its own within radius bits of h, once,
// and no other, in an order that depends on the set and h alone. Frames of known
// videos are no pictures: [Set.Alike] visits them too. It is safe for concurrent
// use.
func (s *Set) Near(h tutela.PDQ, radius int, visit func(row uint64, distance int)) {
	s.Alike(h, radius, func(a Alike) {
		if !a.Frame {
			visit(a.Row, a.Distance)
		}
	})
}

// Alike is a hash of a row that lies within a radius.
type Alike struct {
	Row      uint64
	Distance int  // bits
	Frame    bool // of a known video, which a row may have many of
}

// Alike visits every hash within radius bits of h, once. Each row has one of its
// own at most, and any number of frames.
func (s *Set) Alike(h tutela.PDQ, radius int, visit func(Alike)) {
	for i := range s.layers {
		l := &s.layers[i]
		l.search(h, radius, func(id uint32, distance int) {
			if row, ok := l.rowOf(uint64(id)); ok && !l.withdrawn(row) {
				visit(Alike{l.first + row, distance, l.isFrame(uint64(id))})
			}
		})
	}
}

// Video visits every row that holds a known video of which a frame lies within
// MaxRadius bits of one of frames, in order of rows. queryShare is how many of
// frames met one of the known video's, knownShare how many of the known video's
// met one of frames, in whole percent, rounded down; distance is that of the
// nearest two, in bits. Frames of poor quality must be left out by the caller, as
// they are at import. (vPDQ of ThreatExchange compares the same two shares with
// what its user asks for.)
func (s *Set) Video(frames []tutela.PDQ, visit func(row uint64, queryShare, knownShare, distance int)) {
	for i := range s.layers {
		l := &s.layers[i]
		if l.desc.Videos == 0 {
			continue
		}
		for _, m := range l.videos(frames) {
			from, to := l.framesOf(m.row)
			if known := int(to - from); known > 0 && !l.withdrawn(m.row) {
				visit(l.first+m.row, 100*m.query/len(frames), 100*min(m.known, known)/known, m.distance)
			}
		}
	}
}

// videoMatch counts what frames met of one row.
type videoMatch struct {
	row                    uint64
	query, known, distance int
}

// videos are the rows that frames met, in order.
func (b *body) videos(frames []tutela.PDQ) []videoMatch {
	type meeting struct{ row, id uint64 }
	distances := map[meeting]int{} // nearest of each known frame
	queries := map[uint64]int{}    // frames that met a row
	for _, h := range frames {
		rows := map[uint64]bool{}
		b.search(h, MaxRadius, func(id uint32, distance int) {
			row, ok := b.rowOf(uint64(id))
			if !ok || !b.isFrame(uint64(id)) {
				return
			}
			rows[row] = true
			m := meeting{row, uint64(id)}
			if before, met := distances[m]; !met || distance < before {
				distances[m] = distance
			}
		})
		for row := range rows {
			queries[row]++
		}
	}
	byRow := map[uint64]*videoMatch{}
	for m, distance := range distances {
		v := byRow[m.row]
		if v == nil {
			v = &videoMatch{row: m.row, query: queries[m.row], distance: distance}
			byRow[m.row] = v
		}
		v.known++
		v.distance = min(v.distance, distance)
	}
	var out []videoMatch
	for _, v := range byRow {
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b videoMatch) int { return int(int64(a.row) - int64(b.row)) })
	return out
}
