package vhdx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

const diskBytes = 3147264

func openImage(st evidence.Storage, name string) (evidence.File, error) { return Open(st, name) }

func image(t testing.TB, name string) []byte { return evidencetest.Image(t, "testdata/"+name) }

func mustOpen(t testing.TB, st evidence.Storage, name string) *Disk {
	t.Helper()
	d, err := Open(st, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDisks(t *testing.T) {
	for name, layer := range map[string]string{"fixed.vhdx": "vhdx-fixed", "dynamic.vhdx": "vhdx-dynamic", "large.vhdx": "vhdx-dynamic"} {
		d := mustOpen(t, evidencetest.Storage{name: image(t, name)}, name)
		evidencetest.SameDisk(t, d, evidencetest.Pattern(diskBytes))
		if d.Layer() != layer || len(d.Notes()) != 0 {
			t.Errorf("%s: %s, notes %v", name, d.Layer(), d.Notes())
		}
	}
}

func TestSectorsOf4096(t *testing.T) {
	disk := evidencetest.Pattern(3 * mb)
	c := (&craft{size: 3 * mb, block: mb, sector: 4096, fixed: true}).draw().whole(disk)
	evidencetest.SameDisk(t, mustOpen(t, evidencetest.Storage{"x": c.bytes}, "x"), disk)
}

func TestStates(t *testing.T) {
	block := bytes.Repeat([]byte{7}, mb)
	c := (&craft{size: 9 * mb, block: mb, sector: 512}).draw()
	for n := range int64(8) {
		c.entry(n, uint64(n), c.add(block))
	}
	c.entry(8, fullyPresent, 0)
	want := make([]byte, 9*mb)
	copy(want[6*mb:], block)
	d := mustOpen(t, evidencetest.Storage{"x": c.bytes}, "x")
	evidencetest.Lost(t, d, want, tutela.Run{Offset: 4 * mb, Length: mb}, tutela.Run{Offset: 7 * mb, Length: 2 * mb})
}

// A table that is interleaved with sector bitmaps: 2^23 sectors of 512 bytes in
// blocks of 256 MB are sixteen blocks.
func TestInterleaved(t *testing.T) {
	const block = 256 * mb
	c := (&craft{size: 17*block + mb, block: block, sector: 512}).draw()
	at := c.add(bytes.Repeat([]byte{7}, mb))
	c.entry(18, fullyPresent, at) // the eighteenth block, behind the bitmap of the first sixteen
	d := mustOpen(t, evidencetest.Storage{"x": c.bytes}, "x")
	got := make([]byte, 2)
	if n, err := d.ReadAt(got, 17*block); n != 2 || err != nil || got[0] != 7 {
		t.Errorf("%d bytes %v, %v", n, got, err)
	}
	if n, err := d.ReadAt(got, 16*block); n != 2 || err != nil || got[0] != 0 {
		t.Errorf("%d bytes %v, %v", n, got, err)
	}
}

func TestHugeDisk(t *testing.T) {
	const block = 256 * mb
	c := (&craft{size: 10 << 40, block: block, sector: 512}).draw()
	n := int64(9<<40) / block
	c.entry(n+n/16, fullyPresent, c.add(append(bytes.Repeat([]byte{7}, 65536), make([]byte, mb)...)))
	evidencetest.HugeDisk(t, mustOpen(t, evidencetest.Storage{"x": c.bytes}, "x"), tutela.Run{Offset: 9 << 40, Length: 65536})
}

// child is a disk upon dynamic.vhdx, of whose last whole block some sectors are
// its own.
func child(t testing.TB, linkage string, paths map[string]string) (image, want []byte) {
	want = evidencetest.Pattern(diskBytes)
	c := (&craft{size: diskBytes, block: mb, sector: 512, linkage: linkage, paths: paths}).draw()
	block, bitmap := bytes.Repeat([]byte("child of"), mb/8), make([]byte, mb)
	for n := range 2048 {
		if n%7 == 0 || n >= 300 && n < 900 {
			bitmap[(4096+n)/8] |= 1 << (n % 8)
			copy(want[2*mb+n*512:][:512], block[n*512:])
		}
	}
	c.entry(0, zero, 0)
	clear(want[:mb])
	c.entry(2, partiallyPresent, c.add(block))
	c.entry(4096, bitmapPresent, c.add(bitmap))
	return c.bytes, want
}

func TestDifferencing(t *testing.T) {
	parent := image(t, "dynamic.vhdx")
	h, err := findHeader(evidencetest.Source(parent), nil)
	if err != nil {
		t.Fatal(err)
	}
	x, want := child(t, strings.ToUpper(h.dataWrite.String()), map[string]string{"relative_path": `.\gone.vhdx`, "absolute_win32_path": `C:\vm\Dynamic.vhdx`})
	d := mustOpen(t, evidencetest.Storage{"x": x, "dynamic.vhdx": parent}, "x")
	evidencetest.SameDisk(t, d, want)
	if d.Layer() != "vhdx-differencing" || len(d.Names()) != 2 {
		t.Errorf("%s of %v", d.Layer(), d.Names())
	}
	_, err = Open(evidencetest.Storage{"x": x}, "x")
	if !errors.Is(err, evidence.ErrUnsupported) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `"Dynamic.vhdx" is not beside it`) {
		t.Errorf("a parent that is not there: %v", err)
	}
	_, err = Open(evidencetest.Storage{"x": x, "gone.vhdx": image(t, "fixed.vhdx")}, "x")
	if !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), "has the data write id") {
		t.Errorf("a stranger in the parent's place: %v", err)
	}
	itself, _ := child(t, dataWriteOf, map[string]string{"relative_path": "x"})
	if _, err = Open(evidencetest.Storage{"x": itself}, "x"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an image that is its own parent: %v", err)
	}
}

// logged is a disk whose tables are right only after its log was replayed.
func logged(from int) (image, want []byte) {
	want = evidencetest.Pattern(3 * mb)
	c := (&craft{size: 3 * mb, block: mb, sector: 512}).draw().whole(want)
	table := bytes.Clone(c.bytes[batMB*mb:][:logSector])
	wrong := bytes.Repeat([]byte{0x11}, logSector)
	clear(c.bytes[batMB*mb:][:logSector])
	// The second entry writes over the first, and empties a stretch of the disk.
	c.logged(from, 41, []change{{at: batMB * mb, data: wrong}}, []change{{at: batMB * mb, data: table}, {at: firstBlockMB*mb + 8192, zero: 8192}})
	clear(want[8192:16384])
	return c.bytes, want
}

func TestLogIsReplayed(t *testing.T) {
	for _, from := range []int{0, 5, 253, 255} { // the last ones go on at the beginning
		x, want := logged(from)
		before := bytes.Clone(x)
		d := mustOpen(t, evidencetest.Storage{"x": x}, "x")
		evidencetest.SameDisk(t, d, want)
		if notes := d.Notes(); len(notes) != 1 || notes[0].Code != tutela.FindingDamaged || !strings.Contains(notes[0].Detail, "2 entries") {
			t.Errorf("notes %v", notes)
		}
		if !bytes.Equal(x, before) {
			t.Error("the file was changed")
		}
	}
}

// An entry that does not hold together ends the sequence before it; a log
// without any is refused.
func TestBrokenLogs(t *testing.T) {
	x, _ := logged(5)
	x[logMB*mb+7*logSector+100]++ // the second entry: the first one is wrong by itself
	d := mustOpen(t, evidencetest.Storage{"x": x}, "x")
	if notes := d.Notes(); len(notes) != 1 || !strings.Contains(notes[0].Detail, "1 entries") {
		t.Errorf("notes %v", notes)
	}
	x[logMB*mb+5*logSector+100]++
	if _, err := Open(evidencetest.Storage{"x": x}, "x"); err == nil || !strings.Contains(err.Error(), "no sequence of entries") {
		t.Errorf("a log in which nothing holds together: %v", err)
	}
	for words, change := range map[string]func(h []byte){
		"a log of 5":         func(h []byte) { binary.LittleEndian.PutUint32(h[68:], 5) },
		"not replayed":       func(h []byte) { binary.LittleEndian.PutUint32(h[68:], 128*mb) },
		"lie outside":        func(h []byte) { h[78] = 1 },
		"version 2 not read": func(h []byte) { h[66] = 2 },
	} {
		x, _ := logged(5)
		for _, at := range headerPlaces {
			change(x[at:])
			seal(x[at:][:headerBytes])
		}
		if _, err := Open(evidencetest.Storage{"x": x}, "x"); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	// Changes behind the end of the file are there, what lies between is not.
	o := &overlay{Source: evidencetest.Source([]byte("abcd")), size: 12, patches: []patch{{2, 4, []byte("CDEF")}, {8, 4, nil}}}
	got := make([]byte, 12)
	if n, err := o.ReadAt(got, 0); n != 6 || err == nil || string(got[:n]) != "abCDEF" {
		t.Errorf("%q, %v", got[:n], err)
	}
	if n, err := o.ReadAt(got[:4], 8); n != 4 || err != nil {
		t.Errorf("%q, %v", got[:n], err)
	}
}

func TestCopies(t *testing.T) {
	good := image(t, "dynamic.vhdx")
	for name, places := range map[string][]int64{"headers": headerPlaces, "region tables": regionPlaces} {
		for _, at := range places {
			b := bytes.Clone(good)
			b[at+20]++
			d := mustOpen(t, evidencetest.Storage{"x": b}, "x")
			evidencetest.SameDisk(t, d, evidencetest.Pattern(diskBytes))
			if notes := d.Notes(); (at != regionPlaces[1]) != (len(notes) == 1 && notes[0].Code == tutela.FindingBackupTable) {
				t.Errorf("%s: notes %v", name, notes)
			}
		}
		b := bytes.Clone(good)
		b[places[0]+20]++
		b[places[1]+20]++
		if _, err := Open(evidencetest.Storage{"x": b}, "x"); err == nil || errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("no %s: %v", name, err)
		}
	}
	for _, b := range [][]byte{nil, []byte("vhdx"), make([]byte, 1<<20)} {
		if _, err := Open(evidencetest.Storage{"x": b}, "x"); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("no vhdx: %v", err)
		}
	}
}

func TestMetadataRefused(t *testing.T) {
	for words, c := range map[string]craft{
		"blocks of":     {size: mb, block: 3 * mb, sector: 512},
		"sectors of":    {size: mb, block: mb, sector: 520},
		"a disk of":     {size: 65 << 40, block: mb, sector: 512},
		"gives no name": {size: mb, block: mb, sector: 512, linkage: dataWriteOf},
	} {
		if _, err := Open(evidencetest.Storage{"x": c.draw().bytes}, "x"); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	c := (&craft{size: 1 << 40, block: mb, sector: 512}).draw()
	if d := mustOpen(t, evidencetest.Storage{"x": c.bytes}, "x"); len(d.Notes()) != 1 {
		t.Errorf("a table that is too short: notes %v", d.Notes())
	}
}

func TestBadBlocks(t *testing.T) {
	want := evidencetest.Pattern(3 * mb)
	c := (&craft{size: 3 * mb, block: mb, sector: 512}).draw().whole(want)
	d := mustOpen(t, evidencetest.Storage{"x": c.bytes[:len(c.bytes)-mb-1000]}, "x")
	evidencetest.Lost(t, d, want, tutela.Run{Offset: 2*mb - 1000, Length: mb + 1000})
}

func TestMutants(t *testing.T) {
	x, _ := logged(253)
	parent := image(t, "dynamic.vhdx")
	h, _ := findHeader(evidencetest.Source(parent), nil)
	y, _ := child(t, h.dataWrite.String(), map[string]string{"relative_path": "dynamic.vhdx"})
	st := evidencetest.Storage{"dynamic.vhdx": parent}
	for _, good := range [][]byte{x, y, parent} {
		hot := []tutela.Run{
			{Offset: headerPlaces[0], Length: 80}, {Offset: headerPlaces[1], Length: 80}, {Offset: regionPlaces[0], Length: 80},
			{Offset: logMB * mb, Length: mb}, {Offset: metadataMB * mb, Length: 200}, {Offset: metadataMB*mb + metadataTable, Length: 400}, {Offset: batMB * mb, Length: 64},
		}
		evidencetest.MutantsOf(t, good, hot, func(damaged []byte) {
			// Most damage would end at a checksum.
			if len(damaged) == len(good) && damaged[len(good)/2]%2 == 0 {
				for _, at := range headerPlaces {
					seal(damaged[at:][:headerBytes])
				}
				seal(damaged[regionPlaces[0]:][:regionBytes])
				for at := logMB * mb; at < (logMB+1)*mb; at += logSector {
					if e := damaged[at:]; string(e[:4]) == "loge" {
						seal(e[:min(max(binary.LittleEndian.Uint32(e[8:]), 64), mb)])
					}
				}
			}
			st["mutant"] = damaged
			evidencetest.HostileImage(t, openImage, st, "mutant")
		})
	}
}

func FuzzOpen(f *testing.F) {
	x, _ := logged(253)
	st := evidencetest.Storage{"dynamic.vhdx": image(f, "dynamic.vhdx"), "logged": x}
	evidencetest.FuzzImage(f, openImage, st, "dynamic.vhdx", "logged")
}
