package ledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"tutela/internal/ledger/check"
)

func TestKeysComeBack(t *testing.T) {
	k, err := GenerateKeys("lab.example/log")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "keys")
	if err := (Safe{}).SaveKeys(dir, k); err != nil {
		t.Fatal(err)
	}
	got, err := (Safe{}).LoadKeys(dir)
	if err != nil || !reflect.DeepEqual(got, k) {
		t.Errorf("keys came back as others: %v", err)
	}
	if err := (Safe{}).SaveKeys(dir, k); !errors.Is(err, fs.ErrExist) {
		t.Errorf("save over keys: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	name := filepath.Join(dir, keysName)
	for path, want := range map[string]fs.FileMode{dir: 0o700, name: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %s: %v, %v", path, info.Mode(), err)
		}
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := (Safe{}).LoadKeys(dir); err == nil {
		t.Error("keys that others may read were loaded")
	}
}

func TestKeysSignTogether(t *testing.T) {
	k, err := GenerateKeys("lab.example/log")
	if err != nil {
		t.Fatal(err)
	}
	ed, ml, err := k.signers()
	if err != nil {
		t.Fatal(err)
	}
	c := check.Checkpoint{Origin: k.Origin(), Size: 3, Root: check.Hash{1}}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, ed, ml)
	if err != nil {
		t.Fatal(err)
	}
	public, err := check.ParseLogKeys(k.VerifierKeys()...)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := public.Open(signed); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestKeyFilesRefuseEveryChange flips bits of both kinds of key file.
func TestKeyFilesRefuseEveryChange(t *testing.T) {
	dir := t.TempDir()
	k, err := GenerateKeys("lab.example/log")
	if err != nil {
		t.Fatal(err)
	}
	seedName := filepath.Join(dir, "seed")
	if err := errors.Join((Safe{}).SaveKeys(dir, k), (Safe{}).SaveSeed(seedName, testSeed)); err != nil {
		t.Fatal(err)
	}
	if got, err := (Safe{}).LoadSeed(seedName); err != nil || got != testSeed {
		t.Errorf("seed came back as another: %v", err)
	}
	if err := (Safe{}).SaveSeed(seedName, testSeed); !errors.Is(err, fs.ErrExist) {
		t.Errorf("save over a seed: %v", err)
	}
	for name, load := range map[string]func(string) error{
		filepath.Join(dir, keysName): func(text string) error { _, err := parseKeys(text); return err },
		seedName:                     func(text string) error { _, err := parseSeed(text); return err },
	} {
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for bit := 0; bit < len(good)*8; bit += 5 { // 5: each bit of a byte has its turn
			bad := append([]byte(nil), good...)
			bad[bit/8] ^= 1 << (bit % 8)
			if load(string(bad)) == nil {
				t.Errorf("%s: bit %d of byte %d changed: loaded", filepath.Base(name), bit%8, bit/8)
			}
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	dir := f.TempDir()
	k, err := GenerateKeys("lab.example/log")
	if err != nil {
		f.Fatal(err)
	}
	if err := (Safe{}).SaveKeys(dir, k); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, keysName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add("tutela-seed v1\nprotection none\nseed \nfingerprint \n")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := parseKeys(text); err == nil && !strings.Contains(text, "\nfingerprint "+k.Fingerprint()+"\n") {
			t.Error("keys without their fingerprint were taken")
		}
		if s, err := parseSeed(text); err == nil && !strings.Contains(text, s.fingerprintText()) {
			t.Error("a seed without its fingerprint was taken")
		}
	})
}

func TestOriginsThatCannotBe(t *testing.T) {
	for _, origin := range []string{"", "a b", "a+b", "a\nb", string(make([]byte, 300))} {
		if _, err := GenerateKeys(origin); err == nil {
			t.Errorf("keys made for %q", origin)
		}
	}
}
