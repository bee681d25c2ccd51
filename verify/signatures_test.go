package verify_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os/exec"
	"testing"

	"filippo.io/mldsa"
)

// signatureCase is one question to both programs.
type signatureCase struct {
	function       string // of verify.py
	key, text, sig []byte
	want           bool
}

// askScript puts all questions to verify.py, in one process.
func askScript(t *testing.T, cases []signatureCase) (answers []bool) {
	t.Helper()
	var in bytes.Buffer
	for _, c := range cases {
		fmt.Fprintf(&in, "%s,%x,%x,%x\n", c.function, c.key, c.text, c.sig)
	}
	cmd := exec.Command("python3", "-B", "-c", `
import sys, verify
for line in sys.stdin:
    name, *rest = line.rstrip("\n").split(",")
    try: print(int(bool(getattr(verify, name)(*map(bytes.fromhex, rest)))))
    except ValueError: print(0)
`)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		answers = append(answers, lines.Text() == "1")
	}
	return answers
}

func compareAnswers(t *testing.T, cases []signatureCase) {
	t.Helper()
	answers, held := askScript(t, cases), 0
	if len(answers) != len(cases) {
		t.Fatalf("%d answers to %d questions", len(answers), len(cases))
	}
	for i, c := range cases {
		if answers[i] != c.want {
			t.Errorf("case %d, %s: the script says %v, Go %v\nkey %.80x\ntext %x\nsig %.160x", i, c.function, answers[i], c.want, c.key, c.text, c.sig)
		}
		if c.want {
			held++
		}
	}
	if held == 0 || held == len(cases) {
		t.Errorf("%d of %d hold: a test of one answer", held, len(cases))
	}
}

// flips are copies of b with one bit changed, at some places.
func flips(b []byte, n int, r *rand.Rand) (out [][]byte) {
	for range n {
		c := bytes.Clone(b)
		c[r.IntN(len(c))] ^= 1 << r.IntN(8)
		out = append(out, c)
	}
	return out
}

// smallPoints are encodings of the points of small order, canonical and not:
// "It's 255:19AM", by H. de Valence, and y of order 8 from the curve's equation.
func smallPoints() (out [][]byte) {
	for _, s := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"0200000000000000000000000000000000000000000000000000000000000000",
		"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			panic(err)
		}
		out = append(out, b)
	}
	return out
}

// groupOrder is L of RFC 8032, little-endian.
func plusGroupOrder(s []byte) []byte {
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	be := make([]byte, 32)
	for i := range s {
		be[31-i] = s[i]
	}
	sum := new(big.Int).Add(l, new(big.Int).SetBytes(be)).FillBytes(make([]byte, 32))
	for i := range be {
		be[31-i] = sum[i]
	}
	return be
}

// TestEd25519AsGo: the script accepts the signatures that crypto/ed25519 does,
// also where implementations are known to differ.
func TestEd25519AsGo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var cases []signatureCase
	ask := func(key, text, sig []byte) {
		cases = append(cases, signatureCase{"ed25519", key, text, sig, ed25519.Verify(key, text, sig)})
	}
	for i := range 12 {
		secret := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32))
		key, text := []byte(secret[32:]), bytes.Repeat([]byte{byte(i)}, 10*i)
		sig := ed25519.Sign(secret, text)
		ask(key, text, sig)
		ask(key, append(text, 0), sig)
		ask(key, text, append(sig[:32:32], plusGroupOrder(sig[32:])...))
		ask(key, text, sig[:63])
		ask(key, text, append(sig[:64:64], 0))
		for _, bad := range flips(sig, 6, r) {
			ask(key, text, bad)
		}
		for _, bad := range flips(key, 6, r) {
			ask(bad, text, sig)
		}
	}
	// S = 0 and S = 1 under keys of small order: R is a small point, and whether it
	// fits depends on how keys and points are encoded.
	base, _ := hex.DecodeString("5866666666666666666666666666666666666666666666666666666666666666")
	for _, key := range smallPoints() {
		for _, first := range append(smallPoints(), base) {
			for s := range byte(2) {
				sig := append(bytes.Clone(first), make([]byte, 32)...)
				sig[32] = s
				ask(key, []byte{s}, sig)
				ask(key, []byte("vector"), sig)
			}
		}
	}
	for range 60 { // half of all encodings are no points
		key, sig := make([]byte, 32), make([]byte, 64)
		for i := 0; i < 32; i += 8 {
			binary.LittleEndian.PutUint64(key[i:], r.Uint64())
			binary.LittleEndian.PutUint64(sig[i:], r.Uint64())
		}
		ask(key, nil, sig)
	}
	compareAnswers(t, cases)
}

// TestMLDSA44AsGo holds the script against filippo.io/mldsa, the signature's
// hints, its bounds and its padding included.
func TestMLDSA44AsGo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var cases []signatureCase
	ask := func(key, text, sig []byte) {
		public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), key)
		cases = append(cases, signatureCase{"mldsa44", key, text, sig, err == nil && mldsa.Verify(public, text, sig, nil) == nil})
	}
	for i := range 5 {
		secret := noteKey{"k", 6, byte(i)}.mldsa()
		key, text := secret.PublicKey().Bytes(), bytes.Repeat([]byte{byte(i)}, 30*i)
		sig, err := secret.Sign(nil, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		ask(key, text, sig)
		ask(key, append(text, 1), sig)
		ask(key, text, sig[:2419])
		ask(key, text, append(bytes.Clone(sig), 0))
		for _, bad := range flips(sig, 6, r) {
			ask(key, text, bad)
		}
		for _, bad := range flips(key, 2, r) {
			ask(bad, text, sig)
		}
		for range 12 { // the hints lie behind 32 + 4 × 576 bytes
			bad := bytes.Clone(sig)
			bad[2336+r.IntN(84)] += byte(1 + r.IntN(255))
			ask(key, text, bad)
		}
		swapped := bytes.Clone(sig)
		swapped[2336], swapped[2337] = swapped[2337], swapped[2336]
		ask(key, text, swapped)
		large := bytes.Clone(sig)
		large[32], large[33], large[34] = 0, 0, large[34]&^3 // z[0][0] = γ1
		ask(key, text, large)
	}
	compareAnswers(t, cases)
}
