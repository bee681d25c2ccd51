package pst

import (
	"bytes"
	"testing"
)

// The example of the cyclic encoding is that it undoes itself ([MS-PST] 5.2);
// both encodings leave no two bytes the same.
func TestEncodings(t *testing.T) {
	plain := make([]byte, 1024)
	for i := range plain {
		plain[i] = byte(i)
	}
	for _, bid := range []uint64{0, 4, 0x12345678, 1 << 40} {
		b := bytes.Clone(plain)
		decode(encodedCyclic, b, bid)
		if bytes.Equal(b, plain) {
			t.Errorf("block %#x is not encoded", bid)
		}
		decode(encodedCyclic, b, bid)
		if !bytes.Equal(b, plain) {
			t.Errorf("block %#x does not come back", bid)
		}
	}
	b := bytes.Clone(plain[:256])
	decode(encodedPermuted, b, 0)
	for i, c := range b {
		if substituted[c] != byte(i) || scrambled[scrambled[i]] != byte(i) {
			t.Fatalf("the tables do not undo each other at %d", i)
		}
	}
}
