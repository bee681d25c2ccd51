package ntfs

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// packLZNT1 compresses as plainly as possible: the longest earlier match at
// every byte, found by trying them all.
func packLZNT1(b []byte) (out []byte) {
	for len(b) > 0 {
		chunk := b[:min(lzntChunk, len(b))]
		b = b[len(chunk):]
		packed := packTokens(chunk)
		if len(packed) >= len(chunk) {
			out = binary.LittleEndian.AppendUint16(out, 0x3000|uint16(len(chunk)-1))
			out = append(out, chunk...)
			continue
		}
		out = binary.LittleEndian.AppendUint16(out, 0xb000|uint16(len(packed)-1))
		out = append(out, packed...)
	}
	return out
}

func packTokens(chunk []byte) (out []byte) {
	for at := 0; at < len(chunk); {
		flags := len(out)
		out = append(out, 0)
		for bit := 0; bit < 8 && at < len(chunk); bit++ {
			distance, length := longestMatch(chunk, at)
			if length < 3 {
				out = append(out, chunk[at])
				at++
				continue
			}
			lengthBits := 16 - max(4, bits.Len(uint(at-1)))
			out[flags] |= 1 << bit
			out = binary.LittleEndian.AppendUint16(out, uint16((distance-1)<<lengthBits|(length-3)))
			at += length
		}
	}
	return out
}

func longestMatch(chunk []byte, at int) (distance, length int) {
	if at == 0 {
		return 0, 0
	}
	longest := 1<<(16-max(4, bits.Len(uint(at-1)))) + 2
	for d := 1; d <= at && length < longest; d++ {
		n := 0
		for n < longest && at+n < len(chunk) && chunk[at+n] == chunk[at+n-d] {
			n++
		}
		if n > length {
			distance, length = d, n
		}
	}
	return distance, length
}

// TestLZNT1Vector is the worked example of [MS-XCA] 3.3, "F# F# G A …".
func TestLZNT1Vector(t *testing.T) {
	const packed = "38b08846232000204720410010a24701a045204400084501507900c045200524" +
		"13880 5b4024a44ef0358028c091601484500be009e000401189000"
	src, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(packed), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	want := "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D " +
		"E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\x00"
	got := make([]byte, len(want))
	if err := decompressLZNT1(got, src); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLZNT1RoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 60 {
		b := make([]byte, r.IntN(2*lzntChunk+100))
		alphabet := 1 + r.IntN(1+4*n)
		for i := range b {
			b[i] = byte(r.IntN(alphabet))
		}
		got := bytes.Repeat([]byte{0xee}, len(b)+100)
		if err := decompressLZNT1(got, packLZNT1(b)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[:len(b)], b) || !allZero(got[len(b):]) {
			t.Fatalf("%d bytes of %d kinds do not come back", len(b), alphabet)
		}
	}
}

func TestLZNT1Damaged(t *testing.T) {
	for name, src := range map[string][]byte{
		"distance at the start": {2, 0xb0, 1, 0, 0},
		"distance too far":      {3, 0xb0, 2, 'a', 0, 0xf0},
		"half a token":          {2, 0xb0, 2, 'a', 0},
		"no signature":          {2, 0x80, 0, 'a', 'b'},
		"chunk cut off":         {9, 0xb0, 0, 'a'},
	} {
		if err := decompressLZNT1(make([]byte, 100), src); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzLZNT1(f *testing.F) {
	f.Add(packLZNT1([]byte("one two one two one two")), 100)
	f.Add([]byte{0xff, 0x3f, 1}, 5000)
	f.Add([]byte{2, 0xb0, 1, 0, 0}, 4096)
	f.Fuzz(func(t *testing.T, src []byte, n int) {
		if n < 0 || n > 1<<17 {
			return
		}
		_ = decompressLZNT1(make([]byte, n), src)

		// What was packed from these bytes gives them back.
		plain := src[:min(len(src), 1000)]
		got := make([]byte, len(plain))
		if err := decompressLZNT1(got, packLZNT1(plain)); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("round trip: %v", err)
		}
	})
}
