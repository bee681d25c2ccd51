package fat

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"tutela"
	"tutela/internal/evidence"
)

const (
	pageBytes  = 64 << 10
	maxPages   = 64
	maxExtents = 1 << 20 // of one content
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
	fs    *FileSystem
	geo   *geometry
	pages map[int64]page
	used  clusterSet // not marked free; see load
	chain clusterSet // of follow

	unread int64          // sectors of it that no copy could give
	second map[int64]bool // sectors of it that only another copy could give
	differ int64          // sectors in which the copies differ
}

// page is a stretch of the table. bad tells of each sector whether it could not
// be read; it is nil where all could.
type page struct {
	bytes []byte
	bad   []bool
}

func newTable(fs *FileSystem) *table {
	return &table{fs: fs, geo: &fs.geo, pages: map[int64]page{}, second: map[int64]bool{}, chain: newClusterSet(&fs.geo)}
}

// size is how many bytes of the table stand for clusters of the source.
func (t *table) size() int64 {
	entries := int64(t.geo.held) + firstCluster
	return min(t.geo.tableBytes, (entries*int64(t.geo.bits)+7)/8)
}

// load learns which clusters are used, from the whole table, and compares its
// copies. A cluster whose entry cannot be read counts as used.
func (t *table) load(ctx context.Context) error {
	t.used = newClusterSet(t.geo)
	for c := uint32(firstCluster); t.geo.holds(c); c++ {
		if c%(1<<14) == firstCluster {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if v, err := t.next(c); v != 0 || err != nil {
			t.used.add(c)
		}
	}
	t.unread, t.differ = 0, 0
	for at := int64(0); at < t.size(); at += pageBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		t.compare(at, t.page(at))
	}
	return nil
}

// compare counts where the copies of a page differ.
func (t *table) compare(at int64, p page) {
	for _, bad := range p.bad {
		if bad {
			t.unread++
		}
	}
	other := make([]byte, len(p.bytes))
	for i := range t.geo.tables {
		if i == t.geo.active || !t.geo.mirrored || p.bad != nil || readFull(t.fs.src, other, t.place(i, at)) != nil {
			continue
		}
		for a := 0; a < len(other); a += int(t.geo.sector) {
			b := min(a+int(t.geo.sector), len(other))
			if !bytes.Equal(other[a:b], p.bytes[a:b]) {
				t.differ++
			}
		}
	}
}

// tell says what was found about the table as a whole.
func (t *table) tell() (all []tutela.Finding) {
	if t.unread > 0 {
		all = append(all, tutela.Finding{Code: tutela.FindingReadError, Detail: fmt.Sprintf("%d sectors of the file allocation table cannot be read", t.unread)})
	}
	if len(t.second) > 0 {
		all = append(all, tutela.Finding{Code: tutela.FindingBackupTable, Detail: fmt.Sprintf("%d sectors of the file allocation table were read from its copy", len(t.second))})
	}
	if t.differ > 0 {
		all = append(all, tutela.Finding{Code: tutela.FindingDamaged, Detail: fmt.Sprintf("the file allocation tables differ in %d sectors: number %d was believed", t.differ, t.geo.active+1)})
	}
	return all
}

// place is where byte at of copy i lies.
func (t *table) place(i int, at int64) int64 { return t.geo.table + int64(i)*t.geo.tableBytes + at }

func (t *table) page(at int64) page {
	at -= at % pageBytes
	if p, ok := t.pages[at]; ok {
		return p
	}
	p := page{bytes: make([]byte, min(pageBytes, t.size()-at))}
	if readFull(t.fs.src, p.bytes, t.place(t.geo.active, at)) != nil {
		t.patch(at, &p)
	}
	if len(t.pages) >= maxPages {
		clear(t.pages)
	}
	t.pages[at] = p
	return p
}

// patch fills a page sector by sector, each from the first copy that has it.
func (t *table) patch(at int64, p *page) {
	sector := int(t.geo.sector)
	bad := make([]bool, (len(p.bytes)+sector-1)/sector)
	for i := range bad {
		b := p.bytes[i*sector : min((i+1)*sector, len(p.bytes))]
		if readFull(t.fs.src, b, t.place(t.geo.active, at+int64(i*sector))) == nil {
			continue
		}
		if t.fromCopy(b, at+int64(i*sector)) {
			t.second[at/t.geo.sector+int64(i)] = true
			continue
		}
		bad[i], p.bad = true, bad
	}
}

func (t *table) fromCopy(b []byte, at int64) bool {
	for i := range t.geo.tables {
		if i != t.geo.active && t.geo.mirrored && readFull(t.fs.src, b, t.place(i, at)) == nil {
			return true
		}
	}
	return false
}

var errUnreadTable = errors.New("its entry of the file allocation table cannot be read")

// next is the table's entry of cluster c, which is held.
func (t *table) next(c uint32) (uint32, error) {
	at := int64(c) * int64(t.geo.bits) / 8
	p := t.page(at)
	i := at % pageBytes
	if p.bad != nil && (p.bad[i/t.geo.sector] || t.geo.bits == 12 && p.bad[min(i+1, int64(len(p.bytes))-1)/t.geo.sector]) {
		return 0, errUnreadTable
	}
	switch t.geo.bits {
	case 12:
		return uint32(binary.LittleEndian.Uint16(p.bytes[i:])) >> (4 * (c & 1)) & 0xfff, nil
	case 16:
		return uint32(binary.LittleEndian.Uint16(p.bytes[i:])), nil
	}
	return binary.LittleEndian.Uint32(p.bytes[i:]) & 0x0fffffff, nil
}

// ends reports whether an entry marks the last cluster of a chain.
func (t *table) ends(v uint32) bool { return v >= uint32(0x0ffffff8)&(1<<t.geo.bits-1) }

// isBad reports whether an entry marks a cluster as bad.
func (t *table) isBad(v uint32) bool { return v == uint32(0x0ffffff7)&(1<<t.geo.bits-1) }

// chainOf is where a first cluster leads.
type chainOf struct {
	extents  []evidence.Extent
	clusters int64
	problem  *tutela.Finding // why it ends where it does, if it should not
}

// follow goes along the chain that begins at c and calls visit for each of its
// clusters. No cluster comes twice.
func (t *table) follow(c uint32, visit func(uint32)) (out chainOf) {
	defer t.forget(&out)
	stop := func(code, format string, args ...any) chainOf {
		out.problem = &tutela.Finding{Code: code, Detail: "the chain of clusters " + fmt.Sprintf(format, args...)}
		return out
	}
	for {
		switch {
		case !t.geo.valid(c):
			return stop(tutela.FindingDamaged, "leads to cluster %d, which does not exist", c)
		case !t.geo.holds(c):
			return stop(tutela.FindingTruncated, "leads behind the end of the image")
		case t.chain.has(c):
			return stop(tutela.FindingLoop, "comes back to cluster %d", c)
		case !out.push(t.geo, c):
			return stop(tutela.FindingLimit, "has more than %d pieces", maxExtents)
		}
		t.chain.add(c)
		visit(c)
		v, err := t.next(c)
		switch {
		case err != nil:
			return stop(tutela.FindingReadError, "ends at cluster %d: %v", c, err)
		case t.ends(v):
			return out
		case v == 0:
			return stop(tutela.FindingDamaged, "ends at cluster %d, which is marked free", c)
		case t.isBad(v):
			return stop(tutela.FindingDamaged, "ends at cluster %d, which is marked bad", c)
		}
		c = v
	}
}

// forget makes the set of follow empty again.
func (t *table) forget(out *chainOf) {
	for _, e := range out.extents {
		first := t.geo.clusterAt(e.Offset)
		for i := range uint32(e.Length / t.geo.cluster) {
			t.chain.drop(first + i)
		}
	}
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
