package ewf

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// medium is what testdata/make.sh acquired.
func medium() []byte {
	var b []byte
	for block := range 2561 {
		switch {
		case block%640 < 2:
			for i := range 16 {
				sum := sha256.Sum256(fmt.Append(nil, block*16+i))
				b = append(b, sum[:]...)
			}
		case block%64 < 40:
			b = append(b, bytes.Repeat(fmt.Appendf(nil, "block %d ", block/8), 64)[:512]...)
		default:
			b = append(b, make([]byte, 512)...)
		}
	}
	return b
}

// TestWritten reads what another program wrote, in every format and compression
// that it has.
func TestWritten(t *testing.T) {
	whole := medium()
	facts := map[string]string{"case number": "case 7-B", "evidence number": "ev 1", "examiner": "K. Mayer", "notes": "a note", "description": "drawn"}
	first, err := filepath.Glob("testdata/*01.xz")
	if err != nil || len(first) != 14 {
		t.Fatalf("%v, %v", first, err)
	}
	for _, path := range first {
		name := strings.TrimSuffix(filepath.Base(path), ".xz")
		t.Run(name, func(t *testing.T) {
			d := mustOpen(t, written(t, name), name)
			got, want := content(t, d), whole
			if name == "sectors4k.E01" {
				want = whole[:320*4096]
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes, not those that were acquired", len(got))
			}
			if n := verify(t, d, got); n == 0 {
				t.Error("no digest")
			}
			if notes := d.Notes(); len(notes) > 0 {
				t.Errorf("notes %v", notes)
			}
			for _, f := range d.Facts() {
				if say, ok := facts[f.Name]; ok && say != f.Value {
					t.Errorf("%s: %q", f.Name, f.Value)
				}
			}
			if len(d.Facts()) < len(facts) {
				t.Errorf("facts %v", d.Facts())
			}
		})
	}
}

// written are the segments of an image in testdata.
func written(t testing.TB, name string) evidencetest.Storage {
	t.Helper()
	stem := strings.TrimSuffix(name, "01")
	paths, err := filepath.Glob("testdata/" + stem + "*.xz")
	if err != nil {
		t.Fatal(err)
	}
	st := evidencetest.Storage{}
	for _, path := range paths {
		path = strings.TrimSuffix(path, ".xz")
		st[filepath.Base(path)] = evidencetest.Image(t, filepath.ToSlash(path))
	}
	return st
}

func TestSectorSize(t *testing.T) {
	for name, want := range map[string]int64{"sectors4k.E01": 4096, "encase6.E01": 512} {
		if got := mustOpen(t, written(t, name), name).SectorSize(); got != want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestFactsAreAsTheyWereWritten(t *testing.T) {
	facts := mustOpen(t, stored(t, "dfvfs/test_data", "ext2.E01"), "ext2.E01").Facts()
	want := []evidence.Fact{
		{Name: "case number", Value: "case"}, {Name: "evidence number", Value: "evidence"}, {Name: "description", Value: "description"},
		{Name: "examiner", Value: "examiner"}, {Name: "notes", Value: "notes"}, {Name: "acquisition software", Value: "20140812"},
		{Name: "operating system", Value: "Linux"}, {Name: "acquired", Value: "2021-07-22T15:33:18Z"}, {Name: "system date", Value: "2021-07-22T15:33:18Z"},
	}
	if fmt.Sprint(facts) != fmt.Sprint(want) {
		t.Errorf("facts %v", facts)
	}
}
