package encrypted

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tutela/internal/evidencetest"
)

var bodies = flag.String("bodies", "", "a folder of files whose bodies are judged")

func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	rand.NewChaCha8(key).Read(b)
	return b
}

// TestNoise counts how much noise is taken for what it is: all of it, in as many
// samples as a test can draw.
func TestNoise(t *testing.T) {
	const samples = 3000
	b := noise(samples*MinSample, 1)
	for i := range samples {
		if chi, bits, ok := Looks(b[i*MinSample : (i+1)*MinSample]); !ok {
			t.Errorf("sample %d: chi-square %.1f, %.5f bits", i, chi, bits)
		}
	}
	if _, _, ok := Looks(b); !ok {
		t.Error("all of it together fails")
	}
}

func TestLooksRefuses(t *testing.T) {
	counter := make([]byte, MinSample)
	for i := range counter {
		counter[i] = byte(i)
	}
	words := bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog "), 10000)
	lean := noise(MinSample, 2)
	for i := 0; i < len(lean); i += 40 { // one byte in forty is a zero
		lean[i] = 0
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "few": noise(MinSample-1, 3), "zeros": make([]byte, MinSample), "counter": counter, "words": words, "lean": lean,
		"deflated": deflated(t),
	} {
		if chi, bits, ok := Looks(b); ok {
			t.Errorf("%s looks encrypted: chi-square %.1f, %.5f bits", name, chi, bits)
		}
	}
}

// deflated is 64 KiB out of the middle of text that was compressed.
func deflated(t *testing.T) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 6)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for out.Len() < 3*MinSample {
		fmt.Fprintf(w, "entry %d of the log says %x at %d\n", rng.IntN(1000), rng.IntN(1<<16), rng.IntN(100))
	}
	return out.Bytes()[MinSample : 2*MinSample]
}

func TestVolume(t *testing.T) {
	good := noise(8<<20, 4)
	if detail, ok := Volume(evidencetest.Source(good)); !ok || !strings.HasPrefix(detail, "veracrypt-like: no header, 8388608 bytes, entropy 7.999") {
		t.Errorf("%q %v", detail, ok)
	}
	if _, ok := Volume(evidencetest.Source(good[:MinSize])); !ok {
		t.Error("the smallest is refused")
	}
	if _, ok := Volume(evidencetest.Source(good[:MinSize-1])); ok {
		t.Error("too small a volume is judged")
	}
	for _, at := range []int{0, 4 << 20, 8<<20 - MinSample} {
		mixed := bytes.Clone(good)
		clear(mixed[at : at+MinSample])
		if _, ok := Volume(evidencetest.Source(mixed)); ok && at != 4<<20 {
			t.Errorf("zeros at %d are passed over", at)
		}
	}
}

// TestContent holds that the verdict does not depend on how a content is cut.
func TestContent(t *testing.T) {
	good := noise(3<<20, 5)
	spoilt := bytes.Clone(good)
	clear(spoilt[2<<20 : 2<<20+8<<10])
	for _, step := range []int{1000, 32 << 10, 512 << 10, len(good)} {
		for want, b := range map[bool][]byte{true: good, false: spoilt} {
			if detail, ok := seen(b, step).Verdict(int64(len(b))); ok != want || ok && !strings.Contains(detail, "in 7 places") {
				t.Errorf("in steps of %d: %q %v, want %v", step, detail, ok, want)
			}
		}
	}
	if _, ok := seen(good[:1<<20+1], 4096).Verdict(1<<20 + 1); ok {
		t.Error("no whole sectors")
	}
	if _, ok := seen(good[:1<<20], 4096).Verdict(2 << 20); ok {
		t.Error("not all of it was seen")
	}
}

func seen(b []byte, step int) *Content {
	c := new(Content)
	for ; len(b) > 0; b = b[min(step, len(b)):] {
		c.See(b[:min(step, len(b))])
	}
	return c
}

func TestCoreStorage(t *testing.T) {
	b := make([]byte, 4096)
	b[8], b[88], b[89], b[90], b[168], b[172] = 1, 'C', 'S', 1, 16, 2
	if detail, ok := CoreStorage(evidencetest.Source(b)); !ok || !strings.HasPrefix(detail, "corestorage: ") {
		t.Errorf("%q %v", detail, ok)
	}
	b[172] = 0
	if _, ok := CoreStorage(evidencetest.Source(b)); ok {
		t.Error("without a cipher")
	}
	if _, ok := CoreStorage(evidencetest.Source(b[:100])); ok {
		t.Error("of 100 bytes")
	}
}

// TestBodies judges the bodies of the files in a folder (go test -bodies FOLDER),
// from 4 KiB behind their beginning: 64 KiB alone, and stretches of 1 MiB as
// contents and as volumes. What passed, of archives of programs, libraries and
// text, of pictures and films that were drawn:
//
//	          64 KiB         content     volume
//	jpeg       0 of 753     0 of 36     0 of 36
//	mp4        0 of 2434    0 of 152    0 of 152
//	zstd     273 of 2112    1 of 130    0 of 130
//	gzip     433 of 2446    1 of 151    0 of 151
//	bzip2    516 of 1480   13 of 92     0 of 92
//	xz      1705 of 1952   91 of 120   78 of 120
//	noise   3051 of 3051  190 of 190  190 of 190
//
// So what deflate makes (zip, PNG, PDF) is told in several places together, and
// what LZMA makes is not: it is told by its header or not at all.
func TestBodies(t *testing.T) {
	if *bodies == "" {
		t.Skip("no -bodies")
	}
	names, err := filepath.Glob(filepath.Join(*bodies, "*"))
	if err != nil {
		t.Fatal(err)
	}
	type tally struct{ samples, one, files, whole, cuts, volumes int }
	kinds := map[string]*tally{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		kind := kinds[filepath.Ext(name)]
		if kind == nil {
			kind = new(tally)
			kinds[filepath.Ext(name)] = kind
		}
		b = b[min(len(b), 4096):]
		for at := 0; at+MinSample <= len(b); at += MinSample {
			kind.samples++
			if _, _, ok := Looks(b[at : at+MinSample]); ok {
				kind.one++
			}
		}
		const cut = 1 << 20
		for at := 0; at+cut <= len(b); at += cut {
			kind.files++
			if _, ok := seen(b[at:at+cut], cut).Verdict(cut); ok {
				kind.whole++
			}
			kind.cuts++
			if _, ok := Volume(evidencetest.Source(b[at : at+cut])); ok {
				kind.volumes++
			}
		}
	}
	for name, k := range kinds {
		t.Logf("%s: %d of %d samples; as contents of 1 MiB %d of %d; as volumes of 1 MiB %d of %d", name, k.one, k.samples, k.whole, k.files, k.volumes, k.cuts)
	}
}

func FuzzContent(f *testing.F) {
	f.Add([]byte("x"), uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, step uint16) {
		all := bytes.Repeat(b, 1+2*MinSize/max(len(b), 1))
		if len(all) > 4*MinSize {
			return
		}
		first, _ := seen(all, len(all)+1).Verdict(int64(len(all)))
		if again, _ := seen(all, 512+int(step)).Verdict(int64(len(all))); again != first {
			t.Errorf("%q and %q", first, again)
		}
	})
}
