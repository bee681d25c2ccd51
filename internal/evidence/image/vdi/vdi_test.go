package vdi

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

const (
	diskBytes = 3147264
	mb        = 1 << 20
)

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
	for name, layer := range map[string]string{"dynamic.vdi": "vdi-dynamic", "static.vdi": "vdi-fixed"} {
		d := mustOpen(t, evidencetest.Storage{name: image(t, name)}, name)
		evidencetest.SameDisk(t, d, evidencetest.Pattern(diskBytes))
		if d.Layer() != layer || len(d.Notes()) != 0 {
			t.Errorf("%s: %s, notes %v", name, d.Layer(), d.Notes())
		}
	}
}

// child is an image upon parent: its first block is discarded, its third its own.
func child(parent []byte) (image, want []byte) {
	le := binary.LittleEndian
	c := bytes.Clone(parent[:le.Uint32(parent[344:])])
	le.PutUint32(c[76:], typeDiff)
	copy(c[424:], c[392:408])
	c[392] ^= 0xff
	for n, entry := range []uint32{discarded, unallocated, 0, unallocated} {
		le.PutUint32(c[le.Uint32(c[340:])+uint32(4*n):], entry)
	}
	block := bytes.Repeat([]byte("child of"), mb/8)
	want = evidencetest.Pattern(diskBytes)
	clear(want[:mb])
	copy(want[2*mb:3*mb], block)
	return append(c, block...), want
}

func TestDifferencing(t *testing.T) {
	parent := image(t, "dynamic.vdi")
	x, want := child(parent)
	st := evidencetest.Storage{"a.vdi": image(t, "static.vdi"), "b.txt": parent, "c.VDI": parent, "x.vdi": x}
	d := mustOpen(t, st, "x.vdi")
	evidencetest.SameDisk(t, d, want)
	if d.Layer() != "vdi-differencing" || len(d.Names()) != 2 || d.Names()[1] != "c.VDI" {
		t.Errorf("%s of %v", d.Layer(), d.Names())
	}
	delete(st, "c.VDI")
	if _, err := Open(st, "x.vdi"); !errors.Is(err, evidence.ErrUnsupported) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a parent that is not there: %v", err)
	}
	y := bytes.Clone(x) // x and y are each other's parent
	copy(y[424:440], x[392:408])
	copy(y[392:408], x[424:440])
	if _, err := Open(evidencetest.Storage{"x.vdi": x, "y.vdi": y}, "x.vdi"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a circle: %v", err)
	}
}

func TestHeadersRefused(t *testing.T) {
	for words, change := range map[string]func(b []byte){
		"version 2.1 not read":   func(b []byte) { b[70] = 2 },
		"of the type 3 not read": func(b []byte) { b[76] = 3 },
		"a disk of":              func(b []byte) { b[375] = 0x80 },
		"blocks of":              func(b []byte) { b[376] = 3 },
		"lies outside the file":  func(b []byte) { b[343] = 0x7f },
	} {
		b := image(t, "dynamic.vdi")
		change(b)
		_, err := Open(evidencetest.Storage{"x": b}, "x")
		if err == nil || errors.Is(err, evidence.ErrNotThis) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	for _, b := range [][]byte{nil, []byte("<<< Oracle VM VirtualBox Disk Image >>>\n"), make([]byte, 4096)} {
		if _, err := Open(evidencetest.Storage{"x": b}, "x"); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("no vdi: %v", err)
		}
	}
}

// What is lost is a block, and the next can be read.
func TestBadBlocks(t *testing.T) {
	want := evidencetest.Pattern(diskBytes)
	b := image(t, "static.vdi")
	bmap := binary.LittleEndian.Uint32(b[340:])
	binary.LittleEndian.PutUint32(b[bmap+4:], 0x12345678)
	evidencetest.Lost(t, mustOpen(t, evidencetest.Storage{"x": b}, "x"), want, tutela.Run{Offset: mb, Length: mb})

	b = image(t, "static.vdi")
	binary.LittleEndian.PutUint32(b[384:], 2)
	d := mustOpen(t, evidencetest.Storage{"x": b}, "x")
	evidencetest.Lost(t, d, want, tutela.Run{Offset: 2 * mb, Length: diskBytes - 2*mb})
	if len(d.Notes()) != 1 {
		t.Errorf("notes %v", d.Notes())
	}
}

func TestMutants(t *testing.T) {
	parent := image(t, "dynamic.vdi")
	x, _ := child(parent)
	for _, good := range [][]byte{parent, x} {
		hot := []tutela.Run{{Offset: 64, Length: 448}, {Offset: 340, Length: 100}, {Offset: 512, Length: 64}}
		evidencetest.MutantsOf(t, good, hot, func(damaged []byte) {
			evidencetest.HostileImage(t, openImage, evidencetest.Storage{"p.vdi": parent, "x.vdi": damaged}, "x.vdi")
		})
	}
}

func FuzzOpen(f *testing.F) {
	parent := image(f, "dynamic.vdi")
	x, _ := child(parent)
	evidencetest.FuzzImage(f, openImage, evidencetest.Storage{"p.vdi": parent, "x.vdi": x}, "p.vdi", "x.vdi")
}
