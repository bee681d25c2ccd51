package ext

import (
	"fmt"
	"math"

	"tutela/internal/evidence"
)

// Which blocks hold the content of a file: ext4 documentation "The Contents of
// inode.i_block".

const (
	maxDepth    = 5
	maxProblems = 8
	extentMagic = 0xf30a
	// maxTold is the length that an initialised extent can have; a longer one
	// was allocated and not written yet, and reads as zeros.
	maxTold = 1 << 15
)

// blockRun is n blocks of a file, from block logical on.
type blockRun struct {
	logical, physical, n int64
	unwritten            bool
}

// mapping is what an inode says of the place of its content.
type mapping struct {
	runs     []blockRun // ascending, without overlap
	missing  []blockRun // logical and n only: nobody can tell where they are
	problems []string
	tree     int64 // blocks that hold the mapping itself
	reused   int64 // of these: given to another file since
}

func (m *mapping) blame(format string, args ...any) {
	if len(m.problems) < maxProblems {
		m.problems = append(m.problems, fmt.Sprintf(format, args...))
	}
}

// lose notes that blocks from first up to end are told nowhere.
func (m *mapping) lose(first, end int64) {
	if end > first {
		m.missing = append(m.missing, blockRun{logical: first, n: end - first})
	}
}

func (m *mapping) add(r blockRun) {
	if last := len(m.runs) - 1; last >= 0 {
		l := &m.runs[last]
		if l.logical+l.n == r.logical && l.physical+l.n == r.physical && l.unwritten == r.unwritten {
			l.n += r.n
			return
		}
	}
	m.runs = append(m.runs, r)
}

// blocks is how many blocks the runs have.
func (m *mapping) blocks() (n int64) {
	for _, r := range m.runs {
		n += r.n
	}
	return n
}

// mapper reads mappings: as they are now, or as the journal knew them.
type mapper struct {
	fs      *FileSystem
	read    func(block int64, p []byte) error
	inUse   func(block int64) bool // by another file now; nil where that does not matter
	budget  *budget                // tree blocks that may still be read
	age     int64                  // present for what lies in place
	visited map[int64]bool         // of the file at hand
	in      *inode
	m       *mapping
}

// of is the mapping of an inode that has one.
func (r mapper) of(in *inode) *mapping {
	r.in, r.m, r.visited = in, &mapping{}, map[int64]bool{}
	if in.is(flagExtents) {
		r.extents(in.area(), 0, math.MaxUint32+1, -1)
	} else {
		r.indirect()
	}
	return r.m
}

// block reads one block of the tree, each once.
func (r *mapper) block(n int64) ([]byte, error) {
	switch {
	case !r.fs.inVolume(n, 1):
		return nil, fmt.Errorf("block %d is not in the volume", n)
	case r.visited[n]:
		return nil, fmt.Errorf("block %d is met again", n)
	case !r.budget.take(1):
		return nil, fmt.Errorf("files claim too many blocks for their extents: not read")
	}
	r.visited[n] = true
	if r.inUse != nil && r.inUse(n) {
		r.m.reused++
		return nil, fmt.Errorf("block %d belongs to another file now", n)
	}
	p := make([]byte, r.fs.block)
	r.m.tree++
	return p, r.read(n, p)
}

// extents reads one node, whose entries must lie between first and end. depth is
// what its parent promises, -1 for the root.
func (r *mapper) extents(node []byte, first, end int64, depth int) {
	entries, room, levels := int(le16(node, 2)), int(le16(node, 4)), int(le16(node, 6))
	if le16(node, 0) != extentMagic || entries > room || 12+12*room > len(node) || levels > maxDepth || depth >= 0 && levels != depth {
		r.m.blame("an extent tree node makes no sense")
		r.m.lose(first, end)
		return
	}
	if depth >= 0 {
		r.checkNode(node, room)
	}
	for i := range entries {
		e := node[12+12*i:][:12]
		begin, next := int64(le32(e, 0)), end
		if i+1 < entries {
			next = int64(le32(node, 12+12*(i+1)))
		}
		if begin < first || next <= begin || next > end {
			r.m.blame("extents are out of order")
			r.m.lose(first, end)
			return
		}
		if levels > 0 {
			r.child(e, begin, next, levels-1)
			first = next
		} else {
			first = r.extent(e, begin, next)
		}
	}
}

func (r *mapper) checkNode(node []byte, room int) {
	tail := 12 + 12*room
	if r.fs.metadataCRC() && tail+4 <= len(node) && crc32c(r.fs.inodeSeed(r.in), node[:tail]) != le32(node, tail) {
		r.m.blame("an extent tree node has a wrong checksum")
	}
}

func (r *mapper) child(e []byte, begin, next int64, depth int) {
	at := int64(le32(e, 4)) | int64(le16(e, 8))<<32
	node, err := r.block(at)
	if err != nil {
		r.m.blame("extent tree: %v", err)
		r.m.lose(begin, next)
		return
	}
	r.extents(node, begin, next, depth)
}

// extent takes one extent and returns its end.
func (r *mapper) extent(e []byte, begin, next int64) int64 {
	n, unwritten := int64(le16(e, 4)), false
	if n > maxTold {
		n, unwritten = n-maxTold, true
	}
	at := int64(le32(e, 8)) | int64(le16(e, 6))<<32
	if n == 0 || n > next-begin || !r.fs.inVolume(at, n) {
		r.m.blame("an extent of %d blocks at block %d makes no sense", n, at)
		r.m.lose(begin, max(begin+1, min(begin+n, next)))
		return begin + 1
	}
	r.m.add(blockRun{begin, at, n, unwritten})
	return begin + n
}

// indirect reads 12 block numbers and three trees of them.
func (r *mapper) indirect() {
	area := r.in.area()
	var logical int64
	for i := range 12 {
		r.pointer(int64(le32(area, 4*i)), logical, 0)
		logical++
	}
	span := int64(1)
	for level := 1; level <= 3; level++ {
		span *= r.fs.block / 4
		r.pointer(int64(le32(area, 4*(11+level))), logical, level)
		logical += span
	}
}

// pointer follows one block number; level 0 is content.
func (r *mapper) pointer(at, logical int64, level int) {
	span := int64(1)
	for range level {
		span *= r.fs.block / 4
	}
	switch {
	case at == 0:
	case !r.fs.inVolume(at, 1):
		r.m.blame("block %d is not in the volume", at)
		r.m.lose(logical, logical+span)
	case level == 0:
		r.m.add(blockRun{logical: logical, physical: at, n: 1})
	default:
		node, err := r.block(at)
		if err != nil {
			r.m.blame("indirect block: %v", err)
			r.m.lose(logical, logical+span)
			return
		}
		child := span / (r.fs.block / 4)
		for i := range r.fs.block / 4 {
			r.pointer(int64(le32(node, int(4*i))), logical+i*child, level-1)
		}
	}
}

// lostAt is where extents lie that nobody can tell the place of. No source is so
// long.
const lostAt = int64(1) << 61

// layout is the content of size bytes that a mapping makes up, and what lies
// behind its end in the blocks that the file has.
func (fs *FileSystem) layout(m *mapping, size int64) (content, behind []evidence.Extent) {
	l := layout{fs: fs, size: size, missing: m.missing}
	for _, r := range m.runs {
		l.gap(fs.bytes(r.logical))
		l.run(fs.bytes(r.physical), fs.bytes(r.n), r.unwritten)
	}
	l.gap(size)
	return l.content, l.behind
}

// layout puts one extent behind the other.
type layout struct {
	fs              *FileSystem
	size, end       int64 // of the file; of the extents until now
	missing         []blockRun
	content, behind []evidence.Extent
}

// put adds to the content what is below the size of the file, and returns how
// much that was.
func (l *layout) put(offset, length int64) int64 {
	n := max(0, min(length, l.size-l.end))
	if n > 0 {
		l.content = append(l.content, evidence.Extent{Offset: offset, Length: n})
		l.end += n
	}
	return n
}

// run adds a run. One that was not written yet holds zeros, not its blocks.
func (l *layout) run(offset, length int64, unwritten bool) {
	from := offset
	if unwritten {
		from = evidence.Hole
	}
	if n := l.put(from, length); n < length {
		l.behind = append(l.behind, evidence.Extent{Offset: offset + n, Length: length - n})
	}
}

// gap fills up to a byte: with zeros, but where the mapping itself is lost.
func (l *layout) gap(until int64) {
	for l.end < min(until, l.size) {
		for len(l.missing) > 0 && l.fs.bytes(l.missing[0].logical+l.missing[0].n) <= l.end {
			l.missing = l.missing[1:]
		}
		if len(l.missing) == 0 {
			l.put(evidence.Hole, until-l.end)
			continue
		}
		from, to := l.fs.bytes(l.missing[0].logical), l.fs.bytes(l.missing[0].logical+l.missing[0].n)
		if from > l.end {
			l.put(evidence.Hole, min(until, from)-l.end)
		} else {
			l.put(lostAt, min(until, to)-l.end)
		}
	}
}

// bytes is a number of blocks in bytes, or the largest number there is.
func (fs *FileSystem) bytes(blocks int64) int64 { return product(blocks, fs.block) }
