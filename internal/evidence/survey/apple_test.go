package survey

import (
	"compress/gzip"
	"io"
	"os"
	"testing"
)

// A disc for the Macintosh and others at once: the HFS partition covers the ISO
// file system, which no entry of the map tells of, and both are seen.
func TestHybridDisc(t *testing.T) {
	f, err := os.Open("testdata/hybrid.iso.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	disc, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	s := opened(t, Options{}, write(t, "hybrid.iso", disc))
	if d := s.Describe()[0]; d.Scheme != "apm" || len(d.Volumes) != 2 {
		t.Errorf("%+v", d)
	}
	expect(t, s,
		"|volume / 1210368 damaged",
		"|file /A.TXT 6",
		"2|volume / 894976 unsupported",
		"|gap /$Gap/0+8192 8192",
		"|gap /$Gap/903168+307200 307200")
}
