package ewf

import (
	"bytes"
	"errors"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func openFile(st evidence.Storage, name string) (evidence.File, error) {
	d, err := Open(st, name)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// structures are the stretches of a segment that are not chunks.
func structures(t testing.TB, image []byte) []tutela.Run {
	t.Helper()
	s, err := newFiles(evidencetest.Storage{"disk.E01": image}, []string{"disk.E01"}).walk(0)
	if err != nil {
		t.Fatal(err)
	}
	hot := []tutela.Run{{Length: s.tables[0].chunks.Offset + descriptorSize}}
	for _, one := range s.tables {
		hot = append(hot, tutela.Run{Offset: one.at - tableHeaderSize - descriptorSize, Length: 2 * (tableHeaderSize + descriptorSize + 4*one.entries + 4)})
	}
	end := hot[len(hot)-1].Offset + hot[len(hot)-1].Length
	return append(hot, tutela.Run{Offset: end, Length: int64(len(image)) - end})
}

// original is a good image and where its chunks lie.
type original struct {
	medium, image []byte
	places        []place
}

func newOriginal(t testing.TB, d drawing) original {
	t.Helper()
	o := original{medium: media(plainSectors)}
	st := d.draw(o.medium)
	o.image = st["disk.E01"]
	disk := mustOpen(t, st, "disk.E01")
	for n := int64(0); n*disk.chunk < disk.size; n++ {
		p, err := disk.tables.find(n)
		if err != nil {
			t.Fatal(err)
		}
		o.places = append(o.places, p)
	}
	return o
}

// honest holds what is read of a damaged image against what was acquired: a byte
// that is delivered is the right one. Another length comes with a note.
func (o original) honest(t testing.TB, image []byte) {
	t.Helper()
	st := evidencetest.Storage{"disk.E01": image}
	evidencetest.HostileImage(t, openFile, st, "disk.E01")
	d, err := Open(st, "disk.E01")
	if err != nil {
		return
	}
	defer d.Close()
	buf := make([]byte, 4096)
	for off := int64(0); off < min(d.Size(), int64(len(o.medium))); {
		n, err := d.ReadAt(buf, off)
		want := o.medium[off:min(off+int64(n), int64(len(o.medium)))]
		if !bytes.Equal(buf[:len(want)], want) && !o.transplanted(d, off/4096, buf[:n]) {
			t.Fatalf("wrong bytes at %d, notes %v", off, d.Notes())
		}
		off += int64(n)
		if bad, ok := errors.AsType[*evidence.ReadError](err); ok {
			off += bad.Run.Length
		}
	}
	if d.Size() != int64(len(o.medium)) && len(d.Notes()) == 0 {
		t.Fatalf("%d bytes of %d, and no note", d.Size(), len(o.medium))
	}
}

// transplanted reports whether the damage put one chunk, checksum and all, in
// the place of another, which only the digests of the medium tell.
func (o original) transplanted(d *Disk, chunk int64, got []byte) bool {
	p, err := d.tables.find(chunk)
	return err == nil && p.at == o.places[chunk].at && bytes.Contains(o.medium, got)
}

func TestMutants(t *testing.T) {
	for name, d := range map[string]drawing{
		"sectors": plain, "footless": {perChunk: 8, perTable: 8, tables: 100, footless: true, bad: []sectors{{3, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOriginal(t, d)
			hot := structures(t, o.image)
			if d.footless {
				hot = nil
			}
			evidencetest.MutantsOf(t, o.image, hot, func(damaged []byte) { o.honest(t, damaged) })
		})
	}
}

func FuzzOpen(f *testing.F) {
	o := newOriginal(f, plain)
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0, 20, 1, 7})
	f.Fuzz(func(t *testing.T, edits []byte) {
		image := bytes.Clone(o.image)
		for ; len(edits) >= 4; edits = edits[4:] {
			at := int(edits[0])<<16 | int(edits[1])<<8 | int(edits[2])
			image[at%len(image)] = edits[3]
		}
		o.honest(t, image)
	})
}

// FuzzBytes tries what is no image at all.
func FuzzBytes(f *testing.F) {
	f.Add(drawing{perChunk: 1, perTable: 2, tables: 1}.draw(media(2))["disk.E01"])
	f.Fuzz(func(t *testing.T, image []byte) {
		evidencetest.HostileImage(t, openFile, evidencetest.Storage{"disk.E01": image}, "disk.E01")
	})
}
