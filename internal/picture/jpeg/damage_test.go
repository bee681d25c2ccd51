package jpeg

import (
	"bytes"
	"errors"
	"image"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// sensible fails if what Read gives has neither a form nor a reason.
func sensible(tb testing.TB, data []byte, o Options) *Planes {
	tb.Helper()
	p, err := Read(data, o)
	if err != nil {
		if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrColour) {
			tb.Fatalf("error of no kind: %v", err)
		}
		return nil
	}
	s := int(o.Scale)
	if p.Y.Width != (p.Width+s-1)/s || p.Y.Height != (p.Height+s-1)/s || len(p.Y.Pix) != p.Y.Width*p.Y.Height {
		tb.Fatalf("%d×%d at scale %d: %d×%d, %d samples", p.Width, p.Height, s, p.Y.Width, p.Y.Height, len(p.Y.Pix))
	}
	return p
}

// chosen are pictures of all kinds, small ones.
func chosen(tb testing.TB) map[string][]byte {
	all := pictures(tb)
	for name := range all {
		if !strings.Contains(name, "-2x1-") && !strings.Contains(name, "-1x1-") || len(all[name]) > 4000 {
			delete(all, name)
		}
	}
	return all
}

// At every length there are either planes, with what is missing, or an error.
// What is read of the beginning is what the whole file has there.
func TestEveryLength(t *testing.T) {
	for name, data := range chosen(t) {
		for _, scale := range scales {
			o := Options{Scale: scale, Chroma: scale == 4}
			full := whole(t, data, o)
			for n := range data {
				for _, end := range []string{"", "\xff\xd9"} {
					p := sensible(t, append(data[:n:n], end...), o)
					if p != nil && p.Missing == "" && !equal(p, full) {
						t.Fatalf("%s, %d of %d bytes, then %q: differs at scale %d, but nothing is said to be missing", name, n, len(data), end, scale)
					}
				}
			}
		}
	}
}

func equal(a, b *Planes) bool {
	return bytes.Equal(a.Y.Pix, b.Y.Pix) && bytes.Equal(a.Cb.Pix, b.Cb.Pix) && bytes.Equal(a.Cr.Pix, b.Cr.Pix)
}

func TestTruncatedKeepsItsBeginning(t *testing.T) {
	full := whole(t, bridge, Options{Scale: 8})
	half := read(t, bridge[:len(bridge)/2], Options{Scale: 8})
	if !strings.Contains(half.Missing, "ends in scan 1 after") {
		t.Errorf("missing: %q", half.Missing)
	}
	same := 0
	for same < len(full.Y.Pix) && full.Y.Pix[same] == half.Y.Pix[same] {
		same++
	}
	if share := float64(same) / float64(len(full.Y.Pix)); share < 0.35 || share > 0.65 {
		t.Errorf("the first %.0f %% are the same", 100*share)
	}
	if last := half.Y.Pix[len(half.Y.Pix)-1]; last != 128 {
		t.Errorf("the missing part is %d", last)
	}
}

// withRestarts is a grey picture of 16×16 blocks, a restart marker after each
// row of them. Its blocks are of one value each.
func withRestarts(tb testing.TB) (data []byte, rows []int) {
	m := image.NewGray(image.Rect(0, 0, 128, 128))
	for i := range m.Pix {
		m.Pix[i] = uint8(40 + i/1024*8 + i%128/8)
	}
	base := encoded(tb, m, 100)
	d := decoder{data: base}
	if err := d.header(); err != nil {
		tb.Fatal(err)
	}
	data = append(bytes.Clone(base[:d.at]), 0xff, dri, 0, 4, 0, 16)
	data = append(data, base[d.at:d.at+2+8]...)
	for y := range 16 {
		rows = append(rows, len(data))
		data = append(data, rowOf(m.Pix[y*1024:])...)
		data = append(data, 0xff, byte(rst0+y%8))
	}
	data[len(data)-1] = eoi
	return data, rows
}

// rowOf codes 16 blocks of one value each, of which the first pixels are given,
// with the tables of T.81, K.3, at divisor 1.
func rowOf(pix []uint8) []byte {
	var bits uint64
	var count uint
	var out []byte
	put := func(v uint64, n uint) {
		for bits, count = bits<<n|v, count+n; count >= 8; count -= 8 {
			out = append(out, byte(bits>>(count-8)))
			if out[len(out)-1] == 0xff {
				out = append(out, 0)
			}
		}
	}
	before := 0
	for x := range 16 {
		dc := 8 * (int(pix[x*8]) - 128)
		v, size := dc-before, uint(0)
		before = dc
		for 1<<size <= max(v, -v) {
			size++
		}
		usual(0, 0).each(func(code uint32, length int, symbol byte) {
			if symbol == byte(size) {
				put(uint64(code), uint(length))
			}
		})
		if v < 0 {
			v += 1<<size - 1
		}
		put(uint64(v), size)
		put(0b1010, 4) // EOB
	}
	put(1<<7-1, 7)
	return out
}

// rowsOf splits a plane at scale 8.
func rowsOf(p Plane) [][]uint8 { return slices.Collect(slices.Chunk(p.Pix, p.Width)) }

func TestResumesAtRestartMarkers(t *testing.T) {
	data, rows := withRestarts(t)
	full := rowsOf(whole(t, data, Options{Scale: 8}).Y)
	if full[0][0] != 40 || full[15][15] != 40+15*8+15 {
		t.Fatalf("the picture itself is read wrongly: %v", full)
	}
	noCode := bytes.Repeat([]byte{0xff, 0}, 8) // no table has a code of ones only
	cut := func(from, to int) []byte { return append(bytes.Clone(data[:from]), data[to:]...) }
	for _, c := range []struct {
		name string
		data []byte
		lost []int // rows
	}{
		{"damage", append(append(bytes.Clone(data[:rows[4]]), noCode...), data[rows[4]+16:]...), []int{4}},
		{"interval lost with its marker", cut(rows[5]-2, rows[6]-2), []int{5}},
		{"two intervals lost", cut(rows[5]-2, rows[7]-2), []int{5, 6}},
		{"marker lost", cut(rows[6]-2, rows[6]), []int{6}},
		{"interval empty", cut(rows[7], rows[8]-2), []int{7}},
		{"last interval empty", cut(rows[15], len(data)-2), []int{15}},
		{"end lost", data[:rows[12]], []int{12, 13, 14, 15}},
	} {
		p := read(t, c.data, Options{Scale: 8})
		if p.Missing == "" {
			t.Errorf("%s: nothing is said to be missing", c.name)
		}
		for y, row := range rowsOf(p.Y) {
			switch lost := slices.Contains(c.lost, y); {
			case !lost && !bytes.Equal(row, full[y]):
				t.Errorf("%s: row %d is %v, not %v", c.name, y, row, full[y])
			case lost && row[15] != 128:
				t.Errorf("%s: lost row %d ends with %d", c.name, y, row[15])
			}
		}
	}
}

// mutants of all kinds of pictures: a few bytes changed, cut out or doubled.
func TestMutants(t *testing.T) {
	r, all := rand.New(rand.NewPCG(3, 4)), chosen(t)
	for _, name := range slices.Sorted(maps.Keys(all)) { // the same mutants in every run
		data := all[name]
		for range 400 {
			sensible(t, mutant(r, data), Options{Scale: scales[r.IntN(3)], Chroma: r.IntN(2) == 0})
		}
	}
}

func mutant(r *rand.Rand, data []byte) []byte {
	m := bytes.Clone(data)
	for range 1 + r.IntN(4) {
		at, n := r.IntN(len(m)-8), 1+r.IntN(7)
		switch r.IntN(4) {
		case 0:
			m[at] = byte(r.Uint32())
		case 1:
			m[at] ^= 1 << r.IntN(8)
		case 2:
			m = slices.Delete(m, at, at+n)
		case 3:
			m = slices.Insert(m, at, m[at:at+n]...)
		}
		m = small(m)
	}
	return m
}

// small makes a frame's sides shorter than 256, as callers bound them.
func small(data []byte) []byte {
	for at := 0; at+9 < len(data); at++ {
		if data[at] == 0xff && isFrame(data[at+1]) {
			data[at+5], data[at+7] = 0, 0
		}
	}
	return data
}

// A scan costs its file a few bytes, but us a visit of every block: there is a
// bound.
func TestThousandsOfScans(t *testing.T) {
	var data []byte
	for name, d := range pictures(t) {
		if strings.HasPrefix(name, "exact-1x1") {
			data = d
		}
	}
	at := segmentAt(t, data, sos)
	head := with(t, with(t, data[:at:at], 0xc2, 5, 8), 0xc2, 7, 8) // about 2,000 pixels a side
	head = append(head, "\xff\xc4\x00\x14\x10\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xe0"...)
	for i := range 3000 { // each refines nothing, in runs of 2¹⁴ blocks
		k := byte(1 + i%63)
		head = append(head, 0xff, sos, 0, 8, 1, head[segmentAt(t, head, 0xc2)+10], 0, k, k, 0)
		head = append(head, bytes.Repeat([]byte{0}, 12)...)
	}
	for _, scale := range scales {
		sensible(t, head, Options{Scale: scale})
	}
	d := decoder{data: head, options: Options{Scale: 1}}
	if err := d.header(); err != nil {
		t.Fatal(err)
	}
	d.prepare()
	_ = d.scans()
	if d.progress.visits > 63 {
		t.Errorf("%d visits for 63 coefficients", d.progress.visits)
	}
}

func FuzzRead(f *testing.F) {
	all := chosen(f)
	for _, kind := range []string{"baseline-2x1", "restart3-1x1", "separate-2x1", "progressive-2x1", "refined-2x1", "grey-1x1"} {
		for name, data := range all {
			if strings.HasPrefix(name, kind) {
				f.Add(data, byte(0))
				f.Add(data, byte(5))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, how byte) {
		data = small(bytes.Clone(data))
		o := Options{Scale: scales[how%3], Chroma: how&4 != 0}
		p := sensible(t, data, o)
		i, err := Inspect(data)
		if p != nil && (err != nil || i.Width != p.Width || i.Height != p.Height) {
			t.Fatalf("Inspect: %+v, %v", i, err)
		}
	})
}
