package ledger

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func testSafe(fill byte) Safe { return NewSafe([32]byte(bytes.Repeat([]byte{fill}, 32))) }

// TestSafeEncryptsWhatItWrites holds a file against AES-GCM as the page of formats
// tells it.
func TestSafeEncryptsWhatItWrites(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.seed")
	if err := testSafe(7).SaveSeed(name, testSeed); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := aes.NewCipher(bytes.Repeat([]byte{7}, 32))
	gcm, _ := cipher.NewGCM(block)
	head := []byte("tutela-sealed v1\n")
	rest, ok := bytes.CutPrefix(file, head)
	if !ok {
		t.Fatalf("it begins with %q", file[:20])
	}
	text, err := gcm.Open(nil, rest[:12], rest[12:], head)
	if err != nil {
		t.Fatal(err)
	}
	if seed, err := parseSeed(string(text)); err != nil || seed != testSeed {
		t.Errorf("another seed: %v", err)
	}
	if got, err := testSafe(7).LoadSeed(name); err != nil || got != testSeed {
		t.Errorf("load: %v", err)
	}
	if _, err := (Safe{}).LoadSeed(name); !errors.Is(err, ErrSealed) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := testSafe(8).LoadSeed(name); !errors.Is(err, ErrWrongKey) {
		t.Errorf("with another key: %v", err)
	}
	for i := range file {
		changed := bytes.Clone(file)
		changed[i] ^= 1
		if got, err := testSafe(7).unseal(string(changed)); err == nil && i >= len(head) {
			t.Errorf("byte %d was changed, and it opened as %q", i, got)
		}
	}
}

// TestReseal encrypts files of every kind and decrypts them, over whatever a crash
// left.
func TestReseal(t *testing.T) {
	dir, keys := t.TempDir(), testKeys(t)
	punctured, err := Puncture(testSeed, []uint64{3}, 10)
	if err != nil {
		t.Fatal(err)
	}
	seed, left := filepath.Join(dir, "a.seed"), filepath.Join(dir, "b.seed")
	plain, safe := Safe{}, testSafe(1)
	if err := errors.Join(plain.SaveKeys(dir, keys), plain.SaveSeed(seed, testSeed), safe.SaveSecret(left, punctured)); err != nil {
		t.Fatal(err)
	}
	names := []string{filepath.Join(dir, keysName), seed, left}
	before := readAll(t, names)
	for _, stage := range []struct{ now, former Safe }{{safe, safe}, {safe, safe}, {plain, safe}, {plain, safe}} {
		for _, step := range []string{"written", "held", "replaced"} { // of replacing the seed
			stop := errors.New("stop")
			text, err := stage.former.read(seed, maxSecretFile)
			if err != nil {
				t.Fatal(err)
			}
			if err := replaceSecret(seed, stage.now.seal(text), func(reached string) error {
				if reached == step {
					return stop
				}
				return nil
			}); err != stop {
				t.Fatal(err)
			}
			if err := stage.now.Reseal(stage.former, names...); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range names {
			if sealed, err := liesSealed(name); err != nil || sealed != (stage.now.aead != nil) {
				t.Errorf("%s: encrypted %v, %v", name, sealed, err)
			}
		}
		if got, err := stage.now.LoadSeed(seed); err != nil || got != testSeed {
			t.Errorf("the seed: %v", err)
		}
	}
	if after := readAll(t, names); !bytes.Equal(after[0], before[0]) || !bytes.Equal(after[1], before[1]) {
		t.Error("they are not what they were")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != len(names) {
		t.Errorf("beside them lie %v", files)
	}
}

func readAll(t *testing.T, names []string) (all [][]byte) {
	t.Helper()
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// TestNoncesDiffer: under one key no two files may share one.
func TestNoncesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		b := testSafe(1).seal("x")
		nonce := string(b[len(sealedHead) : len(sealedHead)+12])
		if seen[nonce] {
			t.Fatal("a nonce was used twice")
		}
		seen[nonce] = true
	}
}

// FuzzUnseal: no bytes open but those that were sealed, or that claim no sealing.
func FuzzUnseal(f *testing.F) {
	f.Add([]byte("tutela-seed v1\n"))
	f.Add([]byte(sealedHead + "short"))
	f.Add(testSafe(2).seal("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := testSafe(1).unseal(string(b))
		if err == nil && text != string(b) {
			t.Errorf("%q opened as %q", b, text)
		}
	})
}
