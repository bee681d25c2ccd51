package hfsplus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// rows are the files in use.
func rows(t *testing.T, img []byte) map[string]bool {
	t.Helper()
	return evidencetest.Rows(list(t, img), tutela.Allocated)
}

// same expects the files of another image, but for those of the volume itself,
// and one finding on the root, if it is not "".
func same(t *testing.T, name string, good, img []byte, finding string) {
	t.Helper()
	want, got := rows(t, good), rows(t, img)
	for row := range want {
		if !got[row] && !ofVolume(row) {
			t.Errorf("%s: missing %s", name, row)
		}
	}
	for row := range got {
		if !want[row] && !ofVolume(row) {
			t.Errorf("%s: too many %s", name, row)
		}
	}
	if got := rootFindings(t, img); finding == "" && got != "[]" || !strings.Contains(got, finding) {
		t.Errorf("%s: %s, want %s", name, got, finding)
	}
}

func ofVolume(row string) bool {
	return strings.HasPrefix(row, "$") || strings.HasPrefix(row, ".journal")
}

func rootFindings(t *testing.T, img []byte) string {
	t.Helper()
	all := list(t, img)
	if string(all[0].Path) != "/" {
		return "[]"
	}
	return findings(&all[0])
}

// wrapped puts a volume into an HFS wrapper: TN1150 "HFS Wrapper".
func wrapped(volume []byte) []byte {
	const first, block, ahead = 10, 512, 3 // sectors, bytes, blocks
	start := first*512 + ahead*block
	img := make([]byte, start, start+len(volume)+2048)
	mdb := img[headerAt:]
	copy(mdb, sigClassic)
	binary.BigEndian.PutUint32(mdb[20:], block)
	binary.BigEndian.PutUint16(mdb[28:], first)
	copy(mdb[36:], "\x04Wrap")
	copy(mdb[124:], sigPlus)
	binary.BigEndian.PutUint16(mdb[126:], ahead)
	binary.BigEndian.PutUint16(mdb[128:], uint16((len(volume)+block-1)/block))
	return append(append(img, volume...), make([]byte, 2048)...)
}

func TestHeaders(t *testing.T) {
	good := image(t, fslib)
	same(t, "wrapper", good, wrapped(good), "")

	x := bytes.Clone(good)
	copy(x[headerAt:], "HX\x00\x05")
	same(t, "HFSX", good, x, "")

	backup := bytes.Clone(good)
	clear(backup[headerAt : headerAt+headerBytes])
	same(t, "backup", good, backup, tutela.FindingBackupTable)
	same(t, "backup in wrapper", good, wrapped(backup), tutela.FindingBackupTable)
	copy(backup[3:], "NTFS    ")
	if _, err := Open(evidencetest.Source(backup)); !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("formatted anew: %v", err)
	}

	lost := bytes.Clone(good)
	binary.BigEndian.PutUint32(lost[headerAt+272+16:], 4000) // the catalog
	same(t, "catalog lost", good, lost, tutela.FindingBackupTable)

	for name, want := range map[string]error{"": evidence.ErrNotThis, sigClassic: evidence.ErrUnsupported} {
		other := make([]byte, 100000)
		copy(other[headerAt:], name)
		binary.BigEndian.PutUint32(other[headerAt+20:], 512)
		other[headerAt+36] = 4
		if _, err := Open(evidencetest.Source(other)); !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Open(evidencetest.Source(good[:3000])); err == nil || errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("cut off: %v", err)
	}
	if _, err := Open(evidencetest.Source(nil)); !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("nothing: %v", err)
	}
}

func TestState(t *testing.T) {
	good := image(t, fslib)
	for want, change := range map[string]func(img []byte){
		"damaged: journal: its header has":      func(img []byte) { img[0x3000+17]++ },
		"damaged: journal: no header":           func(img []byte) { img[0x3000]++ },
		"damaged: the journal lies on another":  func(img []byte) { img[0x2003] = journalElsewhere },
		"damaged: the journal lies outside":     func(img []byte) { img[0x2000+36]++ },
		"damaged: the volume was not unmounted": func(img []byte) { binary.BigEndian.PutUint32(img[headerAt+4:], 0) },
		"damaged: the volume is marked":         func(img []byte) { binary.BigEndian.PutUint32(img[headerAt+4:], attrInconsistent|attrUnmounted) },
	} {
		img := bytes.Clone(good)
		change(img)
		same(t, want, good, img, want)
	}
}

func TestBrokenChain(t *testing.T) {
	good := newCraft(t, fslib).finish()
	fs := evidencetest.MustOpen(t, open, evidencetest.Source(good)).(*FileSystem)
	at := func(number uint32, byte int) int64 { return fs.catalog.place(number, byte) }
	for want, change := range map[string]func(img []byte){
		"the chain of leaves leads to node 0x": func(img []byte) { binary.BigEndian.PutUint32(img[at(1, 0):], 30) },
		"loop: catalog: the chain":             func(img []byte) { binary.BigEndian.PutUint32(img[at(2, 0):], 1) },
		"leaves are in use and not in":         func(img []byte) { binary.BigEndian.PutUint32(img[at(1, 0):], 0) },
		"records found":                        func(img []byte) { img[at(0, descriptorBytes+9)]++ },
	} {
		img := bytes.Clone(good)
		change(img)
		want = strings.TrimSuffix(want, "0x")
		same(t, want, good, img, want)
	}
	img := bytes.Clone(good)
	img[at(1, fs.catalog.size-6)] ^= 0x7f // the place of the third record
	if got := rootFindings(t, img); !strings.Contains(got, "the rest of it is not listed") || !strings.Contains(got, "records found") {
		t.Errorf("bad record: %s", got)
	}
}

// failing is a source with bytes that cannot be read.
type failing struct {
	evidence.Source
	bad tutela.Run
}

var errMedium = errors.New("medium error")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off < f.bad.Offset+f.bad.Length && off+int64(len(p)) > f.bad.Offset {
		return 0, &evidence.ReadError{Run: f.bad, Err: errMedium}
	}
	return f.Source.ReadAt(p, off)
}

func TestBadSectors(t *testing.T) {
	img := newCraft(t, fslib).finish()
	good := evidencetest.MustOpen(t, open, evidencetest.Source(img)).(*FileSystem)
	bad := tutela.Run{Offset: good.catalog.place(2, 512), Length: 512}
	all := evidencetest.List(t, evidencetest.MustOpen(t, open, failing{evidencetest.Source(img), bad}))
	if got := findings(&all[0]); !strings.Contains(got, "read-error: catalog: bytes") || !strings.Contains(got, "medium error") {
		t.Errorf("%s", got)
	}
	if len(all) < 20 {
		t.Errorf("only %d entries of the other leaves", len(all))
	}
}

func TestTruncated(t *testing.T) {
	img := image(t, fslib)[:8<<20]
	all := list(t, img)
	if got := findings(&all[0]); !strings.Contains(got, tutela.FindingTruncated) {
		t.Errorf("the volume: %s", got)
	}
	tiff := find(t, all, "/image/alps.tiff")
	if tiff.Failure == nil || findings(tiff) != "[truncated: blocks lie behind the end of the image]" {
		t.Errorf("%s", tiff.Line())
	}
}

func TestFree(t *testing.T) {
	for _, name := range []string{fslib, dfvfs} {
		img := image(t, name)
		fs := evidencetest.MustOpen(t, open, evidencetest.Source(img)).(*FileSystem)
		var free int64
		var all []tutela.Run
		if err := fs.Free(context.Background(), func(r tutela.Run) error {
			free += r.Length
			all = append(all, r)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if want := int64(binary.BigEndian.Uint32(img[headerAt+48:])) * fs.header.block; free != want {
			t.Errorf("%s: %d bytes free, the header says %d", name, free, want)
		}
		for _, e := range list(t, img) {
			for _, r := range slices.Concat(e.Runs, e.Slack) {
				for _, f := range all {
					if r.Offset < f.Offset+f.Length && f.Offset < r.Offset+r.Length {
						t.Errorf("%s: %v is free and not free", e.Path, r)
					}
				}
			}
		}
		if err := fs.Free(context.Background(), func(tutela.Run) error { return io.EOF }); err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStops(t *testing.T) {
	fs := evidencetest.MustOpen(t, open, evidencetest.Source(image(t, fslib)))
	if err := fs.Walk(context.Background(), evidence.Limits{}, func(*evidence.Entry) error { return io.EOF }); err != io.EOF {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := fs.Walk(ctx, evidence.Limits{}, func(*evidence.Entry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
