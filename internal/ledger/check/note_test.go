package check

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	oracle "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

const testOrigin = "lab.example/log"

var testCheckpoint = Checkpoint{testOrigin, 42, Hash{7}}

func fixedTime() time.Time { return time.Unix(1_800_000_000, 0) }

// testSigners are a log's two keys from fixed seeds, and their vkeys.
func testSigners(t testing.TB, name string, seed byte) (signers []note.Signer, vkeys []string) {
	t.Helper()
	secret := bytes.Repeat([]byte{seed}, 32)
	public := ed25519.NewKeyFromSeed(secret).Public().(ed25519.PublicKey)
	ed, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Split(strings.TrimPrefix(ed, name), "+")[1]
	edSigner, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, hash, base64.StdEncoding.EncodeToString(append([]byte{1}, secret...))))
	if err != nil {
		t.Fatal(err)
	}
	ml, err := MLDSAVerifierKey(name, secret)
	if err != nil {
		t.Fatal(err)
	}
	mlSigner, err := NewMLDSASigner(name, secret, fixedTime)
	if err != nil {
		t.Fatal(err)
	}
	return []note.Signer{edSigner, mlSigner}, []string{ed, ml}
}

func sign(t testing.TB, text string, signers ...note.Signer) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func testLog(t testing.TB) (*LogKeys, []byte) {
	t.Helper()
	signers, vkeys := testSigners(t, testOrigin, 1)
	keys, err := ParseLogKeys(vkeys...)
	if err != nil {
		t.Fatal(err)
	}
	return keys, sign(t, testCheckpoint.Text(), signers...)
}

// TestMLDSAAgainstOracle lets transparency-dev/formats verify what we sign and
// the other way round.
func TestMLDSAAgainstOracle(t *testing.T) {
	signers, vkeys := testSigners(t, testOrigin, 1)
	theirs, err := oracle.NewMLDSAVerifier(vkeys[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(sign(t, testCheckpoint.Text(), signers[1]), note.VerifierList(theirs)); err != nil {
		t.Errorf("the oracle refuses our signature: %v", err)
	}
	skey, vkey, err := oracle.GenerateMLDSAKey(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := oracle.NewMLDSASigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseLogKeys(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := keys.Open(sign(t, testCheckpoint.Text(), signer)); err != nil || c != testCheckpoint {
		t.Errorf("we refuse the oracle's signature: %+v, %v", c, err)
	}
}

func TestOpenDemandsAllKeys(t *testing.T) {
	keys, signed := testLog(t)
	if c, err := keys.Open(signed); err != nil || c != testCheckpoint {
		t.Fatalf("%+v, %v", c, err)
	}
	signers, _ := testSigners(t, testOrigin, 1)
	others, _ := testSigners(t, testOrigin, 2)
	witness, _ := testSigners(t, "witness.example", 3)
	text := testCheckpoint.Text()
	good := sign(t, text, signers[1], witness[1], signers[0], witness[0])
	if c, err := keys.Open(good); err != nil || c != testCheckpoint {
		t.Errorf("with a witness: %+v, %v", c, err)
	}
	foreign := Checkpoint{"other.example/log", 42, Hash{7}}
	long := testCheckpoint.Text() + "extension\n"
	for name, bad := range map[string][]byte{
		"Ed25519 only":   sign(t, text, signers[0]),
		"ML-DSA only":    sign(t, text, signers[1]),
		"other ML-DSA":   sign(t, text, signers[0], others[1]),
		"other keys":     sign(t, text, others...),
		"other origin":   sign(t, foreign.Text(), signers...),
		"nobody":         []byte(text + "\n"),
		"nothing":        nil,
		"extension line": sign(t, long, signers[0]),
	} {
		if _, err := keys.Open(bad); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOpenRefusesEveryChange flips every bit of a checkpoint with its
// signatures, and adds what a lax reader overlooks.
func TestOpenRefusesEveryChange(t *testing.T) {
	keys, signed := testLog(t)
	for bit := range len(signed) * 8 {
		// A signature line of some 3,000 bytes needs no 24,000 verifications.
		if bit/8 > 400 && bit/8 < len(signed)-24 && bit%97 != 0 {
			continue
		}
		bad := bytes.Clone(signed)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := keys.Open(bad); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("bit %d of byte %d (%q) changed: %v", bit%8, bit/8, signed[bit/8], err)
		}
	}
	lines := strings.SplitAfter(string(signed), "\n")
	forged := strings.Replace(lines[4], "A", "B", 1)
	for name, bad := range map[string]string{
		"a line twice":              string(signed) + lines[4],
		"a changed line once more":  string(signed) + forged,
		"a space at the end":        string(signed) + " ",
		"an empty line at the end":  string(signed) + "\n",
		"carriage returns":          strings.ReplaceAll(string(signed), "\n", "\r\n"),
		"a size with a zero before": strings.Replace(string(signed), "\n42\n", "\n042\n", 1),
	} {
		if _, err := keys.Open([]byte(bad)); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseLogKeysRefuses(t *testing.T) {
	_, a := testSigners(t, testOrigin, 1)
	_, b := testSigners(t, "other.example", 2)
	for name, vkeys := range map[string][]string{
		"none":           nil,
		"twice":          {a[0], a[0]},
		"two logs":       {a[0], b[1]},
		"no key":         {"lab.example/log+00000000+"},
		"wrong key ID":   {strings.Replace(a[1], "+", "+0", 1)},
		"upper case ID":  {upperID(a[0])},
		"unknown type":   {verifierKey(testOrigin, 0x04, make([]byte, 32))},
		"short ML-DSA":   {verifierKey(testOrigin, 0x06, make([]byte, 1311))},
		"space in name":  {verifierKey("lab example", 0x06, make([]byte, 1312))},
		"stray bits":     {a[0][:len(a[0])-2] + "B="},
		"newline in key": {a[0][:60] + "\n" + a[0][60:]},
	} {
		if _, err := ParseLogKeys(vkeys...); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// upperID writes the key ID in capitals; if it has no letters, with one.
func upperID(vkey string) string {
	parts := strings.SplitN(vkey, "+", 3)
	if upper := strings.ToUpper(parts[1]); upper != parts[1] {
		parts[1] = upper
	} else {
		parts[1] = "A" + parts[1][1:]
	}
	return strings.Join(parts, "+")
}

func TestLogProofRoundTrip(t *testing.T) {
	keys, proof := testProof(t)
	read, err := ParseLogProof(proof.Text())
	if err != nil {
		t.Fatal(err)
	}
	entry := Entry(Hash{5})
	if c, err := read.Verify(entry, keys); err != nil || c.Size != 11 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := read.Verify(Entry(Hash{6}), keys); !errors.Is(err, ErrProof) {
		t.Errorf("another entry: %v", err)
	}
	text := proof.Text()
	for bit := range (len(text) - len(proof.Checkpoint)) * 8 {
		bad := bytes.Clone(text)
		bad[bit/8] ^= 1 << (bit % 8)
		p, err := ParseLogProof(bad)
		if err == nil {
			_, err = p.Verify(entry, keys)
		}
		if err == nil {
			t.Errorf("bit %d of byte %d changed: taken", bit%8, bit/8)
		}
	}
}

// testProof is a proof of Entry(Hash{5}), number 5 of 11.
func testProof(t testing.TB) (*LogKeys, LogProof) {
	t.Helper()
	tree := grown(0)
	for i := range byte(11) {
		tree.AppendData(Entry(Hash{i}))
	}
	raw, err := tree.InclusionProof(5, 11)
	if err != nil {
		t.Fatal(err)
	}
	signers, vkeys := testSigners(t, testOrigin, 1)
	keys, err := ParseLogKeys(vkeys...)
	if err != nil {
		t.Fatal(err)
	}
	c := Checkpoint{testOrigin, 11, Hash(tree.Hash())}
	return keys, LogProof{5, hashes(raw), sign(t, c.Text(), signers...)}
}

func TestEntryHasOneForm(t *testing.T) {
	entry := Entry(Hash{1})
	if c, err := ParseEntry(entry); err != nil || c != (Hash{1}) {
		t.Errorf("%s, %v", c, err)
	}
	for _, bad := range [][]byte{nil, entry[1:], entry[:47], append(entry, 0), bytes.ToUpper(entry)} {
		if _, err := ParseEntry(bad); err == nil {
			t.Errorf("%q taken", bad)
		}
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	keys, signed := testLog(f)
	f.Add(signed)
	f.Add([]byte("a\n1\n\n\n— a AAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := keys.Open(b); err == nil && c != testCheckpoint {
			t.Errorf("a checkpoint that nobody signed: %+v", c)
		}
		if c, err := ParseCheckpoint(b); err == nil && c.Text() != string(b) {
			t.Errorf("two forms of %+v", c)
		}
	})
}

func FuzzParseLogProof(f *testing.F) {
	_, proof := testProof(f)
	f.Add(proof.Text())
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseLogProof(b); err == nil && !bytes.Equal(p.Text(), b) {
			t.Errorf("two forms of %+v", p)
		}
	})
}

func FuzzParseVerifierKey(f *testing.F) {
	_, vkeys := testSigners(f, testOrigin, 1)
	f.Add(vkeys[0])
	f.Add(vkeys[1])
	f.Fuzz(func(t *testing.T, vkey string) {
		if v, err := ParseVerifierKey(vkey); err == nil && !strings.HasPrefix(vkey, fmt.Sprintf("%s+%08x+", v.Name(), v.KeyHash())) {
			t.Errorf("%q became %s+%08x", vkey, v.Name(), v.KeyHash())
		}
	})
}
