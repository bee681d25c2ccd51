package unlock

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func TestVolume(t *testing.T) {
	keys := evidence.Keys{Passphrases: []string{"open sesame"}}
	for path, format := range map[string]string{"luks/testdata/fat.luks2.gz": "luks2", "luks/testdata/pattern.luks1.gz": "luks1", "bitlocker/testdata/drawn.bitlocker.gz": "bitlocker"} {
		src := evidencetest.Source(gunzipped(t, path))
		if u, err := Volume(src, keys); err != nil || u.Format != format || u.Source == nil || u.How == "" {
			t.Errorf("%s: %+v, %v", path, u, err)
		}
		if u, err := Volume(src, evidence.Keys{}); u != nil || !errors.Is(err, evidence.ErrNoKey) {
			t.Errorf("%s without a key: %+v, %v", path, u, err)
		}
	}
	for name, open := range map[string]func(evidence.Source, evidence.Keys) (*Unlocked, error){"volume": Volume, "remains": Remains} {
		if u, err := open(evidencetest.Source(make([]byte, 1<<20)), keys); u != nil || !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%s of zeros: %+v, %v", name, u, err)
		}
	}
}

func gunzipped(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
