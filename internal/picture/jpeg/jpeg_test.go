package jpeg

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	standard "image/jpeg"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

var (
	//go:embed testdata/bridge-512.jpg
	bridge []byte
	//go:embed testdata/pictures.tar.gz
	archived []byte
	//go:embed testdata/djpeg.tsv
	golden string
)

var scales = []Scale{1, 4, 8}

// pictures are all test pictures, by name.
func pictures(tb testing.TB) map[string][]byte {
	tb.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archived))
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string][]byte{"bridge-512.jpg": bridge}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			tb.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if all[strings.TrimPrefix(h.Name, "pictures/")], err = io.ReadAll(r); err != nil {
			tb.Fatal(err)
		}
	}
}

func pgm(p Plane) []byte {
	return append(fmt.Appendf(nil, "P5\n%d %d\n255\n", p.Width, p.Height), p.Pix...)
}

func read(tb testing.TB, data []byte, o Options) *Planes {
	tb.Helper()
	p, err := Read(data, o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// whole reads a picture of which nothing may be missing.
func whole(tb testing.TB, data []byte, o Options) *Planes {
	tb.Helper()
	p := read(tb, data, o)
	if p.Missing != "" {
		tb.Fatal(p.Missing)
	}
	return p
}

// What djpeg makes of many pictures.
func TestEqualsDjpeg(t *testing.T) {
	all, seen := pictures(t), 0
	for line := range strings.Lines(golden) {
		fields := strings.Fields(line)
		data, ok := all[fields[0]]
		if !ok || len(fields) != 4 {
			t.Fatalf("golden line %q", line)
		}
		seen++
		for i, scale := range scales {
			got := sha256.Sum256(pgm(whole(t, data, Options{Scale: scale}).Y))
			if want := fields[1+i]; fmt.Sprintf("%x", got) != want {
				t.Errorf("%s at scale %d: %x, djpeg gives %s", fields[0], scale, got, want)
			}
		}
	}
	if seen != len(all) || seen < 100 {
		t.Errorf("%d golden lines for %d pictures", seen, len(all))
	}
}

// drawn is a picture with soft and hard edges and some noise.
func drawn(width, height int, noise float64) image.Image {
	m, r := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420), rand.New(rand.NewPCG(1, 2))
	grain := func() float64 { return noise * r.NormFloat64() }
	for y := range height {
		for x := range width {
			v := 128 + 60*float64((x*x/97+y*y/61)%512)/512
			if (x/37+y/23)%3 == 0 {
				v -= 70
			}
			m.Y[m.YOffset(x, y)] = uint8(max(0, min(255, v+grain())))
		}
	}
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = uint8(100+i%77+int(grain()/4)), uint8(140-i%55+int(grain()/4))
	}
	return m
}

func encoded(tb testing.TB, m image.Image, quality int) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := standard.Encode(&b, m, &standard.Options{Quality: quality}); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// The tables of several words against those of one word, over many pieces of
// data, and at qualities that need codes longer than a window.
func TestSkimAgainstOneWordAtATime(t *testing.T) {
	for _, quality := range []int{10, 60, 90, 100} {
		data := encoded(t, drawn(1200, 901, float64(quality)/4), quality)
		coefficients := func(s Scale) []int16 {
			d := decoder{data: data, options: Options{Scale: s}}
			if err := d.header(); err != nil {
				t.Fatal(err)
			}
			d.prepare()
			if err := d.scans(); err != nil || len(d.missing) > 0 {
				t.Fatal(err, d.missing)
			}
			return d.frame.components[0].dc
		}
		fast, plain := coefficients(8), coefficients(4)
		for i := range plain {
			if fast[i] != plain[i] {
				t.Fatalf("quality %d, %d bytes: block %d has DC %d, not %d", quality, len(data), i, fast[i], plain[i])
			}
		}
	}
}

// Every entry of the tables against reading its window word by word.
func TestTablesAgainstTheirCodes(t *testing.T) {
	for slot := range 2 {
		dc, ac := usual(0, slot), usual(1, slot)
		s := newSkips(dc, ac)
		for w := range 1 << window {
			checkEntry(t, w, uint32(s.ac[w]), 0, ac, ac)
			checkEntry(t, w, s.dc[w], 1, dc, ac)
		}
	}
}

// checkEntry follows the codes of window w, which begins with one of the first
// table. fixed is how many coefficients that one is, 0 if its symbol tells.
func checkEntry(t *testing.T, w int, e uint32, fixed int, first, rest *huffman) {
	t.Helper()
	got, total, seen, codes := int(e&63), 0, 0, first
	value := int(e >> 8 & 255)
	if value == unknown {
		if _, length := first.decode(uint64(w) << (64 - window)); length != 0 && length <= window && fixed == 0 {
			t.Fatalf("window %#x is unknown, but has a code of %d bits", w, length)
		}
		return
	}
	end := false
	for total < got {
		symbol, length := codes.decode(uint64(w) << (64 - window + total))
		if length == 0 {
			t.Fatalf("window %#x: no code at bit %d", w, total)
		}
		run, size := int(symbol>>4), int(symbol&15)
		total += length
		switch {
		case codes == first && fixed > 0:
			seen += fixed
			difference := extend(w>>(window-length-size)&(1<<size-1), uint(size))
			if int(int32(e)>>16) != difference {
				t.Fatalf("window %#x: difference %d, not %d", w, int32(e)>>16, difference)
			}
			total += size
		case size == 0 && run != 15:
			end = true
		default:
			seen, total = seen+run+1, total+size
		}
		codes = rest
	}
	if end {
		seen += ended
	}
	if total != got || seen != value || got > reach {
		t.Fatalf("window %#x: entry of %d bits, value %d; its codes have %d bits, value %d", w, got, value, total, seen)
	}
}

// The standard library's decoder rounds elsewhere, but not by much.
func TestNearStandardLibrary(t *testing.T) {
	for name, data := range pictures(t) {
		m, err := standard.Decode(bytes.NewReader(data))
		if err != nil {
			continue // it reads fewer samplings
		}
		var pix []uint8
		var stride int
		switch m := m.(type) {
		case *image.YCbCr:
			pix, stride = m.Y, m.YStride
		case *image.Gray:
			pix, stride = m.Pix, m.Stride
		}
		y := whole(t, data, Options{Scale: 1}).Y
		for i, v := range y.Pix {
			if d := int(v) - int(pix[i/y.Width*stride+i%y.Width]); d < -3 || d > 3 {
				t.Errorf("%s: sample %d differs by %d", name, i, d)
				break
			}
		}
	}
}

func TestChroma(t *testing.T) {
	m := image.NewYCbCr(image.Rect(0, 0, 50, 30), image.YCbCrSubsampleRatio420)
	for i := range m.Y {
		m.Y[i] = 90
	}
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = 60, 200
	}
	for _, scale := range scales {
		p := whole(t, encoded(t, m, 100), Options{Scale: scale, Chroma: true})
		for _, c := range []struct {
			plane Plane
			want  uint8
		}{{p.Cb, 60}, {p.Cr, 200}} {
			if c.plane.Width != 4 || c.plane.Height != 2 || len(c.plane.Pix) != 8 {
				t.Fatalf("chroma of %d×%d, %d samples", c.plane.Width, c.plane.Height, len(c.plane.Pix))
			}
			for _, v := range c.plane.Pix {
				if v != c.want {
					t.Errorf("scale %d: chroma %d, not %d", scale, v, c.want)
				}
			}
		}
		if p := whole(t, encoded(t, m, 100), Options{Scale: scale}); p.Cb.Pix != nil || p.Cr.Pix != nil {
			t.Error("chroma without being asked for")
		}
	}
	grey := encoded(t, image.NewGray(image.Rect(0, 0, 9, 9)), 90)
	if p := whole(t, grey, Options{Scale: 8, Chroma: true}); p.Cb.Pix != nil {
		t.Error("chroma of a grey picture")
	}
}

// Chroma must be the same whichever way its blocks are read.
func TestChromaOfAllKinds(t *testing.T) {
	for name, data := range pictures(t) {
		one := whole(t, data, Options{Scale: 8, Chroma: true})
		for _, scale := range scales {
			p := whole(t, data, Options{Scale: scale, Chroma: true})
			if !bytes.Equal(p.Cb.Pix, one.Cb.Pix) || !bytes.Equal(p.Cr.Pix, one.Cr.Pix) {
				t.Errorf("%s: chroma at scale %d is not that at 8", name, scale)
			}
			if luma := whole(t, data, Options{Scale: scale}); !bytes.Equal(p.Y.Pix, luma.Y.Pix) {
				t.Errorf("%s: luma at scale %d depends on chroma", name, scale)
			}
		}
	}
}

func TestInspect(t *testing.T) {
	i, err := Inspect(bridge)
	if want := (Info{Width: 512, Height: 512, Components: 3, Luma: [2]int{2, 2}, Chroma: [2]int{1, 1}}); err != nil || i != want {
		t.Errorf("%+v, %v; want %+v", i, err, want)
	}
	progressive := 0
	for name, data := range pictures(t) {
		i, err := Inspect(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p := whole(t, data, Options{Scale: 8}); p.Width != i.Width || p.Height != i.Height {
			t.Errorf("%s: %d×%d or %d×%d", name, i.Width, i.Height, p.Width, p.Height)
		}
		if i.Progressive {
			progressive++
		}
	}
	if progressive < 30 {
		t.Errorf("%d progressive pictures", progressive)
	}
}

// segmentAt is where the first segment with a marker begins.
func segmentAt(tb testing.TB, data []byte, marker byte) int {
	tb.Helper()
	for at := 2; at+4 < len(data) && data[at] == 0xff; {
		if data[at+1] == marker {
			return at
		}
		at += 2 + int(binary.BigEndian.Uint16(data[at+2:]))
	}
	tb.Fatalf("no segment %#x", marker)
	return 0
}

// with changes a byte behind the first segment's marker.
func with(tb testing.TB, data []byte, marker byte, offset int, value byte) []byte {
	data = bytes.Clone(data)
	data[segmentAt(tb, data, marker)+offset] = value
	return data
}

// without leaves out all segments with a marker before the first scan.
func without(tb testing.TB, data []byte, marker byte) []byte {
	scan := segmentAt(tb, data, sos)
	out := bytes.Clone(data[:2])
	for at := 2; at < scan; {
		next := at + 2 + int(binary.BigEndian.Uint16(data[at+2:]))
		if data[at+1] != marker {
			out = append(out, data[at:next]...)
		}
		at = next
	}
	return append(out, data[scan:]...)
}

// insert puts bytes behind SOI.
func insert(data []byte, b ...byte) []byte {
	return append(append(bytes.Clone(data[:2]), b...), data[2:]...)
}

func adobe(transform byte) []byte {
	return append([]byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"), transform)
}

func TestRefusedByName(t *testing.T) {
	base := encoded(t, drawn(40, 30, 1), 80)
	cmyk := bytes.Clone(base[:2])
	cmyk = append(cmyk, "\xff\xc0\x00\x14\x08\x00\x10\x00\x10\x04\x01\x11\x00\x02\x11\x00\x03\x11\x00\x04\x11\x00"...)
	cmyk = append(cmyk, base[segmentAt(t, base, sos):]...)
	two := append([]byte("\xff\xd8\xff\xc0\x00\x0e\x08\x00\x10\x00\x10\x02\x01\x11\x00\x02\x11\x00"), base[segmentAt(t, base, sos):]...)
	rgb := with(t, with(t, with(t, base, 0xc0, 10, 'R'), 0xc0, 13, 'G'), 0xc0, 16, 'B')
	coarse := with(t, with(t, base, 0xc0, 11, 0x11), 0xc0, 14, 0x22)
	for _, c := range []struct {
		name string
		data []byte
		want error
		says string
	}{
		{"12 bits", with(t, base, 0xc0, 4, 12), ErrUnsupported, "12 bits"},
		{"arithmetic", with(t, base, 0xc0, 1, 0xc9), ErrUnsupported, "arithmetic"},
		{"progressive arithmetic", with(t, base, 0xc0, 1, 0xca), ErrUnsupported, "arithmetic"},
		{"lossless", with(t, base, 0xc0, 1, 0xc3), ErrUnsupported, "lossless"},
		{"hierarchical", with(t, base, 0xc0, 1, 0xc5), ErrUnsupported, "hierarchical"},
		{"height later", with(t, with(t, base, 0xc0, 5, 0), 0xc0, 6, 0), ErrUnsupported, "DNL"},
		{"two components", two, ErrUnsupported, "2 components"},
		{"coarse luma", coarse, ErrUnsupported, "coarsely"},
		{"CMYK", cmyk, ErrColour, "four"},
		{"RGB by Adobe", insert(base, adobe(0)...), ErrColour, "RGB"},
		{"RGB by name", rgb, ErrColour, "RGB"},
		{"no picture", []byte("GIF89a"), ErrFormat, "SOI"},
		{"empty", nil, ErrFormat, "SOI"},
		{"no frame", without(t, base, 0xc0), ErrFormat, "frame"},
		{"no quantisation", without(t, base, dqt), ErrFormat, "quantisation"},
		{"header only", base[:segmentAt(t, base, sos)], ErrFormat, "header"},
	} {
		for _, scale := range scales {
			p, err := Read(c.data, Options{Scale: scale})
			if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("%s: %v, %v; want %v, %q", c.name, p, err, c.want, c.says)
			}
		}
	}
	if i, err := Inspect(cmyk); !errors.Is(err, ErrColour) || i.Width != 16 || i.Components != 4 {
		t.Errorf("CMYK: %+v, %v", i, err)
	}
}

// What other readers take for granted must not change anything.
func TestSameDespite(t *testing.T) {
	m := drawn(70, 50, 3)
	base := encoded(t, m, 85)
	scan := segmentAt(t, base, sos)
	end := len(base) - 2
	for name, data := range map[string][]byte{
		"motion JPEG without tables": without(t, base, dht),
		"Adobe YCbCr":                insert(base, adobe(1)...),
		"fill bytes":                 insert(base, 0xff, 0xff, 0xff),
		"no EOI":                     base[:end],
		"more behind EOI":            append(bytes.Clone(base), base...),
		"more in the scan":           append(append(bytes.Clone(base[:end]), 1, 2, 3), 0xff, eoi),
		"bytes before the scan":      append(append(bytes.Clone(base[:scan]), 1, 2, 3), base[scan:]...),
		"stuffed twice":              bytes.ReplaceAll(base, []byte{0xff, 0}, []byte{0xff, 0xff, 0}),
		"comment":                    insert(base, 0xff, 0xfe, 0, 4, 0xff, 0xd8),
	} {
		for _, scale := range scales {
			want := whole(t, base, Options{Scale: scale})
			if got := whole(t, data, Options{Scale: scale}); !bytes.Equal(got.Y.Pix, want.Y.Pix) {
				t.Errorf("%s changes the picture at scale %d", name, scale)
			}
		}
	}
	rgb := insert(insert(base, adobe(0)...), append([]byte("\xff\xe0\x00\x10JFIF\x00\x01\x01"), make([]byte, 7)...)...)
	whole(t, rgb, Options{Scale: 8}) // JFIF means YCbCr, whatever Adobe says
}

// Usual tables hold for motion JPEG only, which is sequential.
func TestProgressiveWithoutTables(t *testing.T) {
	for name, data := range pictures(t) {
		if !strings.HasPrefix(name, "progressive-1x1") {
			continue
		}
		data = without(t, data, dht)
		if at := segmentAt(t, data, sos); at > 0 {
			if _, err := Read(data, Options{Scale: 8}); !errors.Is(err, ErrFormat) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
