package scan

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

func randomBytes(n int) []byte {
	random := rand.New(rand.NewPCG(uint64(n), 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// What lies on the lab's disk must not be what was seized, and what is read
// back at any offset must be.
func TestSealedFile(t *testing.T) {
	dir := t.TempDir()
	content := append([]byte(strings.Repeat("seized content ", 1000)), randomBytes(300_001)...)
	f, err := os.CreateTemp(dir, "spool-*")
	check(t, err)
	sealed, err := newSealedFile(f)
	check(t, err)
	defer sealed.Close()
	check(t, sealed.fill(t.Context(), bytes.NewReader(content), int64(len(content))))
	raw, err := os.ReadFile(f.Name())
	check(t, err)
	if len(raw) != len(content) || bytes.Contains(raw, []byte("seized content")) {
		t.Error("the file on disk holds the content as it is")
	}
	for _, at := range []struct{ off, n int }{{0, len(content)}, {1, 31}, {15, 17}, {16, 16}, {4095, 9000}, {len(content) - 5, 5}} {
		got := make([]byte, at.n)
		if _, err := sealed.ReadAt(got, int64(at.off)); err != nil || !bytes.Equal(got, content[at.off:at.off+at.n]) {
			t.Errorf("%d bytes at %d: %v, equal %v", at.n, at.off, err, bytes.Equal(got, content[at.off:at.off+at.n]))
		}
	}
}

func TestSpoolGivesBackAndLimits(t *testing.T) {
	s := &spool{dir: t.TempDir()}
	content := randomBytes(100_000)
	kept, err := s.Put(t.Context(), bytes.NewReader(content), 1<<20)
	check(t, err)
	if s.memory.Load() != int64(len(content)) {
		t.Errorf("%d bytes accounted", s.memory.Load())
	}
	s.memory.Add(spoolMemory) // as if others had filled it
	onDisk, err := s.Put(t.Context(), bytes.NewReader(content), 1<<20)
	check(t, err)
	for _, spooled := range []interface {
		ReadAt([]byte, int64) (int, error)
		Size() int64
	}{kept, onDisk} {
		got := make([]byte, len(content))
		if _, err := spooled.ReadAt(got, 0); err != nil && spooled.Size() != int64(len(content)) || !bytes.Equal(got, content) {
			t.Errorf("%T gives back something else: %v", spooled, err)
		}
	}
	check(t, kept.Close())
	check(t, onDisk.Close())
	if s.memory.Load() != spoolMemory {
		t.Errorf("%d bytes accounted after closing", s.memory.Load()-spoolMemory)
	}
	if left, _ := os.ReadDir(s.dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for range 2 {
		if _, err := s.Put(t.Context(), bytes.NewReader(content), 99_999); err == nil {
			t.Error("more than the limit was taken")
		}
		s.memory.Store(0)
	}
}
