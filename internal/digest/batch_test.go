package digest

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestBatchEqualsStandardLibrary digests batches of all fillings and lengths
// with each engine.
func TestBatchEqualsStandardLibrary(t *testing.T) {
	content := noise(5, MessageLimit)
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			b := newBatch(e.sha256)
			for length := range MessageLimit + 1 {
				var sum [32]byte
				copy(b.Message(&sum, length), content)
				for range length % maximumLanes {
					copy(b.Message(new([32]byte), length*7%MessageLimit), content)
				}
				b.Flush()
				if sum != sha256.Sum256(content[:length]) {
					t.Fatalf("message of %d bytes", length)
				}
			}
		})
	}
}

// TestBatchOfMixedLengths: no message sees another.
func TestBatchOfMixedLengths(t *testing.T) {
	content := noise(6, 2*MessageLimit)
	for _, e := range engines() {
		r := rand.New(rand.NewPCG(1, 2))
		b := newBatch(e.sha256)
		for round := range 300 {
			sums, want := make([][32]byte, r.IntN(50)), make([][32]byte, 0, 50)
			for i := range sums {
				from, length := r.IntN(MessageLimit), r.IntN(1+min(MessageLimit, 1+r.IntN(2*MessageLimit)))
				copy(b.Message(&sums[i], length), content[from:])
				want = append(want, sha256.Sum256(content[from:][:length]))
			}
			b.Flush()
			if fmt.Sprint(sums) != fmt.Sprint(want) {
				t.Fatalf("%s, round %d", e.name, round)
			}
		}
	}
}

func TestBatchDoesNotAllocate(t *testing.T) {
	b, sums := NewBatch(), make([][32]byte, 40)
	if n := testing.AllocsPerRun(10, func() {
		for i := range sums {
			copy(b.Message(&sums[i], 33), "seed")
		}
		b.Flush()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBatchRefusesLongMessages(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a message longer than the limit was taken")
		}
	}()
	NewBatch().Message(new([32]byte), MessageLimit+1)
}

func BenchmarkBatch(b *testing.B) {
	content := noise(7, MessageLimit)
	for _, length := range []int{33, 65, 233} {
		for _, e := range engines() {
			b.Run(fmt.Sprintf("%s/%d", e.name, length), func(b *testing.B) {
				batch, sums := newBatch(e.sha256), make([][32]byte, 256)
				for i := range b.N {
					copy(batch.Message(&sums[i%256], length), content)
				}
				batch.Flush()
			})
		}
	}
}
