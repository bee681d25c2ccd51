package ntfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"testing"

	"tutela/internal/evidence"
)

// FuzzOpen changes the bytes of a whole image. The fuzzer gets the changes, not
// the image: pairs of a place (in the boot sector or the MFT, where they matter)
// and a byte. They are undone afterwards: a copy of the image takes longer than
// the walk.
func FuzzOpen(f *testing.F) {
	var images [][]byte
	var tables []*table
	for _, name := range []string{"linux.ntfs", "windows.ntfs", "tiny.ntfs"} {
		img := image(f, name)
		images, tables = append(images, img), append(tables, &mustOpen(f, img).mft)
	}
	f.Add(byte(0), []byte{})
	f.Add(byte(0), []byte{0x0d, 0, 0, 0x80})
	f.Add(byte(1), []byte{0x30, 2, 0, 7, 0x31, 2, 0, 7})
	f.Add(byte(2), []byte{0x00, 0x40, 0, 'B', 0xfe, 0x41, 0, 1})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		img := images[int(which)%len(images)]
		table := tables[int(which)%len(images)]
		for ; len(changes) >= 4; changes = changes[4:] {
			at := int64(changes[0]) | int64(changes[1])<<8 | int64(changes[2]&1)<<16
			if changes[2]&2 == 0 {
				at = spot(table, at)
			}
			if at < int64(len(img)) {
				old := img[at]
				defer func() { img[at] = old }()
				img[at] = changes[3]
			}
		}
		walkHostile(t, img)
	})
}

// spot is the place in the image of byte at of the MFT.
func spot(mft *table, at int64) int64 {
	e := mft.extentAt(at / mft.cluster)
	if !e.mapped() {
		return at
	}
	return e.lcn*mft.cluster + at - e.vcn*mft.cluster
}

// FuzzRecord puts a fuzzed record with good fixups in the place of a file's, so
// that the fuzzer is not stopped by them.
func FuzzRecord(f *testing.F) {
	img := image(f, "linux.ntfs")
	const victim = 100
	for _, n := range []int64{0, 5, 8, 9, 64, 74, 80, 82, 85, 88, 96, 102} {
		from := offsetOf(f, img, n)
		rec := bytes.Clone(img[from : from+1024])
		if err := undoFixups(rec); err != nil {
			f.Fatal(err)
		}
		f.Add(rec[16:])
	}
	place := offsetOf(f, img, victim)
	head := bytes.Clone(img[place : place+16])
	f.Fuzz(func(t *testing.T, body []byte) {
		rec := img[place : place+1024]
		old := bytes.Clone(rec)
		defer func() { copy(rec, old) }()
		clear(rec)
		copy(rec, head)
		copy(rec[16:], body)
		protect(rec)
		walkHostile(t, img)
	})
}

// walkHostile holds what must be true of any bytes.
func walkHostile(t *testing.T, img []byte) {
	fs, err := Open(memory{bytes.NewReader(img)})
	if err != nil {
		return
	}
	const enough = 64 << 10 // bytes read of each content
	var entries int64
	err = fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		entries++
		if len(e.Path) == 0 || e.Path[0] != '/' || len(e.Chain) == 0 || e.State == 0 || e.Kind == 0 || e.Size < 0 {
			t.Fatalf("entry %+v", e)
		}
		for _, r := range e.Runs {
			if r.Offset < 0 || r.Length <= 0 {
				t.Fatalf("%s: run %v", e.Path, r)
			}
		}
		if e.Open == nil {
			return nil
		}
		c, err := e.Open()
		if err != nil {
			return nil
		}
		defer c.Close()
		n, err := io.Copy(io.Discard, io.LimitReader(c, enough))
		if err == nil && n != min(e.Size, enough) {
			t.Fatalf("%s: %d bytes without an error, size %d", e.Path, n, e.Size)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if most := 1 + fs.mft.records*maxNamedProduct; entries > most {
		t.Fatalf("%d entries from %d records", entries, fs.mft.records)
	}
}

// TestRandomDamage is a little of FuzzOpen with every run of the tests: whole
// blocks of an image turned into others.
func TestRandomDamage(t *testing.T) {
	good := image(t, "tiny.ntfs")
	seed := uint64(1)
	next := func(n int) int {
		seed = seed*6364136223846793005 + 1442695040888963407
		return int(seed>>33) % n
	}
	for range 60 {
		img := bytes.Clone(good)
		for range 1 + next(40) {
			at := next(200000) &^ 7
			binary.LittleEndian.PutUint64(img[at:], seed>>next(60))
		}
		walkHostile(t, img)
	}
}
