package hashset

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"tutela"
)

// large is enough rows for filters, an index of hashes and many blocks.
func large(n int) []tutela.Assertion {
	r := rand.New(rand.NewPCG(21, 22))
	var all []tutela.Assertion
	for i := range n {
		a := known(uint64(i), []uint8{hasExact, hasExact, hasMD5 | hasSHA1, hasMD5, hasSHA256}[i%5], []string{"1", "2"}[i%2])
		if i%3 == 0 {
			h := randomPDQ(r)
			a.PDQ = &h
		}
		if i%50 == 0 {
			a.Frames = []tutela.PDQ{randomPDQ(r), randomPDQ(r)}
		}
		a.Size, a.Series = int64(i), fmt.Sprint("series ", i%100)
		all = append(all, a)
	}
	return all
}

// TestDamageIsNeverASilentMiss damages one byte of each block in turn, and holds
// that every answer is either right or followed by word of the damage.
func TestDamageIsNeverASilentMiss(t *testing.T) {
	const rows = 8000
	all := large(rows)
	whole, _ := compile(t, meta("x", 1, tutela.Alert), all)
	met := 0
	for at := headSize + 100; at < len(whole.data); at += blockSize / 2 {
		b := slices.Clone(whole.data)
		b[at] ^= 0x40
		set := &Set{data: b}
		if err := set.load(); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			met++
			continue
		}
		wrong := false
		for n := 0; n < rows && set.Damage() == nil; n += 7 {
			row, kind, ok := set.Exact(content(uint64(n)))
			want, wantKind, _ := whole.Exact(content(uint64(n)))
			wrong = !ok || row != want || kind != wantKind
			if wrong && set.Damage() == nil {
				t.Fatalf("byte %d: content %d: row %d by %s, %v, and no word of damage", at, n, row, kind, ok)
			}
			found := 0
			set.having(tutela.MatchMD5, md5Of(&all[n]), func(uint64) { found++ })
			if all[n].MD5 != nil && found == 0 && set.Damage() == nil {
				t.Fatalf("byte %d: the MD5 of content %d is not found, and no word of damage", at, n)
			}
			if set.Damage() != nil {
				break
			}
			if got := set.Assertion(row); describe(&got) != describe(&all[n]) && set.Damage() == nil {
				t.Fatalf("byte %d: row %d is %s, want %s", at, row, describe(&got), describe(&all[n]))
			}
		}
		near := 0
		set.Near(*all[0].PDQ, 0, func(uint64, int) { near++ })
		if near != 1 && set.Damage() == nil {
			t.Fatalf("byte %d: a hash is not found, and no word of damage", at)
		}
		if err := set.Damage(); err != nil {
			met++
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
		}
	}
	if met < len(whole.data)/blockSize {
		t.Errorf("damage was met %d times only in %d blocks", met, len(whole.data)/blockSize)
	}
}

func TestExportTellsOfDamage(t *testing.T) {
	whole, _ := compile(t, meta("x", 1, tutela.Alert), large(8000))
	b := slices.Clone(whole.data)
	b[headSize+blockSize] ^= 1 // in the SHA-256 digests
	set := &Set{data: b}
	if err := set.load(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := set.Export(discarder{}, ExportCSV); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v, want %v", err, ErrCorrupt)
	}
}

type discarder struct{}

func (discarder) Write(p []byte) (int, error) { return len(p), nil }

// TestLookUpsInParallel is for the race detector.
func TestLookUpsInParallel(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), large(6000))
	var missed atomic.Int64
	t.Run("all", func(t *testing.T) {
		for from := range 4 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for n := from; n < 6000; n += 3 {
					if _, _, ok := set.Exact(content(uint64(n))); !ok {
						missed.Add(1)
					}
				}
			})
		}
	})
	if missed.Load() != 0 || set.Damage() != nil {
		t.Errorf("%d missed, damage %v", missed.Load(), set.Damage())
	}
}

// TestFilters holds that no key is missed, with keys of any kind, and that few
// others pass.
func TestFilters(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(filterFrom, 6000).Draw(rt, "keys")
		seed := rapid.Uint64().Draw(rt, "seed")
		mask := rapid.SampledFrom([]uint64{^uint64(0), 0xffff, 0xffff << 48, 1<<20 - 1}).Draw(rt, "mask")
		r := rand.New(rand.NewPCG(seed, 0))
		var keys []uint64
		for range n {
			keys = append(keys, r.Uint64()&mask)
		}
		slices.Sort(keys)
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		f := filterOf(rt, dir, keys)
		for _, key := range keys {
			if !f.may(key) {
				rt.Fatalf("key %x is missed", key)
			}
		}
		passed := 0
		for range 20_000 {
			if f.may(r.Uint64()) {
				passed++
			}
		}
		if len(f.shards) > 0 && passed > 200 {
			rt.Fatalf("%d of 20000 strangers pass", passed)
		}
	})
}

func TestFilterInShards(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	keys := make([]uint64, shardKeys+shardKeys/8)
	for i := range keys {
		keys[i] = r.Uint64()
	}
	slices.Sort(keys)
	f := filterOf(t, t.TempDir(), keys)
	if len(f.shards) != 2 {
		t.Fatalf("%d shards", len(f.shards))
	}
	size := uint64(0)
	for i := range f.shards {
		size += f.shards[i].prints.len()
	}
	if each := float64(size) / float64(len(keys)); each > 1.2 {
		t.Errorf("%.3f bytes a key", each)
	}
	for _, key := range keys {
		if !f.may(key) {
			t.Fatalf("key %x is missed", key)
		}
	}
}

func filterOf(t interface{ Fatal(...any) }, dir string, keys []uint64) filter {
	file, err := os.CreateTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := newSectionWriter(file)
	w := &filterWriter{fuser: &fuser{}, prints: &spool{dir: dir}}
	for _, key := range keys {
		if err := w.add(key); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.write(out, 99); err != nil {
		t.Fatal(err)
	}
	if err := out.finish(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if len(out.sections) == 1 {
		return filter{} // too few different keys
	}
	s, sums := out.sections[0], out.sections[1]
	k, err := newBlocks(b[headSize:sums.offset], b[sums.offset:])
	if err != nil {
		t.Fatal(err)
	}
	f, err := openFilter(part{b[s.offset : s.offset+s.length], s.offset - headSize, k})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestDeceivingDifferences changes every byte of a version that is based on
// another, and makes the checksums hold again.
func TestDeceivingDifferences(t *testing.T) {
	s := store(t)
	if err := os.Mkdir(filepath.Join(s.dir, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	all := mixed(60)
	importRows(t, s, meta("x", 1, tutela.Alert), all[4:], Replace)
	importRows(t, s, meta("x", 2, tutela.Alert), slices.Concat(all[:4], all[8:]), Replace)
	base, err := s.Open("x", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	good, err := os.ReadFile(s.file("x", 2, setSuffix))
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for at := headSize; at < len(good); at++ {
		for _, v := range []byte{0, 1, 0x7f, 0xff} {
			b := slices.Clone(good)
			b[at] = v
			reseal(b)
			set := &Set{data: b}
			if set.load() != nil || set.desc.Base == nil {
				continue
			}
			set.layers[0].body = base.layers[0].body
			opened++
			use(set)
		}
	}
	if opened < len(good)-headSize {
		t.Errorf("only %d deceiving files were opened: is this test still about them?", opened)
	}
}

func TestOlderFilesAreNamed(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), mixed(10))
	b := slices.Clone(set.data)
	binary.LittleEndian.PutUint32(b[8:], 1)
	path := filepath.Join(t.TempDir(), "x.set")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrOlder) {
		t.Errorf("error %v, want %v", err, ErrOlder)
	}
}

func TestVerifyReadsTheBaseToo(t *testing.T) {
	s := store(t)
	if err := os.Mkdir(filepath.Join(s.dir, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	all := mixed(200)
	importRows(t, s, meta("x", 1, tutela.Alert), all, Replace)
	importRows(t, s, meta("x", 2, tutela.Alert), all[1:], Replace)
	b, err := os.ReadFile(s.file("x", 1, setSuffix))
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(s.file("x", 1, setSuffix), b, 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := s.Open("x", 2)
	if err != nil {
		return // the damage lies where opening looks
	}
	defer set.Close()
	if err := set.Verify(context.Background()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v, want %v", err, ErrCorrupt)
	}
}

// FuzzColumns changes a file that is large enough for all its sections.
func FuzzColumns(f *testing.F) {
	whole, _ := compile(f, meta("x", 1, tutela.Alert), large(4000))
	f.Add(uint32(4), uint32(0xffffffff), uint16(3))
	f.Fuzz(func(t *testing.T, at, value uint32, n uint16) {
		b := slices.Clone(whole.data)
		binary.LittleEndian.PutUint32(b[headSize+int(at)%(len(b)-headSize-4):], value)
		reseal(b)
		set := &Set{data: b}
		if set.load() != nil {
			return
		}
		d := content(uint64(n))
		set.exact(&d, func(row uint64, _ tutela.MatchKind) bool { set.Assertion(row); return true })
		set.having(tutela.MatchMD5, d.MD5[:], func(row uint64) { set.Assertion(row) })
		set.Alike(tutela.PDQ(d.SHA256), 31, func(a Alike) { set.Assertion(a.Row) })
		set.Assertion(uint64(n) % set.Rows())
	})
}

func md5Of(a *tutela.Assertion) []byte {
	if a.MD5 == nil {
		return make([]byte, 16)
	}
	return a.MD5[:]
}
