package witness

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tutela/internal/ledger/check"
)

// specRequest is the example request body of C2SP tlog-witness, "add-checkpoint".
const specRequest = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`

func TestRequestOfTheSpecification(t *testing.T) {
	r, err := ParseRequest([]byte(specRequest))
	if err != nil {
		t.Fatal(err)
	}
	// 3e544d0a… is the first line's base64, taken apart by basenc(1).
	if r.Old != 20852014 || len(r.Proof) != 4 || r.Proof[0].String()[:8] != "3e544d0a" {
		t.Errorf("read old %d, %d hashes, first %s", r.Old, len(r.Proof), r.Proof[0])
	}
	if !bytes.HasPrefix(r.Checkpoint, []byte("example.com/behind-the-sofa\n20852163\n")) {
		t.Errorf("checkpoint begins %.40q", r.Checkpoint)
	}
	if got := string(r.Encode()); got != specRequest {
		t.Errorf("encodes to\n%s", got)
	}
}

func TestRequestRefused(t *testing.T) {
	hash := "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
	for name, body := range map[string]string{
		"empty":              "",
		"no checkpoint":      "old 0\n\n",
		"no empty line":      "old 0\norigin\n",
		"no old":             "0\n\no\n",
		"two spaces":         "old  0\n\no\n",
		"leading zero":       "old 01\n\no\n",
		"sign":               "old +1\n\no\n",
		"negative":           "old -1\n\no\n",
		"hexadecimal":        "old 0x1\n\no\n",
		"65 bits":            "old 18446744073709551616\n\no\n",
		"carriage return":    "old 0\r\n\n\no\n",
		"short hash":         "old 1\nPlRNCg==\n\no\n",
		"not base64":         "old 1\n" + strings.Repeat("!", 44) + "\n\no\n",
		"stray bits":         "old 1\n" + strings.Replace(hash, "kaw=", "kax=", 1) + "\no\n",
		"hash with return":   "old 1\n" + strings.Replace(hash, "=\n", "=\r\n", 1) + "\no\n",
		"64 hashes":          "old 1\n" + strings.Repeat(hash, 64) + "\no\n",
		"longer than bounds": "old 0\n\n" + strings.Repeat("x", MaxBody),
	} {
		if _, err := ParseRequest([]byte(body)); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v, want ErrRequest", name, err)
		}
	}
	if r, err := ParseRequest([]byte("old 1\n" + strings.Repeat(hash, 63) + "\no\n")); err != nil || len(r.Proof) != 63 {
		t.Errorf("63 hashes: %d, %v", len(r.Proof), err)
	}
}

func TestSize(t *testing.T) {
	for _, size := range []uint64{0, 7, 1<<64 - 1} {
		if got, err := ParseSize(SizeBody(size)); err != nil || got != size {
			t.Errorf("size %d came back as %d, %v", size, got, err)
		}
	}
	for _, body := range []string{"", "\n", "7", "07\n", "7\n\n", " 7\n", "18446744073709551616\n", strings.Repeat("7", 30)} {
		if _, err := ParseSize([]byte(body)); !errors.Is(err, ErrRequest) {
			t.Errorf("%q: %v, want ErrRequest", body, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(specRequest))
	f.Add(Request{Old: 3, Proof: []check.Hash{{1}, {2}}, Checkpoint: []byte("o\n1\n")}.Encode())
	f.Add([]byte("old 0\n\no"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(body)
		if err != nil {
			return
		}
		if len(r.Proof) > MaxProof {
			t.Fatalf("%d hashes", len(r.Proof))
		}
		if got := r.Encode(); !bytes.Equal(got, body) {
			t.Fatalf("read %q, wrote %q", body, got)
		}
	})
}

func FuzzParseSize(f *testing.F) {
	f.Add([]byte("20852014\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if size, err := ParseSize(body); err == nil && !bytes.Equal(SizeBody(size), body) {
			t.Fatalf("read %q as %d", body, size)
		}
	})
}
