package sector

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	reference "golang.org/x/crypto/xts"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// The vectors of IEEE 1619-2007, annex B: 1, 2 and 4 with 128 bits, 10 with 256.
// Of the long ones the beginning is held.
func TestXTSVectors(t *testing.T) {
	for _, v := range []struct {
		key    string
		number uint64
		cipher string
		plain  string
	}{
		{strings.Repeat("00", 32), 0, "917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e", strings.Repeat("00", 32)},
		{strings.Repeat("11", 16) + strings.Repeat("22", 16), 0x3333333333, "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0", strings.Repeat("44", 32)},
		{"2718281828459045235360287471352631415926535897932384626433832795", 0, "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c", sequence(32)},
		{"2718281828459045235360287471352662497757247093699959574966967627" +
			"3141592653589793238462643383279502884197169399375105820974944592", 0xff, "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b", sequence(32)},
	} {
		b := unhex(t, v.cipher)
		c, err := NewXTS(unhex(t, v.key), Little)
		if err != nil {
			t.Fatal(err)
		}
		if c.Decrypt(b, v.number); hex.EncodeToString(b) != v.plain {
			t.Errorf("number %#x: %x, want %s", v.number, b, v.plain)
		}
	}
}

func sequence(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return hex.EncodeToString(b)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestXTS holds it against the XTS of x/crypto.
func TestXTS(t *testing.T) {
	plain := evidencetest.Pattern(MaxSize)
	for _, key := range [][]byte{plain[:32], plain[100:148], plain[:64]} {
		ours, err := NewXTS(key, Little)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := reference.NewCipher(aes.NewCipher, key)
		if err != nil {
			t.Fatal(err)
		}
		for _, number := range []uint64{0, 1, 1 << 33, 1<<64 - 1} {
			b := make([]byte, MaxSize)
			theirs.Encrypt(b, plain, number)
			if ours.Decrypt(b, number); !bytes.Equal(b, plain) {
				t.Errorf("a key of %d bytes, number %d", len(key), number)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for spec, bytes := range map[string]int{"aes-xts-plain64": 64, "aes-xts-plain": 32, "aes-cbc-plain64be": 16, "aes-cbc-essiv:sha256": 32, "aes-xts-essiv:sha256": 64} {
		if _, err := Parse(spec, make([]byte, bytes)); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for spec, bytes := range map[string]int{
		"": 32, "aes": 32, "aes-ecb": 32, "aes-ctr-plain64": 32, "aes-xts-benbi": 64, "serpent-xts-plain64": 64, "aes-cbc-essiv:md5": 32,
		"aes-cbc-essiv:sha1": 32, "aes-xts-plain64": 63, "aes-cbc-plain": 15, "aes-xts-": 64, "aes-xts-random": 0,
	} {
		if _, err := Parse(spec, make([]byte, bytes)); !errors.Is(err, evidence.ErrUnsupported) {
			t.Errorf("%s with %d bytes: %v", spec, bytes, err)
		}
	}
}

// counting adds the number of a sector to each of its bytes.
type counting struct{}

func (counting) Decrypt(b []byte, number uint64) {
	for i := range b {
		b[i] += byte(number)
	}
}

// A volume of pieces of every kind, read in whatever steps.
func TestView(t *testing.T) {
	src := evidencetest.Source(evidencetest.Pattern(16 << 10))
	v, err := NewView(src, Layout{Size: 512, Step: 3, Cipher: counting{}, Pieces: []Piece{
		{From: 4096, Length: 1024, Number: 10},
		{Kind: Zero, Length: 700},
		{Kind: Plain, From: 100, Length: 333},
		{Length: 300}, // no whole sector
		{From: 8192, Length: 1200, Number: 5},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	raw := evidencetest.Pattern(16 << 10)
	sectors := func(at, n int, number byte) {
		for i, b := range raw[at : at+n] {
			want = append(want, b+number+byte(i/512)*3)
		}
	}
	sectors(4096, 1024, 10)
	want = append(append(want, make([]byte, 700)...), raw[100:433]...)
	sectors(8192, 1024, 5)
	evidencetest.SameDisk(t, v, want)
	for step := 1; step < 1100; step += 97 {
		got := new(bytes.Buffer)
		if _, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{io.NewSectionReader(v, 0, v.Size())}, make([]byte, step)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("in steps of %d it differs", step)
		}
	}
}

// Where the source is shorter than the layout says, no byte is made up.
func TestViewOfTooLittle(t *testing.T) {
	v, err := NewView(evidencetest.Source(make([]byte, 1000)), Layout{Size: 512, Step: 1, Cipher: counting{}, Pieces: []Piece{{Length: 4096}}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := v.ReadAt(make([]byte, 4096), 0); n != 512 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := v.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset is read")
	}
}

func TestNewViewRefuses(t *testing.T) {
	for _, size := range []int64{-1, 0, 256, 513, 8192} {
		if _, err := NewView(nil, Layout{Size: size}); !errors.Is(err, evidence.ErrUnsupported) {
			t.Errorf("sectors of %d: %v", size, err)
		}
	}
	huge := Piece{Kind: Zero, Length: 1 << 62}
	if _, err := NewView(nil, Layout{Size: 512, Pieces: []Piece{huge, huge}}); err == nil {
		t.Error("a volume of 2^63 bytes is taken")
	}
	if v, err := NewView(nil, Layout{Size: 512}); err != nil || v.Size() != 0 {
		t.Error(fmt.Sprint(err))
	}
}
