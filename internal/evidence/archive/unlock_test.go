package archive_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidencetest"
)

// What is locked opens with the right passphrase, whichever others are tried
// too, and says so.
func TestKeysUnlock(t *testing.T) {
	keys := evidence.Keys{Passphrases: []string{"wrong", "secret", "also wrong"}}
	evidencetest.GoldenText(t, "unlocked", listFolder(t, "testdata/locked", keys))
}

// With wrong passphrases, nothing is given out.
func TestWrongKeysGiveNothing(t *testing.T) {
	keys := evidence.Keys{Passphrases: []string{"wrong", "Secret", "secret ", ""}}
	for _, name := range lockedFiles(t) {
		got := expandWith(t, name.content, evidence.Limits{}, keys)
		if got.findings[tutela.FindingEncrypted] == 0 || got.findings[tutela.FindingUnlocked] > 0 || got.read > 0 {
			t.Errorf("%s: read %d bytes, findings %v", name.name, got.read, got.findings)
		}
	}
}

// A changed byte of what is unlocked never passes for content.
func TestUnlockedDamageIsFound(t *testing.T) {
	keys := evidence.Keys{Passphrases: []string{"secret"}}
	for _, f := range lockedFiles(t) {
		want := map[string]bool{}
		for _, line := range rowsOf(t, f.content, keys) {
			want[line] = true
		}
		step := len(f.content)/60 + 1
		if filepath.Ext(f.name) == ".7z" {
			step = len(f.content)/10 + 1 // each costs a slow key derivation
		}
		for at := 0; at < len(f.content); at += step {
			b := []byte(string(f.content))
			b[at] ^= 0x10
			for _, row := range rowsOf(t, b, keys) {
				if !want[row] {
					t.Errorf("%s, byte %d changed: content that was never there: %s", f.name, at, row)
				}
			}
		}
	}
}

// Where no checksum would tell a wrong passphrase, the right one opens nothing
// either.
func TestWithoutChecksumNothingIsUnlocked(t *testing.T) {
	keys := evidence.Keys{Passphrases: []string{"secret"}}
	stream := readTestdata(t, "locked/stream.zip")
	cut := stream[:bytes.Index(stream, []byte("PK\x07\x08"))] // no directory, and sizes that follow the data
	clear(cut[14:26])
	got := expandWith(t, cut, evidence.Limits{}, keys)
	if got.read > 0 || got.findings[tutela.FindingUnlocked] > 0 || got.findings[tutela.FindingEncrypted] == 0 {
		t.Errorf("read %d bytes, findings %v", got.read, got.findings)
	}
}

type named struct {
	name    string
	content []byte
}

func lockedFiles(t *testing.T) (all []named) {
	t.Helper()
	files, err := filepath.Glob("testdata/locked/*.*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, named{filepath.Base(file), b})
	}
	return all
}

// rowsOf are the digests of all contents that were read whole.
func rowsOf(t *testing.T, content []byte, keys evidence.Keys) (rows []string) {
	t.Helper()
	x := archive.New(archive.Options{Spool: &memorySpool{}, Keys: keys})
	err := x.Expand(context.Background(), rootEntry("r"), bytes.NewReader(content), int64(len(content)), func(e *evidence.Entry) error {
		if sum := digest(e); !strings.Contains(sum, " ") && e.Size > 0 {
			rows = append(rows, sum)
		}
		return nil
	})
	if err != nil && !errors.Is(err, evidence.ErrNotThis) {
		t.Error(err)
	}
	return rows
}
