package vhd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf16"

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
	for name, layer := range map[string]string{"fixed.vhd": "vhd-fixed", "dynamic.vhd": "vhd-dynamic"} {
		d := mustOpen(t, evidencetest.Storage{name: image(t, name)}, name)
		evidencetest.SameDisk(t, d, evidencetest.Pattern(diskBytes))
		if d.Layer() != layer || len(d.Notes()) != 0 {
			t.Errorf("%s: %s, notes %v", name, d.Layer(), d.Notes())
		}
	}
}

// public holds the public images: three of them belong together, one has lost
// its parent.
func public(t testing.TB) evidencetest.Storage {
	st := evidencetest.Storage{}
	for _, name := range []string{"ext2.vhd", "image.vhd", "image-differential.vhd", "fat-differential.vhd"} {
		st[name] = evidencetest.Image(t, "dfvfs/test_data/"+name)
	}
	return st
}

// The ext2 volume lies in several containers, in this one with zeros behind it.
func TestPublicImages(t *testing.T) {
	st := public(t)
	d := mustOpen(t, st, "ext2.vhd")
	if got := evidencetest.DiskSum(t, evidence.Section(d, 0, 4<<20)); got != "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80" {
		t.Errorf("sha256 %s", got)
	}
	for name, want := range map[string]string{"image.vhd": "c6db12a7db548e193c29420c1b4533e4708b20c5033db5cc29ef075d48316d25", "image-differential.vhd": "c6db12a7db548e193c29420c1b4533e4708b20c5033db5cc29ef075d48316d25"} {
		if got := evidencetest.DiskSum(t, mustOpen(t, st, name)); got != want {
			t.Errorf("%s: sha256 %s, want %s", name, got, want)
		}
	}
	_, err := Open(st, "fat-differential.vhd")
	if !errors.Is(err, evidence.ErrUnsupported) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `"fat-parent.vhd" is not beside it`) {
		t.Errorf("a parent that is not there: %v", err)
	}
}

// seal puts the right checksum into a footer or header.
func seal(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], sum(b, at))
	return b
}

// child draws a differencing disk upon parent, whose blocks of 2 MB are the
// given ones; of their sectors those are its own for which own is true.
func child(parent []byte, reference, locator string, blocks map[int][]byte, own func(n int64) bool) []byte {
	f := bytes.Clone(parent[len(parent)-512:])
	binary.BigEndian.PutUint32(f[60:], differencing)
	binary.BigEndian.PutUint64(f[16:], 512)
	parentID := bytes.Clone(f[68:84])
	f[68] ^= 0xff
	seal(f, 64)
	h := make([]byte, headerBytes)
	copy(h, "cxsparse\xff\xff\xff\xff\xff\xff\xff\xff")
	binary.BigEndian.PutUint64(h[16:], 2048)
	binary.BigEndian.PutUint32(h[24:], 0x10000)
	binary.BigEndian.PutUint32(h[28:], 2)
	binary.BigEndian.PutUint32(h[32:], 2<<20)
	copy(h[40:], parentID)
	for i, u := range utf16.Encode([]rune(reference)) {
		binary.BigEndian.PutUint16(h[64+2*i:], u)
	}
	rest := make([]byte, 1024) // the table, then the locator
	copy(rest, "\xff\xff\xff\xff\xff\xff\xff\xff")
	if locator != "" {
		copy(h[576+24:], "W2ru")
		binary.BigEndian.PutUint32(h[576+24+8:], uint32(2*len(locator)))
		binary.BigEndian.PutUint64(h[576+24+16:], 2048+512)
		for i, c := range []byte(locator) {
			rest[512+2*i] = c
		}
	}
	out := append(append(bytes.Clone(f), seal(h, 36)...), make([]byte, 512)...)
	for n, data := range blocks {
		binary.BigEndian.PutUint32(rest[4*n:], uint32((len(out)+len(rest))/512))
		bitmap := make([]byte, 512)
		for s := range int64(4096) {
			if own(s) {
				bitmap[s/8] |= 0x80 >> (s % 8)
			}
		}
		rest = append(append(rest, bitmap...), data...)
	}
	return append(append(out, rest...), f...)
}

func TestDifferencing(t *testing.T) {
	parent := image(t, "dynamic.vhd")
	block := bytes.Repeat([]byte("child of "), 2<<20/9+1)[:2<<20]
	own := func(n int64) bool { return n%7 == 0 || n >= 300 && n < 900 }
	want := evidencetest.Pattern(diskBytes)
	for n := range int64(diskBytes-2<<20) / 512 {
		if own(n) {
			copy(want[2<<20+n*512:][:512], block[n*512:])
		}
	}
	for name, st := range map[string]evidencetest.Storage{
		"by the header":  {"dynamic.vhd": parent, "x": child(parent, `C:\a\dynamic.vhd`, "", map[int][]byte{1: block}, own)},
		"by a locator":   {"dynamic.vhd": parent, "x": child(parent, "gone.vhd", `.\dynamic.vhd`, map[int][]byte{1: block}, own)},
		"in other case":  {"Dynamic.VHD": parent, "x": child(parent, "dynamic.vhd", "", map[int][]byte{1: block}, own)},
		"the second one": {"other.vhd": image(t, "fixed.vhd"), "dynamic.vhd": parent, "x": child(parent, "dynamic.vhd", "other.vhd", map[int][]byte{1: block}, own)},
	} {
		t.Run(name, func(t *testing.T) {
			d := mustOpen(t, st, "x")
			evidencetest.SameDisk(t, d, want)
			if d.Layer() != "vhd-differencing" || len(d.Names()) != 2 {
				t.Errorf("%s of %v", d.Layer(), d.Names())
			}
		})
	}
	_, err := Open(evidencetest.Storage{"dynamic.vhd": image(t, "fixed.vhd"), "x": child(parent, "dynamic.vhd", "", nil, own)}, "x")
	if !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), "has the id") {
		t.Errorf("a stranger in the parent's place: %v", err)
	}
}

func TestItsOwnParentEnds(t *testing.T) {
	x := child(image(t, "dynamic.vhd"), "x", "", nil, nil)
	copy(x[512+40:], x[68:84])
	seal(x[512:1536], 36)
	if _, err := Open(evidencetest.Storage{"x": x}, "x"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an image that is its own parent: %v", err)
	}
}

// A footer that is believed takes 512 bytes out of sight: whatever does not
// agree makes the file something else.
func TestFooters(t *testing.T) {
	fixedDisk, dynamicDisk := image(t, "fixed.vhd"), image(t, "dynamic.vhd")
	end := len(fixedDisk) - 512
	for name, change := range map[string]func(b []byte) []byte{
		"one byte more":      func(b []byte) []byte { return append([]byte{0}, b...) },
		"cut":                func(b []byte) []byte { return b[:len(b)-2] },
		"checksum":           func(b []byte) []byte { b[end+67]++; return b },
		"another size":       func(b []byte) []byte { b[end+55]++; seal(b[end:], 64); return b },
		"another cookie":     func(b []byte) []byte { b[end]++; seal(b[end:], 64); return b },
		"an unknown version": func(b []byte) []byte { b[end+13] = 2; seal(b[end:], 64); return b },
		"another type":       func(b []byte) []byte { b[end+63] = 5; seal(b[end:], 64); return b },
		"footer alone":       func(b []byte) []byte { return b[len(b)-512:] },
	} {
		if _, err := Open(evidencetest.Storage{"x": change(bytes.Clone(fixedDisk))}, "x"); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%s: %v", name, err)
		}
	}
	evidencetest.SameDisk(t, mustOpen(t, evidencetest.Storage{"x": fixedDisk[:len(fixedDisk)-1]}, "x"), evidencetest.Pattern(diskBytes))

	d := mustOpen(t, evidencetest.Storage{"x": dynamicDisk[:len(dynamicDisk)-512]}, "x")
	evidencetest.SameDisk(t, d, evidencetest.Pattern(diskBytes))
	if notes := d.Notes(); len(notes) != 1 || notes[0].Code != tutela.FindingBackupTable {
		t.Errorf("notes %v", notes)
	}
	lost := bytes.Clone(dynamicDisk)
	clear(lost[:512])
	evidencetest.SameDisk(t, mustOpen(t, evidencetest.Storage{"x": lost}, "x"), evidencetest.Pattern(diskBytes))
	b := bytes.Clone(dynamicDisk)
	b[512+100]++
	if d := mustOpen(t, evidencetest.Storage{"x": b}, "x"); len(d.Notes()) != 1 {
		t.Errorf("a header with a bad checksum: notes %v", d.Notes())
	}
	for name, change := range map[string]func(b []byte){
		"both footers bad":   func(b []byte) { b[40]++; b[len(b)-1]++ },
		"no header":          func(b []byte) { b[512]++ },
		"odd blocks":         func(b []byte) { b[512+35] = 1; seal(b[512:1536], 36) },
		"table outside":      func(b []byte) { b[512+16] = 1; seal(b[512:1536], 36) },
		"header outside":     func(b []byte) { b[len(b)-512+16] = 1; seal(b[len(b)-512:], 64) },
		"size below nothing": func(b []byte) { b[len(b)-512+48] = 0xff; seal(b[len(b)-512:], 64) },
	} {
		b := bytes.Clone(dynamicDisk)
		change(b)
		if _, err := Open(evidencetest.Storage{"x": b}, "x"); err == nil || errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is lost is a block, and the next can be read.
func TestBadBlocks(t *testing.T) {
	want := evidencetest.Pattern(diskBytes)
	outside := image(t, "dynamic.vhd")
	bat := binary.BigEndian.Uint64(outside[512+16:])
	outside[bat] = 0x7f
	evidencetest.Lost(t, mustOpen(t, evidencetest.Storage{"x": outside}, "x"), want, tutela.Run{Length: 2 << 20})

	short := image(t, "dynamic.vhd")
	binary.BigEndian.PutUint32(short[512+28:], 1)
	seal(short[512:1536], 36)
	d := mustOpen(t, evidencetest.Storage{"x": short}, "x")
	evidencetest.Lost(t, d, want, tutela.Run{Offset: 2 << 20, Length: diskBytes - 2<<20})
	if len(d.Notes()) != 1 {
		t.Errorf("notes %v", d.Notes())
	}

	cut := image(t, "dynamic.vhd")
	first := int64(binary.BigEndian.Uint32(cut[bat:]))*512 + 512
	second := int64(binary.BigEndian.Uint32(cut[bat+4:]))*512 + 512
	if first > second {
		t.Fatal("the blocks are not in their order")
	}
	evidencetest.Lost(t, mustOpen(t, evidencetest.Storage{"x": cut[:second+1000]}, "x"), want, tutela.Run{Offset: 2<<20 + 1000, Length: diskBytes - 2<<20 - 1000})
}

func TestMutants(t *testing.T) {
	parent := image(t, "dynamic.vhd")
	st := evidencetest.Storage{"dynamic.vhd": parent}
	block := bytes.Repeat([]byte{1}, 2<<20)
	for _, good := range [][]byte{parent, child(parent, "dynamic.vhd", "dynamic.vhd", map[int][]byte{0: block}, func(n int64) bool { return n%3 == 0 })} {
		end := int64(len(good)) - 512
		evidencetest.MutantsOf(t, good, []tutela.Run{{Length: 4096}, {Offset: end, Length: 512}}, func(damaged []byte) {
			// Most damage would end at a checksum.
			if len(damaged) == len(good) && damaged[100]%2 == 0 {
				seal(damaged[512:1536], 36)
				seal(damaged[end:], 64)
			}
			st["mutant"] = damaged
			evidencetest.HostileImage(t, openImage, st, "mutant")
		})
	}
}

func FuzzOpen(f *testing.F) {
	st := public(f)
	evidencetest.FuzzImage(f, openImage, st, "image.vhd", "image-differential.vhd", "fat-differential.vhd")
}
