package compound

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
)

func document(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("../testdata/ole/d.doc")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(b []byte) (*File, error) { return Open(bytes.NewReader(b), int64(len(b))) }

func TestOpen(t *testing.T) {
	f, err := open(document(t))
	if err != nil {
		t.Fatal(err)
	}
	streams := 0
	for i, e := range f.Entries {
		if e.Kind != Stream {
			continue
		}
		streams++
		content, err := f.Content(i)
		if err != nil || content.Size() != e.Size || e.Lost || e.Parent != 0 {
			t.Errorf("entry %d: %+v: %v", i, e, err)
		}
		if n, err := io.Copy(io.Discard, content); n != e.Size || err != nil {
			t.Errorf("entry %d: read %d of %d bytes: %v", i, n, e.Size, err)
		}
	}
	if streams != 7 || f.Cut != nil {
		t.Errorf("%d streams, %v", streams, f.Cut)
	}
}

func TestNotOne(t *testing.T) {
	if _, err := open(make([]byte, 4096)); !errors.Is(err, ErrNot) {
		t.Errorf("zeros: %v", err)
	}
	if _, err := open([]byte(Magic)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a magic alone: %v", err)
	}
}

// FuzzOpen writes bytes into a good file, in pairs of place and value.
func FuzzOpen(f *testing.F) {
	good := document(f)
	f.Add([]byte{0, 30, 12})
	f.Add([]byte{2, 0, 0xff, 2, 4, 1})
	f.Fuzz(func(t *testing.T, damage []byte) {
		b := bytes.Clone(good)
		for ; len(damage) >= 3; damage = damage[3:] {
			b[(int(damage[0])<<8|int(damage[1]))%len(b)] = damage[2]
		}
		file, err := open(b)
		if err != nil {
			return
		}
		for i, e := range file.Entries {
			content, err := file.Content(i)
			n, failed := io.Copy(io.Discard, io.LimitReader(content, int64(len(b))))
			if err == nil && failed == nil && n != min(e.Size, int64(len(b))) {
				t.Errorf("entry %d: %d of %d bytes without an error", i, n, e.Size)
			}
		}
	})
}
