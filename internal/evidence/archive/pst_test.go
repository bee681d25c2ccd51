package archive_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// storeSum is the checksum of [MS-PST] 5.3.
func storeSum(b []byte) uint32 { return ^crc32.Update(^uint32(0), crc32.IEEETable, b) }

// store builds a PST file of 64-bit numbers, its blocks not encoded.
type store struct {
	b      []byte
	nodes  [][4]uint64 // id, data, below, parent
	blocks [][3]uint64 // number, place, size
	next   uint64
}

const storeFirst = 0x4400

func newStore() *store { return &store{b: make([]byte, storeFirst), next: 4} }

func (s *store) block(content []byte, internal bool) uint64 {
	bid := s.next
	s.next += 4
	if internal {
		bid |= 2
	}
	at := uint64(len(s.b))
	s.blocks = append(s.blocks, [3]uint64{bid, at, uint64(len(content))})
	s.b = append(s.b, content...)
	s.b = append(s.b, make([]byte, -(len(content)+16)&63+16)...)
	return bid
}

func wide(v ...uint64) (b []byte) {
	for _, v := range v {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// chain is a content of several blocks.
func (s *store) chain(level byte, size int, blocks ...uint64) uint64 {
	b := []byte{1, level, byte(len(blocks)), byte(len(blocks) >> 8)}
	return s.block(append(binary.LittleEndian.AppendUint32(b, uint32(size)), wide(blocks...)...), true)
}

// below is a list of the nodes below one.
func (s *store) below(nodes ...[3]uint64) uint64 {
	b := []byte{2, 0, byte(len(nodes)), 0, 0, 0, 0, 0}
	for _, n := range nodes {
		b = append(b, wide(n[:]...)...)
	}
	return s.block(b, true)
}

type storeProperty struct {
	id, kind uint16
	value    string // what does not lie in the heap are four bytes behind a "#"
}

// properties is a property context.
func (s *store) properties(all ...storeProperty) uint64 {
	items := []string{"\xb5\x02\x06\x00\x40\x00\x00\x00", ""}
	for _, p := range all {
		row := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, p.id), p.kind)
		if id, elsewhere := strings.CutPrefix(p.value, "#"); elsewhere {
			row = append(row, id...)
		} else {
			items = append(items, p.value)
			row = binary.LittleEndian.AppendUint32(row, uint32(len(items)<<5))
		}
		items[1] += string(row)
	}
	b := []byte{0, 0, 0xec, 0xbc, 0x20, 0, 0, 0, 0, 0, 0, 0}
	ends := []uint16{uint16(len(b))}
	for _, item := range items {
		b = append(b, item...)
		ends = append(ends, uint16(len(b)))
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	b = append(b, byte(len(items)), 0, 0, 0)
	for _, end := range ends {
		b = binary.LittleEndian.AppendUint16(b, end)
	}
	return s.block(b, false)
}

func (s *store) page(kind, each byte, entries []byte, count int) (bid, at uint64) {
	s.b = append(s.b, make([]byte, -len(s.b)&511)...)
	at, bid = uint64(len(s.b)), s.next
	s.next += 4
	p := make([]byte, 512)
	copy(p, entries)
	p[488], p[489], p[490] = byte(count), byte(count), each
	p[496], p[497] = kind, kind
	binary.LittleEndian.PutUint64(p[504:], bid)
	s.b = append(s.b, p...)
	return bid, at
}

func (s *store) file() []byte {
	var nodes, blocks []byte
	slices.SortFunc(s.nodes, func(a, b [4]uint64) int { return int(a[0]) - int(b[0]) })
	slices.SortFunc(s.blocks, func(a, b [3]uint64) int { return int(a[0]) - int(b[0]) })
	for _, n := range s.nodes {
		nodes = append(nodes, wide(n[:]...)...)
	}
	for _, x := range s.blocks {
		blocks = append(append(blocks, wide(x[0], x[1])...), byte(x[2]), byte(x[2]>>8), 1, 0, 0, 0, 0, 0)
	}
	nodeRoot, nodesAt := s.page(0x81, 32, nodes, len(s.nodes))
	blockRoot, blocksAt := s.page(0x80, 24, blocks, len(s.blocks))
	copy(s.b, "!BDN\x00\x00\x00\x00SM\x17\x00\x13\x00\x01\x01")
	copy(s.b[216:], wide(nodeRoot, nodesAt, blockRoot, blocksAt))
	s.b[512] = 0x80
	return s.mend(s.b)
}

// mend sets the checksums of the header, the pages and the blocks.
func (s *store) mend(b []byte) []byte {
	if len(b) != len(s.b) {
		return b
	}
	binary.LittleEndian.PutUint32(b[4:], storeSum(b[8:479]))
	for at := len(b) - 1024; at < len(b); at += 512 {
		binary.LittleEndian.PutUint32(b[at+500:], storeSum(b[at:at+496]))
	}
	for _, x := range s.blocks {
		bid, at, size := x[0], x[1], x[2]
		end := at + (size+16+63)&^63
		t := b[end-16 : end]
		v := uint32(at) ^ uint32(bid)
		binary.LittleEndian.PutUint16(t, uint16(size))
		binary.LittleEndian.PutUint16(t[2:], uint16(v>>16)^uint16(v))
		binary.LittleEndian.PutUint32(t[4:], storeSum(b[at:at+size]))
		binary.LittleEndian.PutUint64(t[8:], bid)
	}
	return b
}

// mailStore has a message with attachments of every kind, in a folder, and one
// that no folder lists.
func mailStore() *store {
	s := newStore()
	text := func(id uint16, text string) storeProperty { return storeProperty{id, 0x1f, utf16le(text)} }
	s.nodes = append(s.nodes, [4]uint64{0x122, s.properties(text(0x3001, "")), 0, 0x122},
		[4]uint64{0x8022, s.properties(text(0x3001, "Gelöschte Objekte")), 0, 0x122})
	small := s.properties(text(0x3707, "beach.jpg"), storeProperty{0x3701, 0x102, jpeg})
	large := s.chain(1, 8000+len(jpeg), s.block([]byte(jpeg+strings.Repeat("l", 8000-len(jpeg))), false), s.block([]byte(jpeg), false))
	inBlocks := s.properties(storeProperty{0x3704, 0x1e, "D\xdcNEN.JPG"}, storeProperty{0x3701, 0x102, "#\x41\x00\x00\x00"})
	link := s.properties(text(0x3707, "elsewhere.jpg"), storeProperty{0x3705, 3, "#\x02\x00\x00\x00"})
	innerSub := s.below([3]uint64{0x25, small, 0})
	inner := s.properties(text(0x37, "inner"), text(0x1000, "text of the inner one"))
	holder := s.properties(text(0x3001, "a message"), storeProperty{0x3701, 0x0d, "\x04\x01\x00\x00\x00\x00\x00\x00"})
	sub := s.below([3]uint64{0x25, small, 0}, [3]uint64{0x45, inBlocks, s.below([3]uint64{0x41, large, 0})},
		[3]uint64{0x65, link, 0}, [3]uint64{0x85, holder, s.below([3]uint64{0x104, inner, innerSub})})
	message := s.properties(text(0x37, "\x01\x05Re: holiday/1"), text(0x1000, "Grüße"), storeProperty{0x1013, 0x102, "<b>x</b>"}, storeProperty{0x0e06, 0x40, "\x00\x80\x3e\xd5\xde\xb1\x9d\x01"})
	lost := s.properties(text(0x37, "lost"), text(0x1000, "no folder lists it"))
	s.nodes = append(s.nodes, [4]uint64{0x200024, message, sub, 0x8022}, [4]uint64{0x200044, lost, 0, 0x9999})
	return s
}

func TestOutlook(t *testing.T) {
	all := list(t, "drawn.pst", mailStore().file(), evidence.Limits{})
	s := mailStore()
	s.file()
	damaged := bytes.Clone(s.b)
	damaged[s.blocks[3][1]] ^= 1 // what is large
	all += list(t, "damaged.pst", damaged, evidence.Limits{})
	all += list(t, "cut.pst", s.b[:len(s.b)-512], evidence.Limits{})
	later := bytes.Clone(s.b)
	later[10] = 36
	all += list(t, "later.ost", later, evidence.Limits{})
	evidencetest.GoldenText(t, "outlook", all)
}

// Lists of blocks that name the same block over and over are held to the
// proportions of the file.
func TestOutlookBomb(t *testing.T) {
	s := newStore()
	leaf := s.block(bytes.Repeat([]byte("x"), 8000), false)
	many := func(n int, of uint64) []uint64 {
		all := make([]uint64, n)
		for i := range all {
			all[i] = of
		}
		return all
	}
	list := s.chain(1, 1000*8000, many(1000, leaf)...)
	all := s.chain(2, 1<<31, many(1000, list)...)
	data := s.properties(storeProperty{0x3701, 0x102, "#\x41\x00\x00\x00"})
	s.nodes = append(s.nodes, [4]uint64{0x200024, s.properties(), s.below([3]uint64{0x25, data, s.below([3]uint64{0x41, all, 0})}), 0x122})
	got := expand(t, s.file(), evidence.Limits{RatioAfter: 32 << 20})
	if got.findings["read: "+tutela.FindingBomb]+got.findings[tutela.FindingBomb] == 0 || got.read > 33<<20 {
		t.Errorf("%d bytes, findings %v", got.read, got.findings)
	}
}

// Trees and lists that lead to themselves end.
func TestOutlookLoops(t *testing.T) {
	s := newStore()
	s.nodes = append(s.nodes, [4]uint64{0x200024, s.properties(), 0, 0x8022}, [4]uint64{0x8022, s.properties(), 0, 0x8022})
	b := s.file()
	nodes := len(b) - 1024
	b[nodes+491] = 1 // no leaf: both entries are places
	copy(b[nodes:], wide(0, binary.LittleEndian.Uint64(b[216:]), uint64(nodes), 0))
	got := expand(t, s.mend(b), evidence.Limits{})
	if got.findings[tutela.FindingDamaged] == 0 {
		t.Errorf("findings %v", got.findings)
	}
	s = newStore()
	s.nodes = append(s.nodes, [4]uint64{0x200024, s.properties(storeProperty{0x1000, 0x1e, "text"}), s.below([3]uint64{1, 2, 3}), 0x8022}, [4]uint64{0x8022, s.properties(), 0, 0x8022})
	list := s.blocks[1]
	b = s.file()
	copy(b[list[1]:], []byte{2, 1, 1, 0, 0, 0, 0, 0})
	copy(b[list[1]+8:], wide(1, list[0]))
	if got := expand(t, s.mend(b), evidence.Limits{}); got.findings[tutela.FindingDamaged] == 0 || len(got.paths) != 2 {
		t.Errorf("%q, findings %v", got.paths, got.findings)
	}
}

func TestOutlookMutants(t *testing.T) {
	s := mailStore()
	drawn := s.file()
	evidencetest.Mutants(t, openMembers(s.mend, evidence.Keys{}), drawn, tutela.Run{Length: 520}, tutela.Run{Offset: storeFirst, Length: int64(len(drawn)) - storeFirst})
}

func FuzzOutlook(f *testing.F) {
	s := mailStore()
	fuzzDamage(f, s.mend, evidence.Keys{}, s.file())
}
