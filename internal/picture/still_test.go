package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"tutela"
)

// shades is a decoder that makes each frame of one shade, by its number. Those
// below first it leaves out.
type shades struct {
	first int
	err   error
	asked *Coded
}

func (s *shades) Decode(_ context.Context, c *Coded, put func(number int, pixels []byte)) (string, error) {
	s.asked = c
	put(-1, nil)
	put(len(c.Frames), make([]byte, c.FrameBytes()))
	put(0, nil)
	for i := len(c.Frames) - 1; i >= s.first; i-- {
		pixels := bytes.Repeat([]byte{shade(i)}, c.FrameBytes())
		put(i, pixels)
		put(i, make([]byte, c.FrameBytes())) // once more is once too many
	}
	return "shades", s.err
}

func shade(number int) byte { return byte(40 + 7*number) }

// drawing is what a HEIF file is built from.
type drawing struct {
	kinds   []string         // of the items 1, 2, …
	bytes   map[int][]byte   // in the file
	inside  map[int][]byte   // in idat
	dimg    map[int][]uint16 // what items are made of
	props   [][]byte         // boxes
	links   map[int][]byte   // numbers of props, from 1
	primary uint16
}

// full is a box with version and flags.
func full(kind string, version uint32, parts ...any) []byte {
	return box(kind, numbers(version), numbers(parts...))
}

// numbers are written one behind the other, and texts.
func numbers(parts ...any) (b []byte) {
	for _, p := range parts {
		if text, ok := p.(string); ok {
			p = []byte(text)
		}
		var err error
		if b, err = binary.Append(b, binary.BigEndian, p); err != nil {
			panic(err)
		}
	}
	return b
}

func ispe(width, height uint32) []byte { return full("ispe", 0, width, height) }

func gridOf(columns, rows uint8, width, height uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte{0, 0, rows - 1, columns - 1}, width), height)
}

func (d *drawing) file() []byte {
	ftyp := box("ftyp", []byte("heic\x00\x00\x00\x00mif1heic"))
	at := uint32(len(ftyp) + len(d.meta(0)) + 8)
	var content []byte
	for i := range d.kinds {
		content = append(content, d.bytes[i+1]...)
	}
	return bytes.Join([][]byte{ftyp, d.meta(at), box("mdat", content)}, nil)
}

func (d *drawing) meta(at uint32) []byte {
	var infe, dimg, ipma, iloc, idat []byte
	for i, kind := range d.kinds {
		id := uint16(i + 1)
		infe = append(infe, full("infe", 2<<24, id, uint16(0), kind, uint8(0))...)
		if to := d.dimg[i+1]; to != nil {
			dimg = append(dimg, box("dimg", numbers(id, uint16(len(to)), to))...)
		}
		ipma = append(ipma, numbers(id, uint8(len(d.links[i+1])), d.links[i+1])...)
		method, from, b := uint16(0), at, d.bytes[i+1]
		if b == nil {
			method, from, b = 1, uint32(len(idat)), d.inside[i+1]
			idat = append(idat, b...)
		} else {
			at += uint32(len(b))
		}
		iloc = append(iloc, numbers(id, method, uint16(0), uint16(1), from, uint32(len(b)))...)
	}
	count := uint16(len(d.kinds))
	return full("meta", 0,
		full("pitm", 0, d.primary), full("iinf", 0, count, infe), full("iloc", 1<<24, uint16(0x4400), count, iloc),
		box("iprp", box("ipco", d.props...), full("ipma", 0, uint32(count), ipma)), full("iref", 0, dimg), box("idat", idat))
}

// gridDrawing is a grid of 3×2 tiles of 64×48 pixels.
func gridDrawing() *drawing {
	d := &drawing{
		bytes: map[int][]byte{}, inside: map[int][]byte{7: gridOf(3, 2, 171, 81)}, dimg: map[int][]uint16{7: {1, 2, 3, 4, 5, 6}},
		props: [][]byte{box("hvcC", []byte("config")), ispe(64, 48), ispe(171, 81)}, links: map[int][]byte{7: {3}}, primary: 7,
	}
	for i := 1; i <= 6; i++ {
		d.kinds = append(d.kinds, "hvc1")
		d.bytes[i], d.links[i] = []byte(fmt.Sprintf("tile %d", i)), []byte{0x81, 2}
	}
	d.kinds = append(d.kinds, "grid")
	return d
}

func clap(n ...int32) []byte {
	var b []byte
	for _, v := range n {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return box("clap", b)
}

// with gives the primary item another property.
func (d *drawing) with(props ...[]byte) *drawing {
	for _, p := range props {
		d.props = append(d.props, p)
		d.links[int(d.primary)] = append(d.links[int(d.primary)], byte(len(d.props)))
	}
	return d
}

// Tiles lie where the grid has them, as far as the picture and its crop reach.
func TestGrid(t *testing.T) {
	nclx := box("colr", []byte("nclx\x00\x01\x00\x01\x00\x09\x80"))
	crop := clap(101, 1, 60, 1, -20, 2, 1, 2) // from x = 25, y = 11
	for name, c := range map[string]struct {
		d    *drawing
		crop image.Rectangle
	}{
		"whole":   {gridDrawing().with(box("colr", []byte("prof, of another")), nclx), image.Rect(0, 0, 171, 81)},
		"cropped": {gridDrawing().with(nclx, crop), image.Rect(25, 11, 126, 71)},
	} {
		d := &shades{}
		s, err := openStill(c.d.file(), Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, findings, err := s.decode(context.Background(), d)
		if err != nil || len(findings) > 0 || p.Width != c.crop.Dx() || p.Height != c.crop.Dy() || p.Image.Bounds() != c.crop || p.Decoder != "shades" {
			t.Fatalf("%s: %v %v %+v", name, err, findings, p)
		}
		if a := d.asked; a.Coding != "hevc" || string(a.Config) != "config" || a.Width != 64 || a.Height != 48 || string(a.Frames[4]) != "tile 5" || a.Colour != (Colour{true, 9, true}) {
			t.Errorf("%s: %+v", name, a)
		}
		m := p.Image.(*image.YCbCr)
		for y := c.crop.Min.Y; y < c.crop.Max.Y; y++ {
			for x := c.crop.Min.X; x < c.crop.Max.X; x++ {
				want := shade(y/48*3 + x/64)
				if got := m.YCbCrAt(x, y); got.Y != want || got.Cb != want || got.Cr != want {
					t.Fatalf("%s: %v at %d, %d, want %d", name, got, x, y, want)
				}
			}
		}
	}
}

// Frames that were not decoded are told, and all the others shown.
func TestGridWithHoles(t *testing.T) {
	data := gridDrawing().file()
	v, err := Looker{Decoder: &shades{first: 2}}.Look(context.Background(), data, Ask{Thumbnail: true})
	if err != nil || fmt.Sprint(v.Findings) != "[damaged: 2 of 6 parts of the picture could not be decoded]" || v.Perceptual.Width != 171 {
		t.Errorf("%v %+v", err, v)
	}
	if _, err := (Looker{Decoder: &shades{first: 6}}).Look(context.Background(), data, Ask{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
	data = data[:len(data)-3]
	v, err = Looker{Decoder: &shades{}}.Look(context.Background(), data, Ask{})
	if err != nil || len(v.Findings) != 1 || v.Findings[0].Code != tutela.FindingTruncated {
		t.Errorf("%v %v", err, v.Findings)
	}
}

// A file whose picture cannot be had shows its preview.
func TestStillOrPreview(t *testing.T) {
	large := heifOf(photo(t, 160, 120), nil)
	d := gridDrawing()
	d.kinds, d.bytes[8] = append(d.kinds, "jpeg"), photo(t, 160, 120)
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		data    []byte
		decoder Decoder
		finding string
	}{
		"no decoder":     {d.file(), nil, "[]"},
		"no coding":      {large, &shades{}, "[not-decoded: picture not decoded: damaged: HEIC without a picture]"},
		"decoder failed": {d.file(), &shades{err: failed}, "[not-decoded: HEIC: failed]"},
	} {
		v, err := Looker{Decoder: c.decoder}.Look(context.Background(), c.data, Ask{})
		if err != nil || v.Perceptual.Width != 160 || fmt.Sprint(v.Findings) != c.finding {
			t.Errorf("%s: %v %+v", name, err, v)
		}
	}
	if _, err := (Looker{Decoder: &shades{err: failed}}).Look(context.Background(), gridDrawing().file(), Ask{}); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
}

// Turns follow each other as pixels do.
func TestTurnsFollow(t *testing.T) {
	start := &small{width: 3, height: 2}
	start.pix[0] = []byte("abcdef")
	for first := 1; first <= 8; first++ {
		for then := 1; then <= 8; then++ {
			want := start.turned(first).turned(then)
			got := start.turned(turned(first, then))
			if string(got.pix[0]) != string(want.pix[0]) || got.width != want.width {
				t.Errorf("%d and %d: %s, want %s", first, then, got.pix[0], want.pix[0])
			}
		}
	}
}

// How items are shown, one in another.
func TestShown(t *testing.T) {
	irot := func(n byte) []byte { return box("irot", []byte{n}) }
	imir := func(n byte) []byte { return box("imir", []byte{n}) }
	single := func() *drawing {
		return &drawing{kinds: []string{"hvc1", "iden"}, bytes: map[int][]byte{1: []byte("frame")}, dimg: map[int][]uint16{2: {1}},
			props: [][]byte{ispe(64, 48), clap(60, 1, 40, 1, 0, 1, 0, 1), irot(1)}, links: map[int][]byte{1: {1, 2, 3}}, primary: 2}
	}
	whole, inner := image.Rect(0, 0, 171, 81), image.Rect(2, 4, 62, 44)
	for name, c := range map[string]struct {
		d           *drawing
		orientation int
		crop        image.Rectangle
	}{
		"plain":                    {gridDrawing(), 1, whole},
		"a quarter":                {gridDrawing().with(irot(1)), 8, whole},
		"three quarters":           {gridDrawing().with(irot(3)), 6, whole},
		"top to bottom":            {gridDrawing().with(imir(0)), 4, whole},
		"left to right":            {gridDrawing().with(imir(1)), 2, whole},
		"a half, mirrored":         {gridDrawing().with(irot(2), imir(1)), 4, whole},
		"in another":               {single(), 8, inner},
		"in another, turned back":  {single().with(irot(3)), 1, inner},
		"crop behind a turn":       {gridDrawing().with(irot(2), clap(9, 1, 9, 1, 0, 1, 0, 1)), 3, whole},
		"crop of nothing":          {gridDrawing().with(clap(9, 0, 9, 1, 0, 1, 0, 1)), 1, whole},
		"crop larger than all":     {gridDrawing().with(clap(math.MaxInt32, 1, 9, 1, 0, 1, 0, 1)), 1, whole},
		"crop far away":            {gridDrawing().with(clap(9, 1, 9, 1, math.MaxInt32, 1, math.MinInt32, 1)), 1, whole},
		"crop partly outside":      {gridDrawing().with(clap(171, 1, 81, 1, 10, 1, 10, 1)), 1, image.Rect(10, 10, 171, 81)},
		"crop without its numbers": {gridDrawing().with(clap(9, 1)), 1, whole},
	} {
		s, err := openStill(c.d.file(), Limits{})
		if err != nil || s.orientation != c.orientation || s.crop != c.crop {
			t.Errorf("%s: %v %+v", name, err, s)
		}
	}
}

// What does not hold together, or asks for too much, is refused.
func TestHostileStills(t *testing.T) {
	edit := func(change func(d *drawing)) []byte {
		d := gridDrawing()
		change(d)
		return d.file()
	}
	many := make([]uint16, 256*17)
	for i := range many {
		many[i] = 1
	}
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"no meta", box("ftyp", []byte("heic\x00\x00\x00\x00mif1heic")), ErrDamaged},
		{"primary that is none", edit(func(d *drawing) { d.primary = 9 }), ErrDamaged},
		{"unknown kind", edit(func(d *drawing) { d.kinds[6] = "iovl" }), ErrUnsupported},
		{"tiles of an unknown kind", edit(func(d *drawing) { d.kinds[0] = "j2k1" }), ErrUnsupported},
		{"tiles of two kinds", edit(func(d *drawing) { d.kinds[3] = "av01" }), ErrUnsupported},
		{"tiles of two sizes", edit(func(d *drawing) { d.links[3] = []byte{1, 3} }), ErrUnsupported},
		{"grid of itself", edit(func(d *drawing) { d.dimg[7] = []uint16{7, 7, 7, 7, 7, 7} }), ErrUnsupported},
		{"grid of fewer", edit(func(d *drawing) { d.dimg[7] = []uint16{1, 2} }), ErrDamaged},
		{"grid that ends", edit(func(d *drawing) { d.inside[7] = []byte{0, 0, 1, 2, 0} }), ErrDamaged},
		{"grid larger than its tiles", edit(func(d *drawing) { d.inside[7] = gridOf(3, 2, 193, 81) }), ErrDamaged},
		{"grid smaller than its tiles", edit(func(d *drawing) { d.inside[7] = gridOf(3, 2, 171, 48) }), ErrDamaged},
		{"grid of nothing", edit(func(d *drawing) { d.inside[7] = gridOf(3, 2, 0, 0) }), ErrDamaged},
		{"grid of too many", edit(func(d *drawing) { d.inside[7], d.dimg[7] = gridOf(0, 17, 9000, 800), many }), ErrTooLarge},
		{"tiles that share bytes", edit(func(d *drawing) {
			d.inside[7], d.dimg[7] = gridOf(0, 16, 16384, 768), many[:256*16]
			d.bytes[1] = make([]byte, 100)
		}), ErrDamaged},
		{"tiles without a size", edit(func(d *drawing) { d.props[1] = ispe(0, 48) }), ErrDamaged},
		{"tiles of a size that ends", edit(func(d *drawing) { d.props[1] = box("ispe", []byte{0}) }), ErrDamaged},
		{"tiles far too large", edit(func(d *drawing) { d.props[1] = ispe(1<<31, 48) }), ErrDamaged},
		{"more pixels than are decoded", edit(func(d *drawing) { d.props[1], d.primary = ispe(65535, 65535), 1 }), ErrTooLarge},
		{"more pixels than bytes hold", edit(func(d *drawing) { d.props[1], d.primary = ispe(15000, 15000), 1 }), ErrTooLarge},
		{"an item that is itself", edit(func(d *drawing) { d.kinds[6], d.dimg[7] = "iden", []uint16{7} }), ErrUnsupported},
		{"cut off before its frames", gridDrawing().file()[:len(gridDrawing().file())-6*len("tile 1")], ErrDamaged},
	} {
		s, err := openStill(c.data, Limits{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v %v", c.name, err, s)
		}
	}
	if _, err := openStill(gridDrawing().file(), Limits{Memory: 20 << 10}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// Boxes that announce more than is kept cost no more.
func TestHeifIsBounded(t *testing.T) {
	b := make([]byte, 1<<20)
	h := openHEIF(nil)
	h.readPlaces(append([]byte{2, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, b...)) // numbers of no bytes
	h.readLinks(append([]byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{0, 1, 255}, 1<<18)...))
	one := append([]byte{2, 0, 0, 0, 0, 0, 0, 0, 0, 9}, bytes.Repeat([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff}, 9)...)
	h.readPlaces(one) // 65,535 pieces each
	for range 40 {
		h.inProperties("ipco", bytes.Repeat(box("free"), 4000))
		h.readKinds(append(make([]byte, 6), bytes.Repeat(full("infe", 2<<24, uint16(1), uint16(0), "hvc1"), 4000)...))
	}
	if len(h.places) > mostItems || h.extents > mostExtents || h.links > mostLinks || len(h.properties) > mostItems {
		t.Errorf("%d places, %d extents, %d links, %d properties", len(h.places), h.extents, h.links, len(h.properties))
	}
	pieces := &heif{data: make([]byte, 100), places: map[uint32]place{1: {extents: []extent{{0, 60}, {10, 60}}}, 2: {extents: []extent{{90, 60}}}}}
	if got := pieces.bytes(1); got != nil {
		t.Errorf("%d bytes of pieces that overlap", len(got))
	}
	if got := pieces.bytes(2); len(got) != 10 || !pieces.cut {
		t.Errorf("%d bytes of a piece that reaches out", len(got))
	}
}

// tolerating holds files that may be anything against what is promised; pictures of
// one make are put together once.
type tolerating map[string]bool

func (had tolerating) file(t *testing.T, data []byte) {
	t.Helper()
	if !NeedsDecoder(data) {
		return
	}
	limits := Limits{Pixels: 1 << 18, Memory: 2 << 20}
	s, err := openStill(data, limits)
	if err != nil {
		if !errors.Is(err, ErrNotDecoded) {
			t.Fatalf("%v", err)
		}
		return
	}
	if n := s.size.X * s.size.Y; n > 1<<18 || s.codedBytes() > int64(len(data)) || len(s.Frames) > mostTiles {
		t.Fatalf("%d pixels of %d frames of %d bytes got past the limits", n, len(s.Frames), s.codedBytes())
	}
	like := fmt.Sprint(s.Width, s.Height, s.columns, len(s.Frames), s.size, s.crop, s.orientation)
	if had[like] {
		return
	}
	had[like] = true
	p, _, err := s.decode(context.Background(), &shades{})
	if err != nil {
		if !errors.Is(err, ErrNotDecoded) {
			t.Fatalf("%v", err)
		}
		return
	}
	if _, err := Thumbnail(p.Image, s.orientation); err != nil {
		t.Fatalf("%v", err)
	}
	if l := p.Luma(); len(l.Pix) != l.Width*l.Height {
		t.Fatalf("%d×%d", l.Width, l.Height)
	}
}

// Mutants of files that encoders wrote: each byte before the frames in three other
// ways, and cut off there.
func TestStillMutants(t *testing.T) {
	had := tolerating{}
	for _, name := range []string{"both.heic", "cropped.heic", "turned.avif", "grid.avif"} {
		data := file(t, "stills/"+name)
		end := bytes.Index(data, []byte("mdat"))
		for at := range end {
			for _, flip := range []byte{1, 0x80, 0xff} {
				mutant := bytes.Clone(data)
				mutant[at] ^= flip
				had.file(t, mutant)
			}
			if at%4 == 0 {
				had.file(t, data[:at])
			}
		}
	}
}

// TestStillsAreRead: of every file the frames are found, as many as it was made
// of.
func TestStillsAreRead(t *testing.T) {
	names, err := filepath.Glob("testdata/stills/*.*i[cf]")
	if err != nil || len(names) != 13 {
		t.Fatalf("%v %v", names, err)
	}
	for _, name := range names {
		s, err := openStill(file(t, "stills/"+filepath.Base(name)), Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := 1
		if strings.Contains(name, "grid") || strings.HasSuffix(name, "heic") && s.size.X == 371 {
			want = 6
		}
		if len(s.Frames) != want || s.codedBytes() == 0 || s.cut || len(s.Config) == 0 {
			t.Errorf("%s: %d frames, want %d", name, len(s.Frames), want)
		}
	}
}

func FuzzStill(f *testing.F) {
	for _, name := range []string{"both.heic", "cropped.heic", "turned.avif"} {
		data := file(f, "stills/"+name)
		f.Add(data[:min(len(data), 1500)])
	}
	f.Add(gridDrawing().file())
	f.Fuzz(func(t *testing.T, data []byte) { tolerating{}.file(t, data) })
}

func BenchmarkOpenStill(b *testing.B) {
	data := file(b, "stills/grid.heic")
	for b.Loop() {
		if _, err := openStill(data, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
