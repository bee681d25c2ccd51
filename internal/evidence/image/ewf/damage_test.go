package ewf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// plain is an image of one segment with three tables of eight chunks of 4 KiB,
// some compressed and some not, the last chunk short.
var plain = drawing{perChunk: 8, perTable: 8, tables: 100}

const plainSectors = 8*24 - 3

// salvage reads a medium past what cannot be read, and returns the bytes with
// zeros for those, and where they are.
func salvage(t testing.TB, d *Disk, step int64) ([]byte, []tutela.Run) {
	t.Helper()
	b := make([]byte, d.Size())
	var bad []tutela.Run
	for off := int64(0); off < d.Size(); {
		n, err := d.ReadAt(b[off:min(off+step, d.Size())], off)
		off += int64(n)
		if err == nil {
			continue
		}
		one, ok := errors.AsType[*evidence.ReadError](err)
		if !ok || one.Run.Offset != off || one.Run.Length <= 0 {
			t.Fatalf("at %d: %v", off, err)
		}
		bad = append(bad, one.Run)
		off += one.Run.Length
	}
	return b, bad
}

// findings are the codes of notes, in their order.
func findings(notes []tutela.Finding) string {
	var codes []string
	for _, n := range notes {
		codes = append(codes, n.Code)
	}
	return strings.Join(codes, " ")
}

func TestDrawn(t *testing.T) {
	medium := media(plainSectors)
	for name, d := range map[string]drawing{
		"one segment":    plain,
		"three segments": {perChunk: 8, perTable: 4, tables: 2, set: 7},
		"no checksum":    {perChunk: 8, perTable: 4, tables: 2, footless: true},
		"chunks inside":  {perChunk: 8, perTable: 4, tables: 2, inside: true},
		"one chunk":      {perChunk: 1024, perTable: 4, tables: 2},
		"a hundred":      {perChunk: 1, perTable: 1, tables: 1},
	} {
		disk := mustOpen(t, d.draw(medium), "disk.E01")
		if got := content(t, disk); !bytes.Equal(got, medium) || verify(t, disk, got) != 1 || len(disk.Notes()) > 0 {
			t.Errorf("%s: %d bytes, notes %v", name, len(got), disk.Notes())
		}
		if facts := disk.Facts(); len(facts) != 5 || facts[4] != (evidence.Fact{Name: "acquired", Value: "2002-03-04T10:19:59 local time"}) {
			t.Errorf("%s: facts %v", name, facts)
		}
	}
}

// damaged is the image drawn plainly, with a change to its one segment.
func damaged(change func(segment []byte, s *segment) []byte) evidencetest.Storage {
	st := plain.draw(media(plainSectors))
	f := newFiles(st, []string{"disk.E01"})
	s, err := f.walk(0)
	if err != nil {
		panic(err)
	}
	st["disk.E01"] = change(bytes.Clone(st["disk.E01"]), s)
	return st
}

// at is where chunk n of a table lies.
func (t *table) chunkAt(segment []byte, n int) int64 {
	return t.base + int64(binary.LittleEndian.Uint32(segment[t.at+4*int64(n):])&^packedBit)
}

func TestBadChunkCostsItself(t *testing.T) {
	medium := media(plainSectors)
	const first, last = 2, 23 // one that is stored as it is, and the short one
	for _, step := range []int64{4096, 512, 10_000, 1 << 20} {
		d := mustOpen(t, damaged(func(b []byte, s *segment) []byte {
			b[s.tables[0].chunkAt(b, first)+100] ^= 1
			b[s.tables[2].chunkAt(b, last-16)+10] ^= 0x10
			return b
		}), "disk.E01")
		got, bad := salvage(t, d, step)
		want := []tutela.Run{{Offset: first * 4096, Length: 4096}, {Offset: last * 4096, Length: 4096 - 3*512}}
		if len(bad) != 2 || bad[0] != want[0] || bad[1] != want[1] {
			t.Errorf("step %d: lost %v, want %v", step, bad, want)
		}
		for _, r := range want {
			copy(got[r.Offset:], medium[r.Offset:r.Offset+r.Length])
		}
		if !bytes.Equal(got, medium) {
			t.Errorf("step %d: wrong bytes beside the bad chunks", step)
		}
	}
}

func TestDamagedStructures(t *testing.T) {
	medium := media(plainSectors)
	flip := func(at func(s *segment) int64) func([]byte, *segment) []byte {
		return func(b []byte, s *segment) []byte {
			b[at(s)] ^= 4
			return b
		}
	}
	for _, c := range []struct {
		name   string
		change func([]byte, *segment) []byte
		notes  string
		lost   []tutela.Run
	}{
		{"entries of a table", flip(func(s *segment) int64 { return s.tables[1].at + 5 }), tutela.FindingBackupTable, nil},
		{"header of a table", flip(func(s *segment) int64 { return s.tables[1].at - tableHeaderSize }), tutela.FindingDamaged + " " + tutela.FindingBackupTable, nil},
		{"descriptor of a table", flip(func(s *segment) int64 { return s.tables[1].at - descriptorSize - tableHeaderSize + 40 }), tutela.FindingDamaged, nil},
		{"link of a table", flip(func(s *segment) int64 { return s.tables[1].at - descriptorSize - tableHeaderSize + 17 }), tutela.FindingDamaged + " " + tutela.FindingBackupTable, nil},
		{"kind of a table2", flip(func(s *segment) int64 { return s.tables[1].copy - descriptorSize - tableHeaderSize }), tutela.FindingDamaged, nil},
		{"kind of the first sectors", flip(func(s *segment) int64 { return s.tables[0].chunks.Offset }), tutela.FindingDamaged, nil},
		{"both tables", func(b []byte, s *segment) []byte {
			b[s.tables[1].at+4*3] ^= 4
			b[s.tables[1].copy+4*5] ^= 4
			return b
		}, tutela.FindingDamaged, []tutela.Run{{Offset: 11 * 4096, Length: 4096}, {Offset: 13 * 4096, Length: 4096}}},
		{"both headers", func(b []byte, s *segment) []byte {
			b[s.tables[1].at-tableHeaderSize] ^= 4
			b[s.tables[1].copy-tableHeaderSize] ^= 4
			return b
		}, tutela.FindingDamaged + " " + tutela.FindingDamaged, runsOf(8, 16)},
		{"a table that moved, and no copy", func(b []byte, s *segment) []byte {
			clear(b[s.tables[1].copy-descriptorSize-tableHeaderSize : s.tables[1].copy])
			copy(b[s.tables[1].at+8:], b[s.tables[1].at+12:s.tables[1].at+28])
			return b
		}, tutela.FindingDamaged + " " + tutela.FindingDamaged, nil},
		{"a table and a chunk", func(b []byte, s *segment) []byte {
			b[s.tables[1].chunkAt(b, 5)+100] ^= 4
			clear(b[s.tables[1].copy-descriptorSize-tableHeaderSize : s.tables[1].copy])
			b[s.tables[1].at+9] ^= 4
			return b
		}, tutela.FindingDamaged + " " + tutela.FindingDamaged, runsOf(13, 16)},
		{"a whole table and its copy", func(b []byte, s *segment) []byte {
			clear(b[s.tables[1].at-descriptorSize-tableHeaderSize : s.tables[1].copy+8*4+4])
			return b
		}, tutela.FindingDamaged + " " + tutela.FindingDamaged, runsOf(8, 24)},
		{"volume", flip(func(s *segment) int64 { return 13 + descriptorSize + 200 }), "", nil},
		{"the end", func(b []byte, s *segment) []byte {
			return b[:s.tables[2].chunks.Offset+100]
		}, tutela.FindingDamaged + " " + tutela.FindingTruncated + " " + tutela.FindingTruncated, runsOf(16, 24)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(damaged(c.change), "disk.E01")
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			got, bad := salvage(t, d, 4096)
			if len(bad) != len(c.lost) {
				t.Errorf("lost %v, want %v", bad, c.lost)
			}
			for i, r := range bad {
				if i < len(c.lost) && r != c.lost[i] {
					t.Errorf("lost %v, want %v", r, c.lost[i])
				}
				copy(got[r.Offset:], medium[r.Offset:r.Offset+r.Length])
			}
			if !bytes.Equal(got, medium) {
				t.Error("wrong bytes")
			}
			if notes := findings(d.Notes()); c.notes != "" && notes != c.notes {
				t.Errorf("notes %v, want %s", d.Notes(), c.notes)
			}
		})
	}
}

// runsOf are chunks of the plain image, each a run.
func runsOf(from, to int64) (runs []tutela.Run) {
	for n := from; n < to; n++ {
		runs = append(runs, tutela.Run{Offset: n * 4096, Length: min(4096, plainSectors*512-n*4096)})
	}
	return runs
}

func TestSegmentsThatDoNotFit(t *testing.T) {
	medium := media(plainSectors)
	whole := drawing{perChunk: 8, perTable: 4, tables: 1, set: 7}.draw(medium) // E01 to E06
	other := drawing{perChunk: 8, perTable: 4, tables: 1, set: 8}.draw(medium)
	larger := drawing{perChunk: 8, perTable: 4, tables: 1}.draw(media(plainSectors + 80))
	unnamed := drawing{perChunk: 8, perTable: 4, tables: 1}.draw(medium)
	for _, c := range []struct {
		name   string
		base   evidencetest.Storage
		change func(st evidencetest.Storage)
		open   string
		want   string
		is     error
	}{
		{"one is missing", whole, func(st evidencetest.Storage) { delete(st, "disk.E03") }, "", "segment disk.E03 of the image is missing", fs.ErrNotExist},
		{"the last is missing", whole, func(st evidencetest.Storage) { delete(st, "disk.E06") }, "", "segment disk.E06 of the image is missing", fs.ErrNotExist},
		{"wrong order", whole, func(st evidencetest.Storage) { st["disk.E02"], st["disk.E03"] = st["disk.E03"], st["disk.E02"] }, "", "disk.E02: it is segment 3", nil},
		{"of another image", whole, func(st evidencetest.Storage) { st["disk.E04"] = other["disk.E04"] }, "", "disk.E04 is a segment of another image: its set identifier", nil},
		{"of another medium", unnamed, func(st evidencetest.Storage) { st["disk.E04"] = larger["disk.E04"] }, "", "disk.E04 is a segment of another image: it is of a medium of", nil},
		{"the second is opened", whole, func(evidencetest.Storage) {}, "disk.E02", "it is segment 2 of an image", nil},
		{"a stranger", whole, func(st evidencetest.Storage) { st["disk.E02"] = []byte("no segment at all") }, "", "disk.E02: it does not begin like a segment", nil},
		{"empty", whole, func(st evidencetest.Storage) { st["disk.E05"] = nil }, "", "disk.E05: unexpected EOF", io.ErrUnexpectedEOF},
	} {
		st := maps.Clone(c.base)
		c.change(st)
		name := "disk.E01"
		if c.open != "" {
			name = c.open
		}
		_, err := Open(st, name)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	whole["disk.E07"] = whole["disk.E06"]
	d := mustOpen(t, whole, "disk.E01")
	if got := content(t, d); !bytes.Equal(got, medium) || findings(d.Notes()) != tutela.FindingDamaged {
		t.Errorf("one too many: %v", d.Notes())
	}
}

func TestKinAreRefusedByName(t *testing.T) {
	pad := strings.Repeat("\x00", 100)
	for content, want := range map[string]string{
		signatureL + pad: "L01", signature2 + pad: "Ex01", signatureL2 + pad: "Lx01",
	} {
		if _, err := Open(evidencetest.Storage{"d": []byte(content)}, "d"); !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, content := range []string{"", "EVF", pad, signature[:7] + "\x01" + pad} {
		if _, err := Open(evidencetest.Storage{"d": []byte(content)}, "d"); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%q: %v", content, err)
		}
	}
	st := plain.draw(media(plainSectors))
	b := st["disk.E01"]
	at := bytes.Index(b, []byte("volume")) + descriptorSize
	b[at] = logical
	copy(b[at:], sealed(b[at:at+volumeSize-4]))
	if _, err := Open(st, "disk.E01"); !errors.Is(err, evidence.ErrUnsupported) {
		t.Errorf("logical: %v", err)
	}
}

func TestBadSectors(t *testing.T) {
	d := plain
	d.bad = []sectors{{5, 2}, {100, 8}}
	disk := mustOpen(t, d.draw(media(plainSectors)), "disk.E01")
	if got := disk.BadSectors(); len(got) != 2 || got[0] != (tutela.Run{Offset: 5 * 512, Length: 1024}) || got[1] != (tutela.Run{Offset: 51200, Length: 4096}) {
		t.Errorf("bad sectors %v", got)
	}
	if notes := disk.Notes(); len(notes) != 1 || notes[0].Code != tutela.FindingReadError || !strings.Contains(notes[0].Detail, "10 sectors in 2 stretches, the first at sector 5") {
		t.Errorf("notes %v", notes)
	}
}

// What is found without a table that is damaged and has no copy, with a checksum
// before the chunks and without.
func TestTablesWithoutCopy(t *testing.T) {
	medium := media(plainSectors)
	for name, d := range map[string]drawing{
		"inside":   {perChunk: 8, perTable: 8, tables: 9, inside: true},
		"footless": {perChunk: 8, perTable: 8, tables: 9, footless: true},
	} {
		st := d.draw(medium)
		s, err := newFiles(st, []string{"disk.E01"}).walk(0)
		if err != nil {
			t.Fatal(err)
		}
		copy(st["disk.E01"][s.tables[1].at+8:], st["disk.E01"][s.tables[1].at+12:s.tables[1].at+24])
		disk := mustOpen(t, st, "disk.E01")
		if got := content(t, disk); !bytes.Equal(got, medium) || findings(disk.Notes()) != tutela.FindingDamaged {
			t.Errorf("%s: notes %v", name, disk.Notes())
		}
	}
}

func TestSessions(t *testing.T) {
	head := make([]byte, sessionHeaderSize-4)
	head[0] = 2
	list := make([]byte, 2*sessionSize)
	list[4], list[sessionSize], list[sessionSize+4] = 16, 1, 200
	c := newSegment(1)
	c.section("volume", drawVolume(1, 1, 2048, 1, 0))
	c.section("session", append(sealed(head), sealed(list)...))
	c.last("done")
	d := mustOpen(t, evidencetest.Storage{"disc.E01": c.Bytes()}, "disc.E01")
	want := []evidence.Fact{{Name: "session 1", Value: "data from sector 16"}, {Name: "session 2", Value: "audio from sector 200"}}
	if facts := d.Facts(); len(facts) != 2 || facts[0] != want[0] || facts[1] != want[1] {
		t.Errorf("facts %v", facts)
	}
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, errNoTable) || findings(d.Notes()) != tutela.FindingTruncated {
		t.Errorf("a chunk that no table tells of: %v, notes %v", err, d.Notes())
	}
}

// Two images in one file: the links lead through one, the sizes through the other.
func TestDualImageIsNoted(t *testing.T) {
	st := damaged(func(b []byte, s *segment) []byte {
		at := s.tables[0].chunks.Offset
		binary.LittleEndian.PutUint64(b[at+24:], 4711)
		copy(b[at:], sealed(b[at:at+descriptorSize-4]))
		return b
	})
	d := mustOpen(t, st, "disk.E01")
	if findings(d.Notes()) != tutela.FindingDamaged || !strings.Contains(d.Notes()[0].Detail, "by its link, which is followed") {
		t.Errorf("notes %v", d.Notes())
	}
}

func TestFollower(t *testing.T) {
	for _, c := range []struct {
		first string
		n     int
		want  string
	}{
		{"d.E01", 1, "d.E02"}, {"d.E01", 98, "d.E99"}, {"d.E01", 99, "d.EAA"}, {"d.E01", 100, "d.EAB"},
		{"d.E01", 99 + 26, "d.EBA"}, {"d.E01", 99 + 675, "d.EZZ"}, {"d.E01", 99 + 676, "d.FAA"},
		{"d.E01", 99 + 22*676 - 1, "d.ZZZ"}, {"d.E01", 99 + 22*676, ""}, {"d.e01", 99, "d.eaa"}, {"a.b.s01", 99, "a.b.saa"},
		{"d.E02", 1, ""}, {"E01", 1, ""}, {"d.001", 1, ""}, {"d.dd", 1, ""},
	} {
		if got, ok := follower(c.first, c.n); got != c.want || ok != (c.want != "") {
			t.Errorf("%s + %d: %q", c.first, c.n, got)
		}
	}
}

func TestSegmentsInOtherCase(t *testing.T) {
	st := drawing{perChunk: 8, perTable: 4, tables: 3}.draw(media(plainSectors))
	st["disk.e02"] = st["disk.E02"]
	delete(st, "disk.E02")
	st["disk.E0x"], st["disk.E02.txt"] = nil, nil
	if d := mustOpen(t, st, "disk.E01"); len(d.Names()) != 2 || d.Names()[1] != "disk.e02" {
		t.Errorf("segments %v", d.Names())
	}
}
