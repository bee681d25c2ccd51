package udf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// first is the first anchor of an image.
func first(t testing.TB, img []byte) anchor {
	t.Helper()
	found, err := anchors(evidencetest.Source(img))
	if err != nil || len(found) == 0 {
		t.Fatalf("no anchor: %v", err)
	}
	return found[0]
}

func live(all []evidencetest.Entry) int { return len(evidencetest.Rows(all, tutela.Allocated)) }

// TestBackup: without the first anchor, and without the first sequence of
// descriptors, the same is found.
func TestBackup(t *testing.T) {
	for name := range filled {
		img := imageOf(t, name)
		want := live(list(t, img))
		a := first(t, img)
		main := int64(a.sequences[0].sector) * a.sector
		clear(img[main : main+int64(a.sequences[0].length)])
		all := list(t, img)
		if all[0].Findings == nil || all[0].Findings[0].Code != tutela.FindingBackupTable || live(all) != want {
			t.Errorf("%s without the first sequence: %d files of %d, %s", name, live(all), want, all[0].Line())
		}
		if name == "cdr" || name == "bdr" {
			continue // an open disc has one anchor
		}
		clear(img[256*a.sector : 257*a.sector])
		if all := list(t, img); live(all) != want {
			t.Errorf("%s without the first anchor: %d files of %d", name, live(all), want)
		}
	}
}

func TestMetadataMirror(t *testing.T) {
	img := imageOf(t, "metadata")
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	want := live(list(t, img))
	at, _, err := fs.partitions[0].place(fileOfKind(t, fs, 250))
	if err != nil {
		t.Fatal(err)
	}
	clear(img[at : at+2048])
	all := list(t, img)
	if all[0].Findings[0].Code != tutela.FindingBackupTable || live(all) != want {
		t.Errorf("%d files of %d, first: %s", live(all), want, all[0].Line())
	}
}

// fileOfKind is the block of the first file entry of a kind.
func fileOfKind(t *testing.T, fs *FileSystem, kind byte) uint32 {
	t.Helper()
	for block := range uint32(1000) {
		b, err := fs.block(0, block)
		if err != nil {
			break
		}
		if f, err := fs.parseFile(b, longAD{block: block}); err == nil && f.kind == kind {
			return block
		}
	}
	t.Fatalf("no file of kind %d", kind)
	return 0
}

// TestFree holds what is free against the count that the volume keeps.
func TestFree(t *testing.T) {
	for name, has := range map[string]bool{"hd512": true, "dvd": true, "hd4096": true, "cdrw": true, "cdr": false} {
		fs, err := Open(evidencetest.Source(imageOf(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		var got int64
		err = fs.Free(context.Background(), func(r tutela.Run) error {
			got += r.Length
			return nil
		})
		if err != nil || (got > 0) != has {
			t.Errorf("%s: %d bytes are free: %v", name, got, err)
		}
	}
}

// TestOverwritten: a deleted file whose blocks the map calls used says so.
func TestOverwritten(t *testing.T) {
	img := imageOf(t, "hd512")
	fs, err := Open(evidencetest.Source(img))
	if err != nil {
		t.Fatal(err)
	}
	at, _, err := fs.partitions[0].place(fs.spaces[0].at.sector)
	if err != nil {
		t.Fatal(err)
	}
	clear(img[at+24 : at+24+256])
	for _, e := range list(t, img) {
		if string(e.Path) == "/gone" {
			if len(e.Findings) != 1 || e.Findings[0].Code != tutela.FindingOverwritten {
				t.Error(e.Line())
			}
			return
		}
	}
	t.Error("the deleted file is not listed")
}

func TestChecksum(t *testing.T) {
	img := imageOf(t, "dvd")
	at := bytes.Index(img, []byte("embedded: the quick"))
	img[at+3] ^= 1
	for _, e := range list(t, img) {
		if string(e.Path) == "/embedded" {
			if len(e.Findings) != 1 || e.Findings[0].Code != tutela.FindingDamaged {
				t.Error(e.Line())
			}
			return
		}
	}
	t.Error("the damaged file is not listed")
}

// TestDamagedName: a directory with a broken name says so, and lists the others.
func TestDamagedName(t *testing.T) {
	img := imageOf(t, "dvd")
	want := live(list(t, img))
	at := bytes.Index(img, []byte("a-rather-long-name-for-a-file-33"))
	img[at] ^= 1
	all := list(t, img)
	var told bool
	for _, e := range all {
		told = told || string(e.Path) == "/sub" && e.Findings[0].Code == tutela.FindingDamaged
	}
	if !told || live(all) != want-1 {
		t.Errorf("told: %v, %d files of %d", told, live(all), want)
	}
}

func TestRefused(t *testing.T) {
	if _, err := Open(evidencetest.Source(make([]byte, 1<<20))); !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("zeros: %v", err)
	}
	img := imageOf(t, "metadata")
	a := first(t, img)
	for _, sequence := range a.sequences {
		for at := int64(sequence.sector) * a.sector; at < int64(sequence.sector)*a.sector+int64(sequence.length); at += a.sector {
			b := img[at : at+a.sector]
			if binary.LittleEndian.Uint16(b) == tagLogicalVolume {
				copy(b[446+5:], "*UDF Another Partition")
				seal(b)
			}
		}
	}
	_, err := Open(evidencetest.Source(img))
	if err == nil || errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("an unknown partition map: %v", err)
	}
}

// seal makes the checksums of a descriptor right.
func seal(b []byte) {
	le := binary.LittleEndian
	if end := tagBytes + int(le.Uint16(b[10:])); end <= len(b) {
		le.PutUint16(b[8:], crc16(b[tagBytes:end]))
	}
	b[4] = 0
	var sum byte
	for _, c := range b[:tagBytes] {
		sum += c
	}
	b[4] = sum
}

// hot are the blocks with a descriptor in them.
func hot(t testing.TB, img []byte) (runs []tutela.Run) {
	t.Helper()
	sector := first(t, img).sector
	for at := int64(0); at < int64(len(img)); at += sector {
		if _, err := readTag(img[at:]); err == nil {
			runs = append(runs, tutela.Run{Offset: at, Length: min(512, sector)})
		}
	}
	return runs
}

// sealed opens an image with all its checksums made right, so that damage is not
// stopped by them.
func sealed(src evidence.Source) (evidence.FileSystem, error) {
	b := make([]byte, src.Size())
	if _, err := src.ReadAt(b, 0); err != nil {
		return nil, err
	}
	for at := 0; at+minDescriptor <= len(b); at += minDescriptor {
		switch id := binary.LittleEndian.Uint16(b[at:]); {
		case id > 0 && id < 10, id >= 256 && id <= 266:
			seal(b[at:])
		}
	}
	return Open(evidencetest.Source(b))
}

func TestMutants(t *testing.T) {
	for _, name := range []string{"hd512", "cdrw", "cdr", "metadata"} {
		t.Run(name, func(t *testing.T) {
			img := imageOf(t, name)
			evidencetest.Mutants(t, openAny, img, hot(t, img)...)
			evidencetest.Mutants(t, sealed, img, hot(t, img)...)
		})
	}
}

// FuzzOpen changes bytes of whole volumes: pairs of a block with a descriptor, a
// place in it and a byte. Checksums are made right.
func FuzzOpen(f *testing.F) {
	var images [][]byte
	var places [][]tutela.Run
	for _, name := range []string{"hd512", "cdrw", "cdr", "metadata"} {
		img := imageOf(f, name)
		images, places = append(images, img), append(places, hot(f, img))
	}
	f.Add(byte(0), []byte{0, 1, 0, 1})
	f.Add(byte(1), []byte{9, 56, 0, 0x80, 20, 20, 1, 7})
	f.Add(byte(2), []byte{30, 172, 0, 0xff})
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		n := int(which) % len(images)
		img := images[n]
		for ; len(changes) >= 4; changes = changes[4:] {
			r := places[n][int(changes[0])%len(places[n])]
			at := r.Offset + (int64(changes[1])|int64(changes[2])<<8)%r.Length
			old := img[at]
			defer func() { img[at] = old }()
			img[at] = changes[3]
		}
		evidencetest.Hostile(t, sealed, img)
	})
}
