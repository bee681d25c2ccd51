package picture

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"tutela/internal/digest"
	"tutela/internal/pdq"
)

// TestAgainstImageMagick holds every pixel against another program's.
func TestAgainstImageMagick(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(string(file(t, "formats/expected.tsv"))), "\n")
	if len(lines) < 35 {
		t.Fatalf("%d files", len(lines))
	}
	for _, line := range lines {
		f := strings.Split(line, "\t")
		p, err := Decode(context.Background(), file(t, "formats/"+f[0]), Limits{})
		if err != nil {
			t.Errorf("%s: %v", f[0], err)
			continue
		}
		if got := sha256.Sum256(rawPixels(p.Image, f[1])); hex.EncodeToString(got[:]) != f[2] {
			t.Errorf("%s: other pixels than ImageMagick's", f[0])
		}
	}
}

// rawPixels are a picture's bytes without alpha.
func rawPixels(m image.Image, kind string) (out []byte) {
	if kind == "cmyk" {
		return m.(*image.CMYK).Pix
	}
	at := coloursOf(m)
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			r, g, b := at(x, y)
			out = append(out, r, g, b)
		}
	}
	return out
}

func TestLossyIsNear(t *testing.T) {
	plain := rawPixels(decode(t, file(t, "formats/none.tif")).Image, "")
	grey := rawPixels(decode(t, file(t, "formats/grey.tif")).Image, "")
	for name, want := range map[string][]byte{"jpeg.tif": plain, "grey-jpeg.tif": grey} {
		got := rawPixels(decode(t, file(t, "formats/"+name)).Image, "")
		if d := meanDifference(got, want); d > 3 {
			t.Errorf("%s: differs by %.1f in the mean", name, d)
		}
	}
}

func meanDifference(a, b []byte) float64 {
	if len(a) != len(b) {
		return 256
	}
	sum := 0
	for i := range a {
		sum += max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
	}
	return float64(sum) / float64(max(len(a), 1))
}

func TestUnsupportedIsNamed(t *testing.T) {
	for name, want := range map[string]string{"float.tif": "floating point", "fax3.tif": "fax", "hevc.heic": "HEIC", "av1.avif": "AVIF"} {
		_, err := Decode(context.Background(), file(t, "formats/"+name), Limits{})
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTypes: what the digest package calls these files is worth decoding.
func TestTypes(t *testing.T) {
	files, err := filepath.Glob("testdata/formats/*.*")
	if err != nil {
		t.Fatal(err)
	}
	heads := map[string][]byte{
		"raf": rafOf(nil), "orf": []byte("IIRO\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "rw2": []byte("IIU\x00\x18\x00\x00\x00"),
		"cr3": []byte("\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom"),
	}
	for _, name := range files {
		if base := filepath.Base(name); !strings.HasPrefix(base, "make") && !strings.HasPrefix(base, "README") && !strings.HasPrefix(base, "expected") {
			heads[base] = file(t, "formats/"+base)
		}
	}
	for name, data := range heads {
		if mime := digest.Type(data); !IsPicture(mime) {
			t.Errorf("%s is %s, which is not decoded", name, mime)
		}
	}
}

// TestCutIsAnError: no file of these decodes when it ends early.
func TestCutIsAnError(t *testing.T) {
	for _, name := range []string{"none.tif", "lzw.tif", "zip.tif", "packbits.tif", "jpeg.tif", "planar.tif", "tiled.tif", "fax4.tif",
		"bits24.bmp", "rle8.bmp", "os2.bmp", "ffmpeg565.bmp", "large.ico", "none.psd", "rle.psd"} {
		data := file(t, "formats/"+name)
		for _, n := range []int{8, 26, 40, len(data) / 3, len(data) * 2 / 3} {
			if _, err := Decode(context.Background(), data[:n], Limits{}); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s cut to %d bytes: %v", name, n, err)
			}
		}
	}
}

// TestRunLengths reads bitmaps that were encoded by hand.
func TestRunLengths(t *testing.T) {
	for _, test := range []struct {
		name string
		bits uint16
		runs string
		want string // rows from the top
	}{
		{"runs", 8, "\x03\x01\x01\x02\x00\x00\x04\x03\x00\x01", "3333 1112"},
		{"a literal, padded", 8, "\x00\x03\x01\x02\x03\x00\x01\x00\x00\x00\x04\x01\x00\x01", "1111 1230"},
		{"a jump", 8, "\x01\x02\x00\x02\x01\x01\x02\x01\x00\x01", "0011 2000"},
		{"runs of nibbles", 4, "\x04\x12\x00\x00\x03\x30\x01\x10\x00\x01", "3031 1212"},
		{"a literal of nibbles", 4, "\x00\x04\x12\x30\x00\x00\x04\x11\x00\x01", "1111 1230"},
		{"beside the picture", 8, "\xff\x01\x00\x00\xff\x02\x00\x01", "2222 1111"},
	} {
		data := dibOf(40, 4, 2, test.bits, uint32(map[uint16]int{8: dibRLE8, 4: dibRLE4}[test.bits]), test.runs)
		p, err := Decode(context.Background(), data, Limits{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		m, got := p.Image.(*image.Paletted), ""
		for i, v := range m.Pix {
			if i == 4 {
				got += " "
			}
			got += string('0' + rune(v))
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// dibOf is a BMP file with a palette of black if it needs one.
func dibOf(head uint32, w, h int32, bits uint16, compression uint32, pixels string) []byte {
	le := binary.LittleEndian
	colours := uint32(0)
	if bits <= 8 {
		colours = 4 << bits
	}
	b := le.AppendUint32([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00"), 14+head+colours)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, head), uint32(w)), uint32(h))
	b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, 1), bits), compression)
	b = append(b, make([]byte, 14+head+colours-uint32(len(b)))...)
	return append(b, pixels...)
}

// TestFax reads a line of eight white pixels (10011) between ends of lines, in
// both orders of bits: ITU-T T.4, table 2.
func TestFax(t *testing.T) {
	line := []byte("\x00\x19\x80\x08\x00\x80\x08\x00\x80\x08\x00\x80")
	for order, data := range map[uint32][]byte{1: line, 2: reverseBits(line)} {
		fields := append(bare(8, 1, tiffFax3, 1), long(tagFillOrder, order), field{tagStripOffsets, 4, 1, 200, nil}, long(tagStripBytes, uint32(len(data))))
		fields[4].value = tiffWhiteIsZero
		head := tiffOf("II*\x00", fields...)
		p, err := Decode(context.Background(), append(append(head, make([]byte, 200-len(head))...), data...), Limits{})
		if err != nil || !bytes.Equal(rawPixels(p.Image, ""), bytes.Repeat([]byte{255}, 24)) {
			t.Errorf("%v, %v", p, err)
		}
	}
}

func TestTopDown(t *testing.T) {
	up := decode(t, dibOf(40, 1, 2, 24, 0, "\x01\x02\x03\x00\x04\x05\x06\x00")).Image.(*image.NRGBA)
	down := decode(t, dibOf(40, 1, -2, 24, 0, "\x01\x02\x03\x00\x04\x05\x06\x00")).Image.(*image.NRGBA)
	if !bytes.Equal(up.Pix, []byte{6, 5, 4, 255, 3, 2, 1, 255}) || !bytes.Equal(down.Pix, []byte{3, 2, 1, 255, 6, 5, 4, 255}) {
		t.Errorf("%v %v", up.Pix, down.Pix)
	}
}

func TestMasks(t *testing.T) {
	for _, test := range []struct{ mask, v, want uint32 }{
		{0x7c00, 0x7c00, 255}, {0x7c00, 0x4000, 132}, {0xf800, 0x1800, 24}, {0x3, 0x2, 170}, {0x3e0, 0, 0}, {0xff000000, 0x80123456, 128}, {0, 0xffffffff, 0}, {0xffffffff, 0xffffffff, 255}, {0x3ff00000, 0x3ff00000, 255},
	} {
		if got := channelOf(test.mask).of(test.v); uint32(got) != test.want {
			t.Errorf("mask %#x of %#x: %d, want %d", test.mask, test.v, got, test.want)
		}
	}
}

// photo is a JPEG of a size.
func photo(t testing.TB, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	src := decode(t, file(t, "video-001.png"))
	for y := range h {
		for x := range w {
			m.Set(x, y, src.Image.At(x*src.Width/w, y*src.Height/h))
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// field is one of a TIFF directory; data longer than 4 bytes is put behind.
type field struct {
	tag, kind uint16
	count     uint32
	value     uint32
	data      []byte
}

// tiffOf makes a file with one directory, which may lead on to below.
func tiffOf(magic string, fields ...field) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte(magic), 8)
	b = le.AppendUint16(b, uint16(len(fields)))
	behind := uint32(8 + 2 + 12*len(fields) + 4)
	var tail []byte
	for _, f := range fields {
		b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, f.tag), f.kind), f.count)
		if f.data == nil {
			b = le.AppendUint32(b, f.value)
			continue
		}
		b = le.AppendUint32(b, behind+uint32(len(tail)))
		tail = append(tail, f.data...)
	}
	return append(append(b, 0, 0, 0, 0), tail...)
}

func long(tag uint16, v uint32) field { return field{tag, 4, 1, v, nil} }

// withPreview appends a JPEG and points to it.
func withPreview(magic string, jpeg []byte, at, length uint16, more ...field) []byte {
	empty := tiffOf(magic, append(more, long(at, 0), long(length, 0))...)
	return append(tiffOf(magic, append(more, long(at, uint32(len(empty))), long(length, uint32(len(jpeg))))...), jpeg...)
}

// rawWithCopy leads from a small copy to a directory of sensor values.
func rawWithCopy() []byte {
	le := binary.LittleEndian
	maker := field{tagMake, 2, 6, 0, []byte("NIKON\x00")}
	b := tiffOf("II*\x00", append(bare(2, 1, tiffNone, 8), long(tagSubfileType, 1), maker, long(tagStripOffsets, 8), long(tagStripBytes, 2))...)
	le.PutUint32(b[8+2+12*9:], uint32(len(b))) // the next directory
	raw := tiffOf("II*\x00", bare(100, 100, 34713, 14)...)
	le.PutUint32(raw[8+2+12*4+8:], colourFilterArray)
	return append(b, raw[8:]...)
}

func rafOf(jpeg []byte) []byte {
	b := make([]byte, 100)
	copy(b, "FUJIFILMCCD-RAW 0201")
	binary.BigEndian.PutUint32(b[84:], 100)
	binary.BigEndian.PutUint32(b[88:], uint32(len(jpeg)))
	return append(b, jpeg...)
}

// box is one of ISO/IEC 14496-12.
func box(kind string, body ...[]byte) []byte {
	b := bytes.Join(body, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(b))), kind...), b...)
}

func cr3Of(small, large []byte) []byte {
	ftyp := box("ftyp", []byte("crx \x00\x00\x00\x01crx isom"))
	prvw := box("uuid", []byte(previewUUID), make([]byte, 8), box("PRVW", make([]byte, 16), small))
	moov := func(at uint64) []byte {
		co64 := binary.BigEndian.AppendUint64([]byte("\x00\x00\x00\x00\x00\x00\x00\x01"), at)
		stsz := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(len(large)))
		return box("moov", box("trak", box("mdia", box("minf", box("stbl", box("stsz", stsz, []byte{0, 0, 0, 1}), box("co64", co64))))))
	}
	at := len(ftyp) + len(moov(0)) + len(prvw) + 8
	return bytes.Join([][]byte{ftyp, moov(uint64(at)), prvw, box("mdat", large)}, nil)
}

// heifOf has an item that is a JPEG, and EXIF with a thumbnail.
func heifOf(item, thumbnail []byte) []byte {
	exif := append(make([]byte, 4), withPreview("II*\x00", thumbnail, tagJPEGOffset, tagJPEGBytes)...)
	infe := func(id byte, kind string) []byte {
		return box("infe", []byte{2, 0, 0, 0, 0, id, 0, 0}, []byte(kind), []byte{0})
	}
	iinf := box("iinf", []byte{0, 0, 0, 0, 0, 3}, infe(1, "hvc1"), infe(2, "jpeg"), infe(3, "Exif"))
	meta := func(at uint32) []byte {
		loc := []byte{0, 0, 0, 0, 0x44, 0, 0, 2}
		for id, b := range [][]byte{item, exif} {
			loc = append(loc, 0, byte(2+id), 0, 0, 0, 1)
			loc = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(loc, at), uint32(len(b)))
			at += uint32(len(b))
		}
		return box("meta", []byte{0, 0, 0, 0}, iinf, box("iloc", loc))
	}
	ftyp := box("ftyp", []byte("heic\x00\x00\x00\x00mif1heic"))
	at := len(ftyp) + len(meta(0)) + 8
	return bytes.Join([][]byte{ftyp, meta(uint32(at)), box("mdat", item, exif)}, nil)
}

func psdWithThumbnail(jpeg []byte, merged byte) []byte {
	resource := func(id uint16, body []byte) []byte {
		b := binary.BigEndian.AppendUint16([]byte("8BIM"), id)
		b = binary.BigEndian.AppendUint32(append(b, 0, 0), uint32(len(body)))
		b = append(b, body...)
		return append(b, make([]byte, len(body)%2)...)
	}
	resources := append(resource(psdThumbnail, append(make([]byte, 28), jpeg...)), resource(psdVersion, []byte{0, 0, 0, 1, merged})...)
	return psdOf(psdRGB, 2, 1, nil, resources, "\x00\x00\x01\x02\x03\x04\x05\x06")
}

// psdOf is a file of 8 bits without layers.
func psdOf(mode uint16, w, h uint32, palette, resources []byte, data string) []byte {
	be := binary.BigEndian
	channels := map[uint16]uint16{psdRGB: 3, psdCMYK: 4}[mode]
	b := be.AppendUint16([]byte("8BPS\x00\x01\x00\x00\x00\x00\x00\x00"), max(channels, 1))
	b = be.AppendUint16(be.AppendUint16(be.AppendUint32(be.AppendUint32(b, h), w), 8), mode)
	b = append(be.AppendUint32(b, uint32(len(palette))), palette...)
	b = append(be.AppendUint32(b, uint32(len(resources))), resources...)
	return append(append(b, 0, 0, 0, 0), data...)
}

// TestPreviews: files of cameras and others give their largest JPEG.
func TestPreviews(t *testing.T) {
	small, large := photo(t, 160, 120), photo(t, 400, 300)
	maker := field{tagMake, 2, 6, 0, []byte("NIKON\x00")}
	filters := long(tagPhotometric, colourFilterArray)
	var icon bytes.Buffer
	if err := png.Encode(&icon, decode(t, large).Image); err != nil {
		t.Fatal(err)
	}
	strip := withPreview("II*\x00", large, tagStripOffsets, tagStripBytes, long(tagCompression, 6), filters)
	hidden := append(append(tiffOf("IIRO", maker), "\xff\xd8\xff\x00 no picture "...), large...)
	for _, test := range []struct {
		name, of string
		data     []byte
		width    int
	}{
		{"NEF", "NIKON raw file", withPreview("II*\x00", large, tagJPEGOffset, tagJPEGBytes, maker, filters), 400},
		{"DNG", "DNG", withPreview("II*\x00", large, tagJPEGOffset, tagJPEGBytes, field{tagDNGVersion, 1, 4, 4, nil}), 400},
		{"CR2", "raw file", strip, 400},
		{"ORF", "Olympus ORF", hidden, 400},
		{"RW2", "Panasonic RW2", tiffOf("IIU\x00", field{tagPanasonic, 7, uint32(len(large)), 0, large}), 400},
		{"RAF", "Fujifilm RAF", rafOf(large), 400},
		{"CR3", "Canon CR3", cr3Of(small, large), 400},
		{"CR3 without its picture", "Canon CR3", cr3Of(small, []byte("raw")), 160},
		{"HEIC", "HEIC", heifOf(large, small), 400},
		{"HEIC with EXIF alone", "HEIC", heifOf([]byte("hevc"), small), 160},
		{"old TIFF", "TIFF", withPreview("II*\x00", large, tagJPEGOffset, tagJPEGBytes, long(tagCompression, 6)), 400},
		{"Photoshop without layers put together", "Photoshop file", psdWithThumbnail(small, 0), 160},
		{"Photoshop", "", psdWithThumbnail(small, 1), 2},
		{"icon", "icon", iconOf(icon.Bytes()), 400},
		{"NEF with a small copy alone", "NIKON raw file", rawWithCopy(), 2},
	} {
		p, err := Decode(context.Background(), test.data, Limits{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		_, of, _ := strings.Cut(p.Decoder, ", preview of ")
		if p.Width != test.width || of != test.of {
			t.Errorf("%s: %d pixels wide by %s", test.name, p.Width, p.Decoder)
		}
		if got, want := hashOfFile(t, test.data), hashOfFile(t, large); test.width == 400 && pdq.Distance(got, want) != 0 {
			t.Errorf("%s: another hash than its preview's", test.name)
		}
	}
}

func hashOfFile(t *testing.T, data []byte) [32]byte {
	t.Helper()
	p, err := Perceptual(context.Background(), data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return p.PDQ
}

func iconOf(picture []byte) []byte {
	b := append([]byte("\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x01\x00\x20\x00"), binary.LittleEndian.AppendUint32(nil, uint32(len(picture)))...)
	return append(append(b, 22, 0, 0, 0), picture...)
}

func TestPhotoshopModes(t *testing.T) {
	palette := make([]byte, 768)
	palette[1], palette[256+1], palette[512+1] = 10, 20, 30
	for _, test := range []struct {
		name string
		data []byte
		want color.Color
	}{
		{"indexed", psdOf(psdIndexed, 1, 1, palette, nil, "\x00\x00\x01"), color.NRGBA{10, 20, 30, 255}},
		{"ink", psdOf(psdCMYK, 1, 1, nil, nil, "\x00\x00\xff\xf0\x80\x00"), color.CMYK{0, 15, 127, 255}},
		{"grey, packed", psdOf(psdGrey, 1, 1, nil, nil, "\x00\x01\x00\x02\x00\x07"), color.Gray{7}},
	} {
		p, err := Decode(context.Background(), test.data, Limits{})
		if err != nil || p.Image.At(0, 0) != test.want {
			t.Errorf("%s: %v, %v", test.name, p, err)
		}
	}
}

// TestPages: the first page that is not a small copy of another.
func TestPages(t *testing.T) {
	p := decode(t, file(t, "formats/pages.tif"))
	if !bytes.Equal(rawPixels(p.Image, ""), rawPixels(decode(t, file(t, "formats/none.tif")).Image, "")) {
		t.Error("not the first page")
	}
}

func TestOrientation(t *testing.T) {
	small := photo(t, 40, 30)
	exif := append([]byte("Exif\x00\x00"), tiffOf("II*\x00", field{tagOrientation, 3, 1, 6, nil})...)
	segment := append([]byte{0xff, 0xe1, 0, byte(2 + len(exif))}, exif...)
	turned := append(append([]byte{0xff, 0xd8}, segment...), small[2:]...)
	chunk := append(append([]byte{0, 0, 0, byte(len(exif) - 6)}, "eXIf"...), exif[6:]...)
	for name, test := range map[string]struct {
		data []byte
		want int
	}{
		"JPEG": {turned, 6}, "JPEG without": {small, 1}, "TIFF": {exif[6:], 6}, "nothing": {nil, 1},
		"PNG":      {append(append([]byte("\x89PNG\r\n\x1a\n"), chunk...), 0, 0, 0, 0), 6},
		"WebP":     {riff("EXIF", exif), 6},
		"nonsense": {tiffOf("II*\x00", field{tagOrientation, 3, 1, 9, nil}), 1},
	} {
		if got := orientation(test.data); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// TestMutants changes bytes of every file, most of them in its head: no panic, no
// picture beyond the limits.
func TestMutants(t *testing.T) {
	files, err := filepath.Glob("testdata/formats/*.*")
	if err != nil {
		t.Fatal(err)
	}
	small := photo(t, 40, 30)
	seeds := [][]byte{rafOf(small), cr3Of(small, small), heifOf(small, small), psdWithThumbnail(small, 0), iconOf(small), rawWithCopy()}
	for _, name := range files {
		seeds = append(seeds, file(t, "formats/"+filepath.Base(name)))
	}
	r := rand.New(rand.NewPCG(6, 1))
	limits := Limits{Pixels: 1 << 16, Memory: 1 << 20}
	for _, seed := range seeds {
		for range 150 {
			data := bytes.Clone(seed)
			for range 1 + r.IntN(4) {
				at := r.IntN(len(data))
				if r.IntN(3) > 0 {
					at = r.IntN(min(len(data), 200))
				}
				data[at] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(r.Uint32())}[r.IntN(6)]
			}
			p, err := Decode(context.Background(), data, limits)
			if err != nil && (!errors.Is(err, ErrNotDecoded) || strings.Contains(err.Error(), "panicked")) {
				t.Fatalf("%v in %x", err, data[:min(len(data), 200)])
			}
			if err == nil && int64(p.Width)*int64(p.Height) > limits.Pixels {
				t.Fatalf("%d×%d got past the limits", p.Width, p.Height)
			}
		}
	}
}

// FuzzFormats looks for panics in the parsers behind Decode, with small limits.
func FuzzFormats(f *testing.F) {
	files, err := filepath.Glob("testdata/formats/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		if data := file(f, "formats/"+filepath.Base(name)); len(data) < 12_000 {
			f.Add(data)
		}
	}
	small := photo(f, 40, 30)
	for _, data := range [][]byte{rafOf(small), cr3Of(small, small), heifOf(small, small), psdWithThumbnail(small, 0), iconOf(small),
		withPreview("II*\x00", small, tagJPEGOffset, tagJPEGBytes, long(tagPhotometric, colourFilterArray))} {
		f.Add(data)
	}
	limits := Limits{Pixels: 1 << 18, Memory: 4 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		orientation(data)
		p, err := Decode(context.Background(), data, limits)
		if err != nil {
			if !errors.Is(err, ErrNotDecoded) || strings.Contains(err.Error(), "panicked") {
				t.Errorf("%v", err)
			}
			return
		}
		if _, err := Thumbnail(p.Image, 1); err != nil {
			t.Errorf("%v", err)
		}
		if l := p.Luma(); len(l.Pix) != l.Width*l.Height {
			t.Errorf("%d×%d", l.Width, l.Height)
		}
	})
}
