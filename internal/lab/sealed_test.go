package lab

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tutela/internal/ledger"
)

// wrapOpenly is the wrapping of a test: the key as it is.
func wrapOpenly(key []byte) ([]byte, error) { return bytes.Clone(key), nil }

// wrappedKey is what wrapOpenly wrapped.
func wrappedKey(t *testing.T, dir string) *[32]byte {
	t.Helper()
	wrapped, err := Wrapped(dir)
	if err != nil || len(wrapped) != 32 {
		t.Fatalf("wrapped: %d bytes, %v", len(wrapped), err)
	}
	return (*[32]byte)(wrapped)
}

// countSealed counts the files of secrets that are encrypted, and all.
func countSealed(t *testing.T, dir string) (sealed, all int) {
	t.Helper()
	names, err := (&Lab{Dir: dir}).secretFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(b, []byte("tutela-sealed v1\n")) {
			sealed++
		}
	}
	return sealed, len(names)
}

// TestEncryptKeysCrashes cuts the way there and the way back short after each
// file, and opens the lab to look, which changes nothing, and to write, which
// brings it to its end.
func TestEncryptKeysCrashes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lab")
	if err := Init(t.Context(), dir, Config{Agency: "Example Police", Country: "BE"}, "erika"); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), dir, Write, "erika")
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"1-A", "2-B", "3-C"} {
		if err := l.AddExhibitSeed(label); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.EncryptKeys(wrapOpenly), l.Close()); err != nil {
		t.Fatal(err)
	}
	key := wrappedKey(t, dir)
	safe := ledger.NewSafe(*key)
	names, err := l.secretFiles()
	if err != nil {
		t.Fatal(err)
	}
	for back, name := range []string{wrappedName, leavingName} {
		for n := range len(names) + 1 {
			if err := errors.Join(safe.Reseal(safe, names...), (ledger.Safe{}).Reseal(safe, names[:n]...)); err != nil {
				t.Fatal(err)
			}
			wanted := filepath.Join(dir, "keys", name)
			os.Remove(filepath.Join(dir, "keys", wrappedName))
			if err := os.WriteFile(wanted, key[:], 0o600); err != nil {
				t.Fatal(err)
			}
			openHalf(t, dir, key, len(names)-n)
			want := []int{len(names), 0}[back]
			if sealed, all := countSealed(t, dir); sealed != want || all != len(names) {
				t.Errorf("%s, %d of %d lay open: now %d are encrypted of %d", name, n, len(names), sealed, all)
			}
			if _, err := os.Stat(wanted); (err == nil) != (back == 0) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// openHalf opens a lab of which some keys are encrypted.
func openHalf(t *testing.T, dir string, key *[32]byte, sealed int) {
	t.Helper()
	if _, err := Open(t.Context(), dir, Read, "erika"); !errors.Is(err, ErrSealed) {
		t.Errorf("without the key: %v", err)
	}
	for _, mode := range []Mode{Read, Write} {
		if got, _ := countSealed(t, dir); got != sealed {
			t.Errorf("looking changed %d to %d", sealed, got)
		}
		l, err := OpenSealed(t.Context(), dir, mode, "erika", key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.ReadLog(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestEncryptKeysAnew wraps the key that there is once more, and goes back.
func TestEncryptKeysAnew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lab")
	if err := Init(t.Context(), dir, Config{Agency: "Example Police", Country: "BE"}, "erika"); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), dir, Write, "erika")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.DecryptKeys(); !errors.Is(err, ErrNotSealed) {
		t.Errorf("decrypt what is not encrypted: %v", err)
	}
	refused := errors.New("refused")
	if err := l.EncryptKeys(func([]byte) ([]byte, error) { return nil, refused }); err != refused {
		t.Error(err)
	}
	if sealed, _ := countSealed(t, dir); sealed != 0 {
		t.Error("encrypted under a key that nobody has")
	}
	if err := l.EncryptKeys(wrapOpenly); err != nil {
		t.Fatal(err)
	}
	first := *wrappedKey(t, dir)
	if err := l.EncryptKeys(wrapOpenly); err != nil {
		t.Fatal(err)
	}
	if *wrappedKey(t, dir) != first {
		t.Error("another key, and the files under the first")
	}
	if err := l.AddExhibitSeed("7-B"); err != nil {
		t.Fatal(err)
	}
	if sealed, all := countSealed(t, dir); sealed != all || all < 2 {
		t.Errorf("%d of %d are encrypted", sealed, all)
	}
	if err := l.DecryptKeys(); err != nil {
		t.Fatal(err)
	}
	if sealed, _ := countSealed(t, dir); sealed != 0 {
		t.Errorf("%d are encrypted still", sealed)
	}
}
