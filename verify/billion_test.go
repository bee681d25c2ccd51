package verify_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tutela"
	"tutela/internal/ledger"
	"tutela/verify"
)

// Bundles of exhibits and logs that are too large to draw: of what lies beside the
// path to a leaf nobody sees more than a hash, so any hash will do.

const (
	billion = 1_000_000_000 // records of the exhibit
	million = 1_000_000     // entries of the log
)

// hollow makes the root of the leaves from to to-1, of which those with data are
// real, and their proof.
type hollow struct {
	sum    hashing
	leaves map[uint64][]byte
	sorted []uint64
	random *rand.Rand
	proof  []byte
}

func newHollow(sum hashing, leaves map[uint64][]byte) *hollow {
	return &hollow{sum: sum, leaves: leaves, sorted: slices.Sorted(maps.Keys(leaves)), random: rand.New(rand.NewPCG(7, 8))}
}

func (h *hollow) root(from, to uint64) []byte {
	next, _ := slices.BinarySearch(h.sorted, from)
	switch {
	case next == len(h.sorted) || h.sorted[next] >= to:
		hash := h.sum(binary.BigEndian.AppendUint64(nil, h.random.Uint64()))
		h.proof = append(h.proof, hash...)
		return hash
	case to-from == 1:
		return h.sum(join(0, h.leaves[from]))
	}
	mid := from + uint64(half(int(to-from)))
	left := h.root(from, mid)
	return h.sum(join(1, left, h.root(mid, to)))
}

// ofABillion is a bundle of one exhibit of a billion records, of which n are
// opened, in a log of a million entries.
func ofABillion(n int) (files map[string][]byte) {
	d, r := newDrawing(), rand.New(rand.NewPCG(5, 6))
	files = map[string][]byte{"policy": []byte(d.policy), "README.txt": make([]byte, 800)}
	leaves := map[uint64][]byte{}
	for len(leaves) < n {
		i := r.Uint64N(billion)
		leaves[i] = salted("record", int(i), d.records[0])
		files[fmt.Sprintf("trees/400010-records/%d.open", i)] = leaves[i]
	}
	tree := newHollow(sum256, leaves)
	root := tree.root(0, billion)
	files["trees/400010-records/proof"] = tree.proof
	var opened []byte
	for _, i := range tree.sorted {
		opened = append(opened, sum256(join(0, leaves[i]))...)
	}
	d.header[5] = fmt.Sprint(n)
	seal := d.act(tutela.EventSeal, d.exhibit, 400009, tutela.Fact{Name: "records", Number: billion, Value: root})
	d.logInto(files, map[uint64]*tutela.Event{
		3:       d.act(tutela.EventKeyEnrol, "", -1, textFact("actor", d.header[4]), textFact("actor-key", drawnOfficer.vkey())),
		400_000: d.act(tutela.EventSeize, d.exhibit, -1),
		400_007: sign(d.act(tutela.EventImage, d.exhibit, 400_000)),
		400_009: sign(d.act(tutela.EventScanStart, d.exhibit, 400_007)),
		400_010: sign(seal),
		999_998: sign(d.act(tutela.EventDisclose, d.exhibit, 400_010,
			tutela.Fact{Name: "opened", Number: uint64(n), Value: sum256(opened)}, textFact("to", d.header[1]), textFact("purpose", d.header[2]))),
	})
	return d.seal(files)
}

// logInto puts events into a log of a million.
func (d *drawing) logInto(files map[string][]byte, events map[uint64]*tutela.Event) {
	entries := map[uint64][]byte{}
	for i, e := range events {
		opening := salted("event", int(i), ledger.AppendEvent(nil, e))
		files[fmt.Sprintf("events/%d.entry", i)] = opening
		entries[i] = join("tutela-entry@v1\n", sum256(join(0, opening)))
	}
	log := newHollow(sum256, entries)
	root := log.root(0, million)
	files["events/proof"] = log.proof
	text := fmt.Appendf(nil, "%s\n%d\n%s\n", drawnOrigin, million, base64.StdEncoding.EncodeToString(root))
	signed := join(text, "\n")
	for _, k := range slices.Concat(drawnLog, drawnWitness) {
		signed = append(signed, k.line(text, drawnOrigin, million, root)...)
	}
	files["checkpoint"] = signed
}

func sizeOf(files map[string][]byte) (n int) {
	for _, data := range files {
		n += len(data)
	}
	return n
}

// TestBundlesOfABillionAreSmall: of one record of a billion the bundle has at most
// 20,000 bytes, but for verify.py, time-stamps and the report; the proof of 10,000
// has at most 5.2 MB.
func TestBundlesOfABillionAreSmall(t *testing.T) {
	one, many := ofABillion(1), ofABillion(10_000)
	if n := sizeOf(one); n > 20_000 {
		t.Errorf("a bundle of one record: %d bytes", n)
	}
	if n := len(one["trees/400010-records/proof"]); n > 30*32 {
		t.Errorf("the proof of one record: %d bytes", n)
	}
	if n := len(many["trees/400010-records/proof"]); n > 5_200_000 {
		t.Errorf("the proof of 10,000 records: %d bytes", n)
	}
	t.Logf("one: %d bytes, and %d of verify.py; 10,000: proof of %d bytes, in all %d", sizeOf(one), len(verify.Script), len(many["trees/400010-records/proof"]), sizeOf(many))
	panel := judges(t)
	for name, files := range map[string]map[string][]byte{"one": one, "many": many} {
		if !held(t, panel, mutant{name: name, files: files}) {
			t.Errorf("%s of a billion: refused", name)
		}
	}
}

// tarOf is where a bundle lies as a tar.
func tarOf(b *testing.B, files map[string][]byte) string {
	path := filepath.Join(b.TempDir(), "bundle.tar")
	if err := os.WriteFile(path, drawnTar(files), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

func benchmarkLibrary(b *testing.B, n int) {
	files := ofABillion(n)
	path := tarOf(b, files)
	for b.Loop() {
		if v, err := verify.Path(path, verify.Options{}); err != nil || !v.OK {
			b.Fatal(v, err)
		}
	}
	b.ReportMetric(float64(sizeOf(files)), "bundle-bytes")
	b.ReportMetric(float64(len(files["trees/400010-records/proof"])), "proof-bytes")
}

func benchmarkScript(b *testing.B, n int) {
	path := tarOf(b, ofABillion(n))
	for b.Loop() {
		if out, code := script(b, path); code != 0 {
			b.Fatal(out)
		}
	}
}

func BenchmarkOneOfABillion(b *testing.B)          { benchmarkLibrary(b, 1) }
func BenchmarkOneOfABillionByScript(b *testing.B)  { benchmarkScript(b, 1) }
func BenchmarkManyOfABillion(b *testing.B)         { benchmarkLibrary(b, 10_000) }
func BenchmarkManyOfABillionByScript(b *testing.B) { benchmarkScript(b, 10_000) }
