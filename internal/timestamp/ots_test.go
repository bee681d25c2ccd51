package timestamp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The header of block 358,391 of Bitcoin.
const realHeader = "02000000b96394585a281b7e5f438fd1c9ed492645a1fd61cb3802040000000000000000" +
	"007ee445d23ad061af4a36b809501fab1ac4f2d7e7a739817dd0cbb7ec661b8a1e376755f58616186272def6"

// A published proof leads to a real block. Its first operation is RIPEMD-160,
// which is not carried out here: its result is what openssl makes of the digest.
func TestRealProofAndBlock(t *testing.T) {
	b, err := os.ReadFile("testdata/hello-world.txt.ots")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseProof(b); !errors.Is(err, ErrProof) || !strings.Contains(err.Error(), "unknown operation 0x03") {
		t.Fatalf("RIPEMD-160: %v", err)
	}
	message := unhex(t, "1df8859e60bc679503d16dcb870e6ce91a57e9df")
	edges, err := parseEdges(b[len(otsMagic)+1+32+1:], message)
	if err != nil {
		t.Fatal(err)
	}
	all, headers := ends(nil, edges, message), [][]byte{unhex(t, realHeader)}
	a, err := anchor(all, headers, 1)
	if err != nil || a.Height != 358391 || a.Time.Unix() != 1432827678 ||
		a.Block != "000000000000000003e892881a8cdcdc117c06d444057c98b6f04a9ee75a2319" ||
		a.Difficulty < 4.8e10 || a.Difficulty > 4.9e10 {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := anchor(all, headers, DifficultyFloor); err == nil || !strings.Contains(err.Error(), "too easy") {
		t.Errorf("a header below the floor: %v", err)
	}
	headers[0][79] ^= 1
	if _, err := anchor(all, headers, 1); err == nil || !strings.Contains(err.Error(), "no proof of work") {
		t.Errorf("a header with another nonce: %v", err)
	}
}

// pending is a proof that a calendar promised to complete.
func pending(t *testing.T) *Proof {
	t.Helper()
	p := NewProof(message)
	answer := append([]byte{opAppend, 2, 'a', 'b', opSHA256, opAttest}, tagPending...)
	answer = append(answer, 18, 17)
	if err := p.Attach(p.Digest[:], append(answer, "https://a.example"...)); err != nil {
		t.Fatal(err)
	}
	return p
}

// complete adds what the calendar answers later, and makes the block: easy
// enough for a test, so below the floor.
func complete(t *testing.T, p *Proof) (header []byte) {
	t.Helper()
	at := p.Attestations()[0].Message
	answer := append([]byte{opPrepend, 1, 'x', opSHA256, opSHA256, opAttest}, tagBitcoin...)
	if err := p.Attach(at, append(answer, 3, 0xc0, 0xc4, 0x39)); err != nil {
		t.Fatal(err)
	}
	once := sha256.Sum256(append([]byte{'x'}, at...))
	root := sha256.Sum256(once[:])
	header = append(make([]byte, 36), root[:]...)
	header = binary.LittleEndian.AppendUint32(header, 1_795_600_000)
	header = append(header, 0xff, 0xff, 0x7f, 0x20, 0, 0, 0, 0) // every other nonce will do
	for hasNoWork(header) {
		header[76]++
	}
	return header
}

func hasNoWork(header []byte) bool {
	once := sha256.Sum256(header)
	hash := sha256.Sum256(once[:])
	return hash[31] >= 0x7f
}

func TestAnchorFromPendingToBlock(t *testing.T) {
	p := pending(t)
	if _, err := VerifyOTS(p.Encode(), message, nil); !errors.Is(err, ErrProof) || !strings.Contains(err.Error(), "pending") {
		t.Errorf("pending: %v", err)
	}
	if a := p.Attestations(); len(a) != 1 || a[0].Calendar != "https://a.example" {
		t.Errorf("%+v", a)
	}
	header := complete(t, p)
	b := p.Encode()
	a, err := VerifyOTSAbove(0, b, message, [][]byte{unhex(t, realHeader), header})
	if err != nil || a.Time.Unix() != 1_795_600_000 || a.Height != 0xe6240 {
		t.Errorf("%+v, %v", a, err)
	}
	for name, verify := range map[string]func() (Anchor, error){
		"below the floor":    func() (Anchor, error) { return VerifyOTS(b, message, [][]byte{header}) },
		"another block":      func() (Anchor, error) { return VerifyOTSAbove(0, b, message, [][]byte{unhex(t, realHeader)}) },
		"over other bytes":   func() (Anchor, error) { return VerifyOTSAbove(0, b, []byte("other"), [][]byte{header}) },
		"a header cut short": func() (Anchor, error) { return VerifyOTSAbove(0, b, message, [][]byte{header[:79]}) },
	} {
		if _, err := verify(); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHostileProofs(t *testing.T) {
	start := append([]byte(otsMagic+"\x08"), make([]byte, 32)...)
	for name, tail := range map[string][]byte{
		"nothing":        nil,
		"deep":           bytes.Repeat([]byte{opSHA256}, 5000),
		"forks":          bytes.Repeat([]byte{opFork}, 5000),
		"large argument": {opAppend, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"long number":    {opAppend, 0x81, 0x00},
	} {
		if _, err := ParseProof(append(bytes.Clone(start), tail...)); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	f.Add(append(append([]byte(otsMagic+"\x08"), make([]byte, 32)...), "\x00\x05\x88\x96\x0d\x73\xd7\x19\x01\x01\x07"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		if again := p.Encode(); !bytes.Equal(again, b) {
			t.Errorf("%x was read and written as %x", b, again)
		}
	})
}
