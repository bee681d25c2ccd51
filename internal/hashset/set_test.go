package hashset

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tutela"
)

func TestExactFindsByTheStrongest(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), []tutela.Assertion{
		known(1, hasMD5, "1"), known(2, hasMD5|hasSHA1, "1"), known(3, hasExact, "1"), known(4, hasSHA256, "1"),
		known(5, hasMD5, "1"), known(5, hasSHA256, "2"), known(5, hasSHA1, "0"),
	})
	for n, want := range map[uint64]tutela.MatchKind{1: tutela.MatchMD5, 2: tutela.MatchSHA1, 3: tutela.MatchSHA256, 4: tutela.MatchSHA256, 5: tutela.MatchSHA256} {
		row, kind, ok := set.Exact(content(n))
		if !ok || kind != want {
			t.Errorf("content %d: kind %s, %v; want %s", n, kind, ok, want)
		}
		if a := set.Assertion(row); n == 5 && a.Category.Code != "2" {
			t.Errorf("content 5 met %s first", describe(&a))
		}
	}
	if _, _, ok := set.Exact(content(6)); ok {
		t.Error("an unknown content is known")
	}
}

func TestADigestConflictIsNoMatch(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), []tutela.Assertion{known(1, hasExact, "1"), known(2, hasMD5|hasSHA1, "1")})
	collided := content(9)
	collided.MD5 = content(1).MD5
	if row, kind, ok := set.Exact(collided); ok {
		t.Errorf("a content with another SHA-256 met row %d by %s", row, kind)
	}
	collided.MD5, collided.SHA1 = content(9).MD5, content(2).SHA1
	if row, kind, ok := set.Exact(collided); ok {
		t.Errorf("a content with another MD5 met row %d by %s", row, kind)
	}
	if hits, err := NewSets(set).LookupValue(content(1).MD5.String()); err != nil || len(hits) != 1 {
		t.Errorf("the MD5 alone led to %v, %v", hits, err)
	}
}

// TestEqualPrefixes holds that a hit is confirmed on the whole digest.
func TestEqualPrefixes(t *testing.T) {
	var all []tutela.Assertion
	for i := range 300 {
		d := tutela.SHA256{0: 7, 9: byte(i), 10: byte(i >> 8), 31: 1}
		all = append(all, tutela.Assertion{SHA256: &d, Size: -1})
	}
	set, _ := compile(t, meta("x", 1, tutela.Alert), all)
	for i, a := range all {
		row, _, ok := set.Exact(tutela.Digests{SHA256: *a.SHA256})
		if !ok || *set.Assertion(row).SHA256 != *a.SHA256 {
			t.Fatalf("digest %d: row %d, %v", i, row, ok)
		}
	}
	if _, _, ok := set.Exact(tutela.Digests{SHA256: tutela.SHA256{0: 7}}); ok {
		t.Error("a prefix was taken for a digest")
	}
}

// TestExactAgainstPlain holds the index against going through all rows.
func TestExactAgainstPlain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all []tutela.Assertion
		// Few contents and short digests make equal ones common.
		for _, n := range rapid.SliceOfN(rapid.Uint64Range(1, 40), 1, 80).Draw(rt, "contents") {
			all = append(all, known(n, uint8(rapid.IntRange(1, 7).Draw(rt, "has")), rapid.SampledFrom([]string{"", "1", "2"}).Draw(rt, "code")))
		}
		path := filepath.Join(t.TempDir(), "x.set")
		r := slice(slices.Clone(all))
		if _, _, err := Compile(context.Background(), path, meta("x", 1, tutela.Alert), &r, Work{}); err != nil {
			rt.Fatal(err)
		}
		set, err := Open(path)
		if err != nil {
			rt.Fatal(err)
		}
		defer set.Close()
		for n := range uint64(45) {
			var got, want []uint64
			d := content(n)
			set.exact(&d, func(row uint64, _ tutela.MatchKind) bool { got = append(got, row); return true })
			for row, a := range set.All() {
				if (a.MD5 == nil || *a.MD5 == d.MD5) && (a.SHA1 == nil || *a.SHA1 == d.SHA1) && (a.SHA256 == nil || *a.SHA256 == d.SHA256) {
					want = append(want, row)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				rt.Fatalf("content %d: rows %v, want %v", n, got, want)
			}
		}
	})
}

// flip changes n different bits.
func flip(h tutela.PDQ, bits []int) tutela.PDQ {
	for _, b := range bits {
		h[b/8] ^= 1 << (b % 8)
	}
	return h
}

// TestNearAgainstPlain holds multi-index hashing against going through all
// hashes, with neighbours at every distance up to 40 and the ones that spread
// their bits evenly over the bands, which are the hardest to find.
func TestNearAgainstPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var all []tutela.Assertion
	add := func(h tutela.PDQ) { all = append(all, tutela.Assertion{PDQ: &h, Size: -1}) }
	centre := randomPDQ(r)
	for d := range 41 {
		for range 20 {
			add(flip(centre, r.Perm(256)[:d]))
		}
		even := make([]int, d)
		for i := range even {
			even[i] = i%16*16 + (i/16*5+3)%16
		}
		add(flip(centre, even))
	}
	for len(all) < 4*nearFrom {
		add(randomPDQ(r))
	}
	set, _ := compile(t, meta("x", 1, tutela.Alert), all)
	if set.layers[0].index.len() == 0 {
		t.Fatal("the set has no index: this test would hold the plain loop against itself")
	}
	rapid.Check(t, func(rt *rapid.T) {
		h := *all[rapid.IntRange(0, len(all)-1).Draw(rt, "from")].PDQ
		h = flip(h, rapid.SliceOfNDistinct(rapid.IntRange(0, 255), 0, 40, rapid.ID[int]).Draw(rt, "bits"))
		radius := rapid.IntRange(0, 40).Draw(rt, "radius")
		got, want := map[uint64]int{}, map[uint64]int{}
		set.Near(h, radius, func(row uint64, d int) {
			if _, twice := got[row]; twice {
				rt.Fatalf("row %d was visited twice", row)
			}
			got[row] = d
		})
		for row, a := range set.All() {
			if d := plainDistance(*a.PDQ, h); d <= radius {
				want[row] = d
			}
		}
		if len(got) != len(want) {
			rt.Fatalf("%d rows within %d, want %d", len(got), radius, len(want))
		}
		for row, d := range want {
			if got[row] != d {
				rt.Fatalf("row %d at %d, want %d", row, got[row], d)
			}
		}
	})
}

func plainDistance(a, b tutela.PDQ) (d int) {
	for i := range a {
		for x := a[i] ^ b[i]; x != 0; x &= x - 1 {
			d++
		}
	}
	return d
}

func TestDamagedFilesAreNamed(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), mixed(100))
	good, err := os.ReadFile(set.path)
	if err != nil {
		t.Fatal(err)
	}
	newer := slices.Clone(good)
	newer[8] = fileVersion + 1
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"empty":              {nil, ErrCorrupt},
		"another file":       {bytes.Repeat([]byte("text\n"), 2000), ErrCorrupt},
		"newer":              {newer, ErrNewer},
		"cut short":          {good[:len(good)-9], ErrCorrupt},
		"cut in the head":    {good[:headSize-1], ErrCorrupt},
		"a bit in the head":  {flipped(good, 100), ErrCorrupt},
		"a bit in the rows":  {flipped(good, headSize+3), ErrCorrupt},
		"a bit near the end": {flipped(good, len(good)-9), ErrCorrupt},
	} {
		path := filepath.Join(t.TempDir(), "x.set")
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func flipped(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 0x10
	return b
}

func TestVerifyHoldsTheDigest(t *testing.T) {
	set, _ := compile(t, meta("x", 1, tutela.Alert), mixed(10))
	other := tutela.SHA256{1}
	if err := os.WriteFile(set.path+digestSuffix, []byte(other.String()+"  x.set\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lied, err := Open(set.path)
	if err != nil {
		t.Fatal(err)
	}
	defer lied.Close()
	if err := lied.Verify(context.Background()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v, want %v", err, ErrCorrupt)
	}
}

// reseal makes the checksums of a changed file hold, as somebody would who
// means to deceive.
func reseal(b []byte) {
	if len(b) < headSize {
		return
	}
	copy(b, magic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], fileVersion)
	table := align8(headFixed + uint64(le.Uint32(b[12:])))
	for i := range uint64(le.Uint32(b[16:])) {
		at := table + i*sectionSize
		if at+sectionSize > headSize {
			break
		}
		offset, length := le.Uint64(b[at+8:]), le.Uint64(b[at+16:])
		if sectionKind(le.Uint32(b[at:])) != sectionSums || offset < headSize || offset > uint64(len(b)) || length > uint64(len(b))-offset {
			continue
		}
		sums := b[offset : offset+length]
		for n, block := range slices.Collect(slices.Chunk(b[headSize:offset], blockSize)) {
			if 4*n+4 <= len(sums) {
				le.PutUint32(sums[4*n:], crc32c(block))
			}
		}
		le.PutUint32(b[at+4:], crc32c(sums))
	}
	le.PutUint32(b[20:], headSum(b))
}

// use asks an open set for everything.
func use(s *Set) {
	for row := range s.All() {
		if row > 1000 {
			break
		}
	}
	for n := range uint64(10) {
		s.Exact(content(n))
	}
	NewSets(s).Match(0, &tutela.Record{Hashed: true, Digests: content(3), Picture: &tutela.Perceptual{Quality: 100}})
	s.Near(tutela.PDQ{1}, 31, func(row uint64, _ int) { s.Assertion(row) })
	s.Near(tutela.PDQ{1}, 256, func(row uint64, _ int) { s.Assertion(row) })
	s.Video([]tutela.PDQ{{1}, {2}}, func(row uint64, _, _, _ int) { s.Assertion(row) })
	NewSets(s).LookupValue(content(5).MD5.String())
}

// TestDeceivingFiles changes every byte behind the fixed head of a small set, to
// several values, and makes the checksums hold again.
func TestDeceivingFiles(t *testing.T) {
	whole, _ := compile(t, meta("x", 1, tutela.Alert), mixed(24))
	good := slices.Clone(whole.data)
	opened := 0
	for at := range good {
		if at > 800 && at < headSize {
			continue // zeros that nobody reads
		}
		for _, v := range []byte{0, 1, 0x7f, 0xff} {
			b := slices.Clone(good)
			b[at] = v
			reseal(b)
			set := &Set{data: b}
			if set.load() == nil && set.desc.Base == nil {
				opened++
				use(set)
			}
		}
	}
	if opened < len(good)-headSize {
		t.Errorf("only %d deceiving files were opened: is this test still about them?", opened)
	}
}

func FuzzOpen(f *testing.F) {
	for _, n := range []int{0, 3, 24} {
		set, _ := compile(f, meta("x", 1, tutela.Alert), mixed(n))
		f.Add(slices.Clone(set.data), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		if len(b) < headSize {
			return
		}
		if sealed {
			b = slices.Clone(b)
			reseal(b)
		}
		set := &Set{data: b}
		if set.load() == nil && set.desc.Base == nil {
			use(set)
		}
	})
}
