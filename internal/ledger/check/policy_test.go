package check

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	oracle "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

type testWitness struct {
	signer note.Signer
	vkey   string // type 1, as a bundle has it, or 6
}

func ed25519Witness(t testing.TB, name string, seed byte) testWitness {
	t.Helper()
	secret := bytes.Repeat([]byte{seed}, 32)
	s, err := NewCosigner(name, secret, fixedTime)
	if err != nil {
		t.Fatal(err)
	}
	public := ed25519.NewKeyFromSeed(secret).Public().(ed25519.PublicKey)
	return testWitness{s, verifierKey(name, algEd25519, public)}
}

func mldsaWitness(t testing.TB, name string, seed byte) testWitness {
	t.Helper()
	secret := bytes.Repeat([]byte{seed}, 32)
	s, err := NewMLDSASigner(name, secret, fixedTime)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := MLDSAVerifierKey(name, secret)
	if err != nil {
		t.Fatal(err)
	}
	return testWitness{s, vkey}
}

// testPolicy is one log of two keys and any of two witnesses.
func testPolicy(t testing.TB) (text string, log []note.Signer, court, peer testWitness) {
	t.Helper()
	log, vkeys := testSigners(t, testOrigin, 1)
	court, peer = ed25519Witness(t, "court.example", 2), mldsaWitness(t, "peer.example", 3)
	text = fmt.Sprintf("log %s\nlog %s\nwitness court %s\nwitness peer %s\ngroup both 1 court peer\nquorum both\n",
		vkeys[0], vkeys[1], court.vkey, peer.vkey)
	return text, log, court, peer
}

func mustPolicy(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := ParseCanonicalPolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCosignatureAgreesWithAnotherProgram(t *testing.T) {
	w := ed25519Witness(t, "court.example", 2)
	theirs, err := oracle.NewVerifierForCosignatureV1(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	signed := sign(t, testCheckpoint.Text(), w.signer)
	n, err := note.Open(signed, note.VerifierList(theirs))
	if err != nil || len(n.Sigs) != 1 {
		t.Fatalf("the other program refuses our cosignature: %v", err)
	}
	ours, err := ParseWitnessKey(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	if ours.KeyHash() != theirs.KeyHash() {
		t.Fatalf("key ID %08x, the other program says %08x", ours.KeyHash(), theirs.KeyHash())
	}
	if _, err := note.Open(signed, note.VerifierList(ours)); err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(bytes.Replace(signed, []byte("\n42\n"), []byte("\n43\n"), 1), note.VerifierList(ours)); err == nil {
		t.Fatal("a cosignature holds for another size")
	}
}

func TestPolicyOpens(t *testing.T) {
	text, log, court, peer := testPolicy(t)
	p := mustPolicy(t, text)
	for _, w := range []testWitness{court, peer} {
		c, cosigned, err := p.Open(sign(t, testCheckpoint.Text(), append(log, w.signer)...), OthersRefused)
		if err != nil || c != testCheckpoint || len(cosigned) != 1 {
			t.Fatalf("%v, %v, %v", c, cosigned, err)
		}
		if !cosigned[0].Time.Equal(fixedTime()) || !strings.HasPrefix(w.signer.Name(), cosigned[0].Witness+".") {
			t.Errorf("cosigned by %s at %s", cosigned[0].Witness, cosigned[0].Time)
		}
	}
}

func TestPolicyRefusesCheckpoints(t *testing.T) {
	text, log, court, _ := testPolicy(t)
	p := mustPolicy(t, text)
	stranger := ed25519Witness(t, "stranger.example", 9).signer
	good := sign(t, testCheckpoint.Text(), log[0], log[1], court.signer)
	last := good[bytes.LastIndex(good[:len(good)-1], []byte("\n"))+1:]
	for name, signed := range map[string][]byte{
		"no quorum":            sign(t, testCheckpoint.Text(), log...),
		"one key of log":       sign(t, testCheckpoint.Text(), log[0], court.signer),
		"stranger":             sign(t, testCheckpoint.Text(), log[0], log[1], court.signer, stranger),
		"line twice":           append(bytes.Clone(good), last...),
		"another's root":       bytes.Replace(good, []byte("\n42\n"), []byte("\n41\n"), 1),
		"same name, other key": sign(t, testCheckpoint.Text(), log[0], log[1], ed25519Witness(t, "court.example", 8).signer),
	} {
		if _, _, err := p.Open(signed, OthersRefused); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := p.Open(sign(t, testCheckpoint.Text(), log[0], log[1], court.signer, stranger), OthersUnjudged); err != nil {
		t.Errorf("a stranger, unjudged: %v", err)
	}
}

func TestPolicyNamesAddresses(t *testing.T) {
	text, _, court, peer := testPolicy(t)
	p, err := ParsePolicy([]byte(strings.Replace(text, court.vkey, court.vkey+"\thttps://court.example/w/ ", 1)))
	if err != nil {
		t.Fatal(err)
	}
	named := p.Named()
	if len(named) != 2 || named[0].Address != "https://court.example/w/" || named[1].Address != "" || named[1].Name != "peer" {
		t.Errorf("%+v", named)
	}
	if named[0].Key.KeyHash() != court.signer.KeyHash() || named[1].Key.KeyHash() != peer.signer.KeyHash() {
		t.Error("keys were exchanged")
	}
	if p.Text() != text {
		t.Errorf("an address is in the form for bundles:\n%s", p.Text())
	}
}

func TestOneCosignature(t *testing.T) {
	timeless, err := NewMLDSASigner("peer.example", bytes.Repeat([]byte{3}, 32), func() time.Time { return time.Time{} })
	if err != nil {
		t.Fatal(err)
	}
	text := testCheckpoint.Text()
	for _, w := range []testWitness{ed25519Witness(t, "court.example", 2), mldsaWitness(t, "peer.example", 3)} {
		key, err := ParseWitnessKey(w.vkey)
		if err != nil {
			t.Fatal(err)
		}
		line := sign(t, text, w.signer)[len(text)+1:]
		if at, err := OpenCosignature([]byte(text), line, key); err != nil || !at.Equal(fixedTime()) {
			t.Errorf("%s: %v, %v", w.signer.Name(), at, err)
		}
		for name, lines := range map[string][]byte{
			"nothing":    nil,
			"two lines":  append(bytes.Clone(line), line...),
			"a stranger": sign(t, text, ed25519Witness(t, "stranger.example", 9).signer)[len(text)+1:],
			"other text": sign(t, strings.Replace(text, "42", "43", 1), w.signer)[len(text)+1:],
			"no time":    sign(t, text, timeless)[len(text)+1:],
		} {
			if _, err := OpenCosignature([]byte(text), lines, key); !errors.Is(err, ErrSignature) {
				t.Errorf("%s: %s: %v", w.signer.Name(), name, err)
			}
		}
	}
}

func TestPolicyText(t *testing.T) {
	text, _, court, _ := testPolicy(t)
	edit := func(old, new string) string { return strings.Replace(text, old, new, 1) }
	typeFour, err := CosignerKey("court.example", bytes.Repeat([]byte{2}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for name, full := range map[string]string{
		"comment": "# c\n" + text, "tabs": edit("group both", " group\tboth"), "any": edit("both 1", "both any"),
		"address": edit("\nwitness peer", " https://court.example\nwitness peer"), "type 4": edit(court.vkey, typeFour),
	} {
		if _, err := ParsePolicy([]byte(full)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ParseCanonicalPolicy([]byte(full)); !errors.Is(err, ErrPolicy) {
			t.Errorf("%s stands in a bundle: %v", name, err)
		}
	}
	for name, bad := range map[string]string{
		"misspelt": edit("quorum", "quorom"), "upper case": edit("quorum", "Quorum"), "no quorum": edit("quorum both\n", ""),
		"two quorums": text + "quorum both\n", "no line feed": strings.TrimSuffix(text, "\n"), "carriage return": edit("both\n", "both\r\n"),
		"k of 0": edit("both 1", "both 0"), "k of 3": edit("both 1", "both 3"), "k of 01": edit("both 1", "both 01"), "k of +1": edit("both 1", "both +1"),
		"undefined": edit("court peer", "court pear"), "circle": edit("court peer", "court both"), "none": edit("court peer", "court none"),
		"member twice": edit("court peer", "court court"), "in two groups": edit("quorum", "group more 1 court\nquorum"),
		"key twice": edit("group", "witness again "+typeFour+"\ngroup"), "name twice": edit("witness peer", "witness court"),
	} {
		if _, err := ParsePolicy([]byte(bad)); !errors.Is(err, ErrPolicy) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestQuorum holds the nested groups of the specification's example against
// plain counting, for all sets of witnesses.
func TestQuorum(t *testing.T) {
	var b strings.Builder
	names := []string{"X1", "X2", "X3", "Y1", "Y2", "Y3"}
	for i, name := range names {
		fmt.Fprintf(&b, "witness %s %s\n", name, ed25519Witness(t, name, byte(i+1)).vkey)
	}
	b.WriteString("group X 2 X1 X2 X3\ngroup Y any Y1 Y2 Y3\ngroup XY all X Y\nquorum XY\n")
	p, err := ParsePolicy([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	for set := range 1 << len(names) {
		signed, x, y := map[string]bool{}, 0, 0
		for i, name := range names {
			signed[name] = set>>i&1 == 1
			if signed[name] && i < 3 {
				x++
			} else if signed[name] {
				y++
			}
		}
		if p.Reached(signed) != (x >= 2 && y >= 1) {
			t.Errorf("witnesses %06b", set)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	text, _, _, _ := testPolicy(f)
	f.Add([]byte(text))
	f.Add([]byte("quorum none\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy(text)
		if err != nil {
			return
		}
		again, err := ParsePolicy([]byte(p.Text()))
		if err != nil || again.Text() != p.Text() {
			t.Fatalf("its own text is refused: %v", err)
		}
	})
}
