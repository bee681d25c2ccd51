package thumb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"tutela"
	"tutela/internal/durable"
)

var secret = [32]byte{1, 2, 3}

// content is the n-th content, and thumbnail what was made of it.
func content(n int) tutela.SHA256 { return sha256.Sum256(fmt.Append(nil, "content ", n)) }

func thumbnail(n int) []byte {
	r := rand.NewChaCha8(content(n))
	b := make([]byte, 1+r.Uint64()%3000)
	r.Read(b)
	return b
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// filled makes a store of packs of a few thumbnails each.
func filled(t testing.TB, dir string, n int) *Store {
	t.Helper()
	s := open(t, dir)
	s.limit = 10_000
	for i := range n {
		put(t, s, i)
	}
	return s
}

func put(t testing.TB, s *Store, n int) {
	t.Helper()
	if err := s.Put(content(n), thumbnail(n)); err != nil {
		t.Fatal(err)
	}
}

func closed(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// has asserts that of the first n contents exactly those have their thumbnail for
// which want says so.
func has(t testing.TB, s *Store, n int, want func(i int) bool) {
	t.Helper()
	count := 0
	for i := range n {
		got, found, err := s.Get(content(i))
		if err != nil || found != want(i) || found != s.Has(content(i)) {
			t.Fatalf("content %d: found %v, Has %v, %v", i, found, s.Has(content(i)), err)
		}
		if found && !bytes.Equal(got, thumbnail(i)) {
			t.Fatalf("content %d has another thumbnail", i)
		}
		if found {
			count++
		}
	}
	if s.Len() != count {
		t.Fatalf("Len = %d, want %d", s.Len(), count)
	}
}

func every(int) bool { return true }

func TestPutGet(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir, 100)
	has(t, s, 100, every)
	if _, found, err := s.Get(content(100)); found || err != nil {
		t.Errorf("found what was not put: %v", err)
	}
	if err := s.Put(content(3), []byte("another")); err != nil {
		t.Error(err)
	}
	if err := s.Put(content(101), make([]byte, MaxBytes+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
	has(t, s, 100, every)
	closed(t, s)
	if packs, _ := filepath.Glob(filepath.Join(dir, "*.pack")); len(packs) < 10 {
		t.Errorf("%d packs", len(packs))
	}
	s = open(t, dir)
	has(t, s, 100, every)
	put(t, s, 100)
	has(t, s, 101, every)
}

func TestEmptyAndLongest(t *testing.T) {
	s := open(t, t.TempDir())
	for i, b := range [][]byte{{}, make([]byte, padTo-lengthBytes), make([]byte, padTo-lengthBytes+1), make([]byte, MaxBytes)} {
		if err := s.Put(content(i), b); err != nil {
			t.Fatal(err)
		}
		if got, found, err := s.Get(content(i)); err != nil || !found || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: %d, %v, %v", len(b), len(got), found, err)
		}
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := Open(dir, secret); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("%v", err)
	}
	closed(t, s)
	if err := s.Put(content(1), nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("put: %v", err)
	}
	if _, _, err := s.Get(content(1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("get: %v", err)
	}
	if err := errors.Join(s.Close(), open(t, dir).Close()); err != nil {
		t.Error(err)
	}
}

func TestWrongSecret(t *testing.T) {
	dir := t.TempDir()
	closed(t, filled(t, dir, 3))
	if _, err := Open(dir, [32]byte{9}); !errors.Is(err, ErrSecret) {
		t.Errorf("%v", err)
	}
	has(t, open(t, dir), 3, every)
}

// TestNothingShows: neither a digest nor a thumbnail, nor how long it is.
func TestNothingShows(t *testing.T) {
	dir := t.TempDir()
	closed(t, filled(t, dir, 1))
	b, err := os.ReadFile(filepath.Join(dir, packName(1)))
	if err != nil {
		t.Fatal(err)
	}
	sum := content(0)
	if bytes.Contains(b, sum[:8]) || bytes.Contains(b, thumbnail(0)[:8]) {
		t.Error("the pack shows what it holds")
	}
	if n := len(b) - packHead - headBytes - tagBytes; n%padTo != 0 {
		t.Errorf("the pack shows a length of %d", n)
	}
}

// TestCrash cuts the last thumbnail at every byte.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, 0)
	put(t, s, 1)
	before := s.last.size
	if err := s.Put(content(2), []byte("short")); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	whole, err := os.ReadFile(filepath.Join(dir, packName(1)))
	if err != nil {
		t.Fatal(err)
	}
	for n := before; n < int64(len(whole)); n++ {
		for _, tail := range []string{"cut", "zero"} {
			torn := bytes.Clone(whole[:n])
			if tail == "zero" { // the length has reached the disk, the bytes have not
				torn = append(torn, make([]byte, len(whole)-int(n))...)
				if bytes.Equal(torn, whole) {
					continue
				}
			}
			if err := os.WriteFile(filepath.Join(dir, packName(1)), torn, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir)
			has(t, s, 3, func(i int) bool { return i < 2 })
			put(t, s, 2)
			has(t, s, 3, every)
			closed(t, s)
			s = open(t, dir)
			has(t, s, 3, every)
			closed(t, s)
		}
	}
}

// TestCrashInPackHead cuts a new pack within its head.
func TestCrashInPackHead(t *testing.T) {
	for n := range packHead {
		dir := t.TempDir()
		closed(t, filled(t, dir, 1))
		if err := os.WriteFile(filepath.Join(dir, packName(2)), []byte(magic + string(make([]byte, packHead)))[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		put(t, s, 1)
		has(t, s, 2, every)
		closed(t, s)
	}
}

// TestTampered flips every bit of a pack while the store is open: a thumbnail is
// the right one, or an error, or not there.
func TestTampered(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := errors.Join(s.Put(content(0), []byte("first")), s.Put(content(1), []byte("second"))); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, packName(1))
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for at := packHead; at < len(whole); at++ {
		if _, err := s.last.file.WriteAt([]byte{whole[at] ^ 1<<(at%8)}, int64(at)); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"first", "second"} {
			got, found, err := s.Get(content(i))
			if err == nil && found && string(got) != want {
				t.Fatalf("byte %d: %q", at, got)
			}
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d: %v", at, err)
			}
			if err != nil {
				wrong++
			}
		}
		if _, err := s.last.file.WriteAt(whole[at:at+1], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if want := len(whole) - packHead; wrong != want {
		t.Errorf("%d of %d flips were noticed", wrong, want)
	}
}

// TestSwapped: a thumbnail in the place of another is an error even if the
// checksums are made to fit.
func TestSwapped(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := errors.Join(s.Put(content(0), []byte("first")), s.Put(content(1), []byte("other"))); err != nil {
		t.Fatal(err)
	}
	size := headBytes + padTo + tagBytes
	a, b := make([]byte, size), make([]byte, size)
	s.last.file.ReadAt(a, packHead)
	s.last.file.ReadAt(b, int64(packHead+size))
	copy(b[8:24], a[8:24]) // the second under the name of the first
	binary.LittleEndian.PutUint32(b[headBytes-4:], sumOf(b[:headBytes-4]))
	s.last.file.WriteAt(b, packHead)
	if got, _, err := s.Get(content(0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestDamagedOldPack: what lies before the damage is still there, and the file
// keeps the rest.
func TestDamagedOldPack(t *testing.T) {
	dir := t.TempDir()
	closed(t, filled(t, dir, 30))
	name := filepath.Join(dir, packName(1))
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[packHead+5] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if s.Has(content(0)) || !s.Has(content(29)) {
		t.Errorf("Has: %v, %v", s.Has(content(0)), s.Has(content(29)))
	}
	closed(t, s)
	if after, _ := os.ReadFile(name); !bytes.Equal(after, b) {
		t.Error("an old pack was changed")
	}
}

func odd(i int) bool { return i%2 == 1 }

func TestRemoveAndCompact(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir, 60)
	for i := range 60 {
		if i%2 == 0 {
			if err := s.Remove(content(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Remove(content(99)); err != nil {
		t.Error(err)
	}
	has(t, s, 60, odd)
	closed(t, s)
	s = open(t, dir)
	has(t, s, 60, odd)
	before := bytesIn(t, dir)
	if err := s.Compact(); err != nil {
		t.Fatal(err)
	}
	has(t, s, 60, odd)
	if after := bytesIn(t, dir); after > before*2/3 {
		t.Errorf("%d bytes, %d after compaction", before, after)
	}
	if worn := s.worn(); len(worn) != 0 {
		t.Errorf("packs %v still hold what is dead", worn)
	}
	closed(t, s)
	s = open(t, dir)
	has(t, s, 60, odd)
	for i := range 60 {
		put(t, s, i) // what was removed may come back
	}
	has(t, s, 60, every)
	closed(t, s)
	has(t, open(t, dir), 60, every)
}

func bytesIn(t testing.TB, dir string) (n int64) {
	packs, err := filepath.Glob(filepath.Join(dir, "*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range packs {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// TestCrashInCompact: the old pack is still there beside the copies.
func TestCrashInCompact(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir, 30)
	for i := 0; i < 30; i += 2 {
		if err := s.Remove(content(i)); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(filepath.Join(dir, packName(1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.compact(1); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	if err := os.WriteFile(filepath.Join(dir, packName(1)), old, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	has(t, s, 30, odd)
	if err := s.Compact(); err != nil {
		t.Fatal(err)
	}
	has(t, s, 30, odd)
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.limit = 10_000
	var wait sync.WaitGroup
	for w := range 4 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 0))
			for range 300 {
				n := r.IntN(100)
				if err := s.Put(content(n), thumbnail(n)); err != nil {
					t.Error(err)
				}
				m := r.IntN(100)
				if got, found, err := s.Get(content(m)); err != nil || found && !bytes.Equal(got, thumbnail(m)) {
					t.Errorf("content %d: %v", m, err)
				}
				if n%10 == 0 {
					if err := s.Remove(content(n)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Go(func() {
		for range 5 {
			if err := s.Compact(); err != nil {
				t.Error(err)
			}
		}
	})
	wait.Wait()
	for i := range 100 {
		put(t, s, i)
	}
	has(t, s, 100, every)
	closed(t, s)
	has(t, open(t, dir), 100, every)
}

func TestIndexAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	x, plain := &index{}, map[id]place{}
	ids := make([]id, 5000)
	for i := range ids {
		binary.BigEndian.PutUint64(ids[i][:], r.Uint64())
		ids[i][8] = byte(r.Uint32())
	}
	for n := range 50_000 {
		one := ids[r.IntN(len(ids))]
		if r.IntN(3) == 0 {
			x.remove(one)
			delete(plain, one)
		} else {
			x.set(one, placeOf(1, int64(n)))
			plain[one] = placeOf(1, int64(n))
		}
	}
	if x.len() != len(plain) {
		t.Errorf("%d places, want %d", x.len(), len(plain))
	}
	for _, one := range ids {
		if got := x.find(one); got != plain[one] {
			t.Fatalf("%v, want %v", got, plain[one])
		}
	}
}

func TestIndexMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	x := &index{}
	for n := 1; n <= 200_000; n++ {
		var one id
		binary.BigEndian.PutUint64(one[:], r.Uint64())
		one[8] = byte(r.Uint32())
		x.set(one, placeOf(1, int64(n)))
		if n < 10_000 || n%5000 != 0 {
			continue
		}
		slots := 0
		for i := range x.tables {
			slots += len(x.tables[i].slots)
		}
		if per := float64(slots) * float64(unsafe.Sizeof(slot{})) / float64(n); per > 24 {
			t.Fatalf("%.1f bytes an entry at %d", per, n)
		}
	}
}

// FuzzLoad opens a store whose only pack is whatever the fuzzer makes of one.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	s := open(f, dir)
	for i := range 3 {
		put(f, s, i)
	}
	if err := s.Remove(content(1)); err != nil {
		f.Fatal(err)
	}
	closed(f, s)
	whole, err := os.ReadFile(filepath.Join(dir, packName(1)))
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range []int{0, 10, packHead, packHead + 20, len(whole) - 1, len(whole)} {
		f.Add(whole[:n])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, packName(1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, secret)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrSecret) {
				t.Errorf("error of no class: %v", err)
			}
			return
		}
		defer s.Close()
		for i := range 3 {
			got, found, err := s.Get(content(i))
			if err == nil && found && !bytes.Equal(got, thumbnail(i)) {
				t.Errorf("content %d has another thumbnail", i)
			}
		}
		put(t, s, 7)
		if got, _, err := s.Get(content(7)); err != nil || !bytes.Equal(got, thumbnail(7)) {
			t.Errorf("%v", err)
		}
	})
}

var _ io.ReaderAt = stays{}

func BenchmarkPut(b *testing.B) {
	s := open(b, b.TempDir())
	jpeg := make([]byte, 9000)
	b.SetBytes(9000)
	for i := 0; b.Loop(); i++ {
		if err := s.Put(content(i), jpeg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, b.TempDir())
	for i := range 1000 {
		s.Put(content(i), make([]byte, 9000))
	}
	b.SetBytes(9000)
	for i := 0; b.Loop(); i++ {
		if _, found, err := s.Get(content(i % 1000)); !found || err != nil {
			b.Fatal(err)
		}
	}
}
