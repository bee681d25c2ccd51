package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tutela"
)

// TestUnloadLeavesNoBytes looks for the rows that were unloaded in the files
// themselves.
func TestUnloadLeavesNoBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.sqlite")
	s, id := begun(t, path)
	defer s.Close()
	l, err := s.Loader(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		r := tutela.Record{Path: fmt.Appendf(nil, "/only-here-%d", i), Hashed: true, Digests: tutela.Digests{SHA256: tutela.SHA256{0xab, 0xcd, 0xef, byte(i), byte(i >> 8), 0xfe}}, Failure: "only-here-too"}
		if err := l.Add(uint64(i), &r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := found(t, path); n == 0 {
		t.Fatal("the files do not hold what was loaded: the test is blind")
	}
	if err := s.Unload(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if n := found(t, path); n > 0 {
		t.Errorf("%d traces of what was unloaded are in the files", n)
	}
}

// found counts traces of the test's rows in the files of a catalogue.
func found(t *testing.T, path string) (n int) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(b, []byte("only-here")) + bytes.Count(b, []byte{0xab, 0xcd, 0xef})
	}
	return n
}
