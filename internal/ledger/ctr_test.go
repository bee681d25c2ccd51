package ledger

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"tutela/internal/ledger/check"
)

// TestCountersEqualStandardLibrary encrypts bodies of all lengths under random
// keys, and where the counter runs over 32, 64 and 128 bits.
func TestCountersEqualStandardLibrary(t *testing.T) {
	var source [32]byte
	r := rand.NewChaCha8(source)
	c := newCounters()
	for length := range 2500 {
		var key [32]byte
		var leaf check.Hash
		body := make([]byte, length)
		r.Read(key[:])
		r.Read(leaf[:])
		r.Read(body)
		for _, over := range []int{0, 4, 8, 16} { // bytes of the counter that are all ones
			for i := range over {
				leaf[15-i] = 0xff
			}
			want, got := bytes.Clone(body), bytes.Clone(body)
			cryptWith(&key, leaf, want)
			c.crypt(&key, leaf, got)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, counter %x", length, leaf[:16])
			}
		}
	}
}

func TestCountersDoNotAllocate(t *testing.T) {
	c, body := newCounters(), make([]byte, 200)
	if !c.wide {
		return // the standard library allocates
	}
	if n := testing.AllocsPerRun(10, func() { c.crypt(new([32]byte), check.Hash{}, body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCounters(b *testing.B) {
	c, body := newCounters(), make([]byte, 200)
	var key [32]byte
	for range b.N {
		c.crypt(&key, check.Hash{}, body)
	}
}
