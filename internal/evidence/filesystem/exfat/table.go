package exfat

import (
	"encoding/binary"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

// The file allocation table: specification, section 4. It is asked only for
// contents that are not in one piece.

const (
	pageBytes  = 64 << 10
	maxPages   = 64
	maxExtents = 1 << 20 // of one content
	endOfChain = 0xffffffff
	badCluster = 0xfffffff7
)

// clusterSet is one bit for each cluster of the source.
type clusterSet []uint64

func newClusterSet(g *geometry) clusterSet { return make(clusterSet, g.held/64+1) }

func (s clusterSet) has(c uint32) bool { return s[(c-firstCluster)/64]>>((c-firstCluster)%64)&1 != 0 }
func (s clusterSet) add(c uint32)      { s[(c-firstCluster)/64] |= 1 << ((c - firstCluster) % 64) }
func (s clusterSet) drop(c uint32)     { s[(c-firstCluster)/64] &^= 1 << ((c - firstCluster) % 64) }

// table is the file allocation table, read through a few pages. It belongs to
// one walk.
type table struct {
	src   evidence.Source
	geo   *geometry
	pages map[int64]page
	chain clusterSet // of follow
}

// page is a stretch of the table, or why there is none.
type page struct {
	bytes []byte
	err   error
}

func newTable(fs *FileSystem) *table {
	return &table{src: fs.src, geo: &fs.geo, pages: map[int64]page{}, chain: newClusterSet(&fs.geo)}
}

// next is the table's entry of cluster c.
func (t *table) next(c uint32) (uint32, error) {
	at := int64(c) * 4
	i := at % pageBytes
	p, err := t.page(at - i)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(p[i:]), nil
}

func (t *table) page(at int64) ([]byte, error) {
	if p, ok := t.pages[at]; ok {
		return p.bytes, p.err
	}
	p := page{bytes: make([]byte, pageBytes)}
	have := max(0, min(pageBytes, t.geo.tableBytes-at))
	p.err = readFull(t.src, p.bytes[:have], t.geo.table+at)
	if len(t.pages) >= maxPages {
		clear(t.pages)
	}
	t.pages[at] = p
	return p.bytes, p.err
}

// chainOf is where a content lies.
type chainOf struct {
	extents  []evidence.Extent
	clusters int64
	problem  *tutela.Finding // why it ends where it does, if it should not
}

func (o *chainOf) stop(code, format string, args ...any) {
	o.problem = &tutela.Finding{Code: code, Detail: "the chain of clusters " + fmt.Sprintf(format, args...)}
}

// push appends a cluster; it reports false where there are too many pieces.
func (o *chainOf) push(g *geometry, c uint32) bool {
	at, last := g.offset(c), len(o.extents)-1
	switch {
	case last >= 0 && o.extents[last].Offset+o.extents[last].Length == at:
		o.extents[last].Length += g.cluster
	case last+1 >= maxExtents:
		return false
	default:
		o.extents = append(o.extents, evidence.Extent{Offset: at, Length: g.cluster})
	}
	o.clusters++
	return true
}

// each calls visit for every cluster of the extents, until it returns false.
func each(g *geometry, extents []evidence.Extent, visit func(uint32) bool) {
	for _, e := range extents {
		first := g.clusterAt(e.Offset)
		for i := range uint32(e.Length / g.cluster) {
			if !visit(first + i) {
				return
			}
		}
	}
}

// follow goes along the chain that begins at c. No cluster comes twice.
func (t *table) follow(c uint32) (out chainOf) {
	defer func() {
		each(t.geo, out.extents, func(c uint32) bool { t.chain.drop(c); return true })
	}()
	for {
		switch {
		case !t.geo.valid(c):
			out.stop(tutela.FindingDamaged, "leads to cluster %d, which does not exist", c)
			return out
		case !t.geo.holds(c):
			out.stop(tutela.FindingTruncated, "leads behind the end of the image")
			return out
		case t.chain.has(c):
			out.stop(tutela.FindingLoop, "comes back to cluster %d", c)
			return out
		case !out.push(t.geo, c):
			out.stop(tutela.FindingLimit, "has more than %d pieces", maxExtents)
			return out
		}
		t.chain.add(c)
		v, err := t.next(c)
		switch {
		case err != nil:
			out.stop(tutela.FindingReadError, "ends at cluster %d: %v", c, err)
			return out
		case v == endOfChain:
			return out
		case v == badCluster:
			out.stop(tutela.FindingDamaged, "ends at cluster %d, which is marked bad", c)
			return out
		}
		c = v
	}
}

// straight is a content in one piece: the NoFatChain flag, section 6.3.4.2.
func (t *table) straight(c uint32, need int64) (out chainOf) {
	if need == 0 {
		return out
	}
	if !t.geo.valid(c) {
		out.stop(tutela.FindingDamaged, "begins at cluster %d, which does not exist", c)
		return out
	}
	have := min(need, int64(t.geo.held)-int64(c-firstCluster))
	switch {
	case need > int64(t.geo.clusters)-int64(c-firstCluster):
		out.stop(tutela.FindingDamaged, "of %d in one piece from %d on leads behind the last cluster", need, c)
	case have < need:
		out.stop(tutela.FindingTruncated, "leads behind the end of the image")
	}
	if have > 0 {
		out.extents, out.clusters = []evidence.Extent{{Offset: t.geo.offset(c), Length: have * t.geo.cluster}}, have
	}
	return out
}
