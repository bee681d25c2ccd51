package parallels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

const diskBytes = 3147264

func openImage(st evidence.Storage, name string) (evidence.File, error) { return Open(st, name) }

func image(t testing.TB, name string) []byte { return evidencetest.Image(t, "testdata/"+name) }

func mustOpen(t testing.TB, st evidence.Storage) *Disk {
	t.Helper()
	d, err := Open(st, "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDisks(t *testing.T) {
	xml := evidencetest.Image(t, "dfvfs/test_data/hfsplus.hdd/DiskDescriptor.xml")
	for _, name := range []string{"large.hds", "small.hds"} {
		d := mustOpen(t, evidencetest.Storage{"x": image(t, name), "DiskDescriptor.xml": xml})
		evidencetest.SameDisk(t, d, evidencetest.Pattern(diskBytes))
		if d.Layer() != "parallels" || len(d.Notes()) != 0 {
			t.Errorf("%s: %s, notes %v", name, d.Layer(), d.Notes())
		}
	}
}

// plain turns the extended form of an image into the plain one, whose table
// counts in sectors.
func plain(b []byte) []byte {
	le := binary.LittleEndian
	copy(b, magicPlain)
	for n := range le.Uint32(b[32:]) {
		at := headerBytes + 4*n
		le.PutUint32(b[at:], le.Uint32(b[at:])*le.Uint32(b[28:]))
	}
	return b
}

func TestPlainForm(t *testing.T) {
	b := plain(image(t, "small.hds"))
	b[40] = 0xff // belongs to something else in this form
	b[44], b[45], b[46], b[47] = 0x59, 0x6e, 0x6f, 0x74
	d := mustOpen(t, evidencetest.Storage{"x": b})
	evidencetest.SameDisk(t, d, evidencetest.Pattern(diskBytes))
	if len(d.Notes()) != 1 {
		t.Errorf("in use: notes %v", d.Notes())
	}
}

func TestRefused(t *testing.T) {
	good := image(t, "small.hds")
	for words, change := range map[string]func(b []byte){
		"version 3 not read": func(b []byte) { b[16] = 3 },
		"sectors":            func(b []byte) { b[43] = 1 },
		"blocks of 0":        func(b []byte) { clear(b[28:32]) },
	} {
		b := bytes.Clone(good)
		change(b)
		_, err := Open(evidencetest.Storage{"x": b}, "x")
		if err == nil || errors.Is(err, evidence.ErrNotThis) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	for xml, words := range map[string]string{"<a><Image/><b><Image/></b></a>": "a disk of 2 images", "<a": "DiskDescriptor.xml", "<Engine>{10}</Engine>": "encrypted by {10}"} {
		_, err := Open(evidencetest.Storage{"x": good, "DiskDescriptor.xml": []byte(xml)}, "x")
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", xml, err)
		}
	}
	for _, b := range [][]byte{nil, []byte("Without"), make([]byte, 4096)} {
		if _, err := Open(evidencetest.Storage{"x": b}, "x"); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("no image: %v", err)
		}
	}
}

// What is lost is a block, and the next can be read.
func TestBadBlocks(t *testing.T) {
	want := evidencetest.Pattern(diskBytes)
	b := image(t, "small.hds")
	binary.LittleEndian.PutUint32(b[headerBytes+4:], 0x12345678)
	evidencetest.Lost(t, mustOpen(t, evidencetest.Storage{"x": b}), want, tutela.Run{Offset: 65536, Length: 65536})
	b = image(t, "small.hds")
	binary.LittleEndian.PutUint32(b[32:], 40)
	d := mustOpen(t, evidencetest.Storage{"x": b})
	evidencetest.Lost(t, d, want, tutela.Run{Offset: 40 * 65536, Length: diskBytes - 40*65536})
	if len(d.Notes()) != 1 {
		t.Errorf("notes %v", d.Notes())
	}
}

func TestMutants(t *testing.T) {
	good := image(t, "small.hds")
	evidencetest.MutantsOf(t, good, []tutela.Run{{Length: 64}, {Length: 512}}, func(damaged []byte) {
		evidencetest.HostileImage(t, openImage, evidencetest.Storage{"x": damaged}, "x")
	})
}

func FuzzOpen(f *testing.F) {
	st := evidencetest.Storage{"small": image(f, "small.hds"), "plain": plain(image(f, "small.hds"))}
	evidencetest.FuzzImage(f, openImage, st, "small", "plain")
}
