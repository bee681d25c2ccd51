package iso_test

import (
	"context"
	"io"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidence/filesystem/iso"
)

// FuzzWalk lists and reads what any bytes call an ISO 9660 volume. The first
// 32 KiB are the unused system area, so they are not part of the input.
func FuzzWalk(f *testing.F) {
	const systemArea = 16 * sector
	for _, name := range []string{"plain.iso", "both.iso", "multi.iso"} {
		image := readImage(f, name)
		f.Add(image[systemArea:min(len(image), systemArea+70*sector)])
	}
	d := newDisc(24)
	ce := field("CE", both32(22)+both32(0)+both32(28))
	d.directory(rootAt, rockRoot(), entry("A", 23, 0, 0, ce), entry("C", 23, 0, 0, field("CL", both32(21))), entry("S", 21, sector, directory, field("RE", "")))
	d.directory(21, "", entry("L", 23, 9, 0, field("PX", both32(0o120777))+field("SL", "\x00\x08\x00\x00\x03abc")))
	copy(d.sector(22), ce)
	f.Add(d.b[systemArea:])
	f.Fuzz(func(t *testing.T, body []byte) {
		fs, err := iso.Open(newSource(append(make([]byte, systemArea), body...)))
		if err != nil {
			return
		}
		budget := int64(4 << 20) // files may overlap: what is read is bounded, not what is listed
		err = fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
			if len(e.Path) == 0 || e.Path[0] != '/' || e.Size < 0 {
				t.Errorf("entry %q has size %d", e.Path, e.Size)
			}
			for _, r := range e.Runs {
				if r.Offset < 0 || r.Length <= 0 || r.Offset+r.Length > systemArea+int64(len(body)) {
					t.Errorf("%q: run %v lies outside the image", e.Path, r)
				}
			}
			if e.Open != nil && budget > 0 {
				if c, err := e.Open(); err == nil {
					n, _ := io.Copy(io.Discard, io.LimitReader(c, budget))
					budget -= n
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("walk: %v", err)
		}
	})
}
