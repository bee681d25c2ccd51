package sqlite

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"tutela/internal/catalog"
	"tutela/internal/catalog/catalogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	catalogtest.Run(t, func(t testing.TB) catalog.Store {
		s, err := Open(t.Context(), filepath.Join(t.TempDir(), "catalog.sqlite"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// A closed catalogue holds what was committed, in one file that only its owner
// can read, also where the path has characters that mean something in a URL.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a?b#c%20 d&_query_only=1.sqlite")
	s, id := begun(t, path)
	l, err := s.Loader(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 100 {
		if err := l.Add(uint64(i), drawn(i, rnd)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 || files[0].Name() != filepath.Base(path) {
		t.Errorf("after closing there are %v (%v)", files, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	s, err = Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if after := dump(t, s); after != before || before == "" {
		t.Errorf("held\n%s\nand holds\n%s", before, after)
	}
	if l, err = s.Loader(t.Context(), id); err != nil || l.Next() != 100 {
		t.Errorf("go on at leaf %d, %v", l.Next(), err)
	}
}

func dump(t *testing.T, s *Store) string {
	t.Helper()
	var b bytes.Buffer
	if err := catalog.Dump(t.Context(), s, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Two open stores on one file are two processes.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.sqlite")
	a, id := begun(t, path)
	defer a.Close()
	b, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i, s := range []*Store{a, b, a, b} {
		l, err := s.Loader(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Add(uint64(i), drawn(i, rnd)); err != nil {
			t.Fatal(err)
		}
		if err := l.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if one, other := dump(t, a), dump(t, b); one != other {
		t.Errorf("one sees\n%s\nthe other\n%s", one, other)
	}
}

func TestNewer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.sqlite")
	s, _ := begun(t, path)
	if _, err := s.writer.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	before := read(t, path)
	if _, err := Open(t.Context(), path); !errors.Is(err, catalog.ErrNewer) {
		t.Errorf("a newer catalogue: %v", err)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("a newer catalogue was changed")
	}
}

// What is no catalogue is refused, and not touched.
func TestNotACatalogue(t *testing.T) {
	foreign := filepath.Join(t.TempDir(), "foreign")
	s, err := connect(foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.Exec("CREATE TABLE moz_places (id INTEGER)"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for name, content := range map[string][]byte{
		"text":      bytes.Repeat([]byte("this is no database\n"), 100),
		"zeros":     make([]byte, 8192),
		"foreign":   read(t, foreign),
		"beginning": read(t, foreign)[:100],
	} {
		path := filepath.Join(t.TempDir(), "catalog.sqlite")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(t.Context(), path); !errors.Is(err, catalog.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				s.Close()
			}
		}
		if !bytes.Equal(content, read(t, path)) {
			t.Errorf("%s was changed", name)
		}
	}
	if _, err := Open(t.Context(), t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}

// A damaged page must be said to be one, by whatever comes across it.
func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.sqlite")
	s, id := begun(t, path)
	l, err := s.Loader(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		if err := l.Add(uint64(i), drawn(i, rnd)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Commit(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	whole := read(t, path)
	const page = 4096
	said := 0
	for at := page; at+page <= len(whole); at += 29 * page {
		broken := bytes.Clone(whole)
		for i := range page {
			broken[at+i] = byte(rnd.Uint32())
		}
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := readAll(t.Context(), path); errors.Is(err, catalog.ErrDamaged) {
			said++
		} else if err != nil {
			t.Errorf("page %d: %v", at/page, err)
		}
	}
	if said == 0 {
		t.Error("no damage was noticed")
	}
}

func readAll(ctx context.Context, path string) error {
	s, err := Open(ctx, path)
	if err != nil {
		return err
	}
	defer s.Close()
	return catalog.Dump(ctx, s, &bytes.Buffer{})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
