package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"runtime"
	"testing"
)

// hostile pictures ask for far more than they hold, or lie.
var hostile = []struct {
	name string
	data []byte
	want error
}{
	{"PNG of 61 bytes that asks for 1.6 GB", pngOf(20000, 20000, 8, 6, 0), ErrTooLarge},
	{"PNG of 2³¹−1 by 2³¹−1", pngOf(1<<31-1, 1<<31-1, 16, 6, 1), ErrTooLarge},
	{"PNG of 2³²−1 by 1", pngOf(1<<32-1, 1, 8, 2, 0), ErrDamaged},
	{"PNG without pixels", pngOf(0, 5, 8, 2, 0), ErrDamaged},
	{"PNG of no colour type", pngOf(5, 5, 8, 7, 0), ErrDamaged},
	{"PNG of 0 bits", pngOf(5, 5, 0, 2, 0), ErrDamaged},
	{"JPEG of 27 KB that asks for 6.4 GB", append(jpegOf(0xc2, 0xffff, 0xffff, 0x22, 0x11, 0x11), make([]byte, 27<<10)...), ErrTooLarge},
	{"JPEG of few bytes and many pixels", jpegOf(0xc0, 5000, 5000, 0x11), ErrTooLarge},
	{"JPEG without height", jpegOf(0xc0, 100, 0, 0x11), ErrDamaged},
	{"JPEG of arithmetic code", jpegOf(0xc9, 10, 10, 0x11), ErrUnsupported},
	{"JPEG without loss", jpegOf(0xc3, 10, 10, 0x11), ErrUnsupported},
	{"JPEG whose data come first", []byte("\xff\xd8\xff\xda\x00\x02"), ErrDamaged},
	{"JPEG whose frame is cut", []byte("\xff\xd8\xff\xc0\x00\x11\x08"), ErrDamaged},
	{"JPEG of 30,000 scans", append(jpegOf(0xc2, 100, 100, 0x11), bytes.Repeat([]byte("\xff\xda"), 30_000)...), ErrTooLarge},
	{"GIF whose frame is huge", gifOf(0xffff, 0xffff, 0xffff, 0xffff, ""), ErrTooLarge},
	{"GIF without frame", []byte("GIF89a\x05\x00\x05\x00\x00\x00\x00;______"), ErrDamaged},
	{"GIF whose extension hides a frame", gifOf(0xffff, 0xffff, 1, 1, "!\x01\x00"), ErrDamaged},
	{"WebP of VP8L that asks for 1 GB", riff("VP8L", []byte("\x2f\xff\xff\xff\x0f")), ErrTooLarge},
	{"WebP of VP8 that asks for 400 MB", riff("VP8 ", []byte("\x10\x00\x00\x9d\x01\x2a\xff\x3f\xff\x3f")), ErrTooLarge},
	{"WebP whose canvas lies", append(riff("VP8X", []byte("\x00\x00\x00\x00\x01\x00\x00\x01\x00\x00")), "VP8L\x05\x00\x00\x00\x2f\x00\x00\x00\x00\x00"...), ErrDamaged},
	{"WebP whose chunk is longer than the file", append(riff("VP8 ", nil)[:16], 0xf0, 0xff, 0xff, 0x7f, 0, 0), ErrDamaged},
	{"WebP that moves", riff("ANMF", make([]byte, 16)), ErrUnsupported},
	{"BMP that asks for 3.25 TB", dibOf(40, 950_000, 950_000, 32, 0, ""), ErrDamaged},
	{"BMP of 2³¹−1 by −2³¹", dibOf(40, 1<<31-1, -1<<31, 24, 0, ""), ErrDamaged},
	{"BMP of run lengths that asks for 3.6 GB", dibOf(40, 60_000, 60_000, 8, dibRLE8, "\x00\x01"), ErrTooLarge},
	{"BMP of few runs and many pixels", dibOf(40, 5000, 5000, 8, dibRLE8, "\x00\x01"), ErrTooLarge},
	{"BMP of negative width", dibOf(40, -5, 5, 24, 0, ""), ErrDamaged},
	{"BMP of 7 bits", dibOf(40, 5, 5, 7, 0, string(make([]byte, 99))), ErrUnsupported},
	{"BMP that is a JPEG", dibOf(40, 5, 5, 24, dibJPEG, ""), ErrUnsupported},
	{"BMP whose pixels begin behind its end", append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x7f"), dibOf(40, 1, 1, 24, 0, "1234")[14:]...), ErrDamaged},
	{"icon that asks for 16 GB", iconOf(dibOf(40, 1<<16, 1<<17, 32, 0, "")[14:]), ErrDamaged},
	{"TIFF of 2³⁰ by 2³⁰", bareTIFF(1<<30, 1<<30, tiffDeflate, 8, 10), ErrTooLarge},
	{"TIFF of few bytes and many pixels", bareTIFF(10_000, 10_000, tiffDeflate, 8, 10), ErrTooLarge},
	{"TIFF of run lengths that asks for 2.4 GB", bareTIFF(49_000, 49_000, tiffPackBits, 8, 10), ErrTooLarge},
	{"TIFF of an empty fax", bareTIFF(200_000, 200_000, tiffFax4, 1, 10), ErrTooLarge},
	{"TIFF whose strip lies behind its end", bareTIFF(10, 10, tiffNone, 8, 1<<31), ErrDamaged},
	{"TIFF whose strips are one", tiffOf("II*\x00", append(bare(10, 2, tiffDeflate, 8), long(tagRowsPerStrip, 1), field{tagStripOffsets, 4, 2, 0, []byte("\x08\x00\x00\x00\x08\x00\x00\x00")}, field{tagStripBytes, 4, 2, 0, []byte("\x60\x00\x00\x00\x60\x00\x00\x00")})...), ErrDamaged},
	{"TIFF of a million strips", tiffOf("II*\x00", append(bare(1, 1<<22, tiffDeflate, 8), long(tagRowsPerStrip, 1))...), ErrTooLarge},
	{"TIFF of a huge tile", tiffOf("II*\x00", append(bare(10, 10, tiffDeflate, 8), long(tagTileWidth, 1<<29), long(tagTileHeight, 1<<29))...), ErrDamaged},
	{"TIFF without rows in its strips", tiffOf("II*\x00", append(bare(10, 10, tiffDeflate, 8), long(tagRowsPerStrip, 0))...), ErrDamaged},
	{"TIFF whose directory is its own", []byte("II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00"), ErrDamaged},
	{"TIFF of 64 bits a sample", bareTIFF(10, 10, tiffNone, 64, 10), ErrUnsupported},
	{"TIFF of JPEG 2000", bareTIFF(10, 10, 34712, 8, 10), ErrUnsupported},
	{"raw file whose preview asks for 6.4 GB", rafOf(jpegOf(0xc2, 0xffff, 0xffff, 0x22, 0x11, 0x11)), ErrUnsupported},
	{"HEIC whose item asks for 6.4 GB", heifOf(jpegOf(0xc0, 0xffff, 0xffff, 0x22, 0x11, 0x11), nil), ErrUnsupported},
	{"Photoshop file of 90,000 by 90,000", psdOf(psdGrey, 90_000, 90_000, nil, nil, "\x00\x01"+string(make([]byte, 180_000))), ErrTooLarge},
	{"Photoshop file without its pixels", psdOf(psdRGB, 30_000, 30_000, nil, nil, "\x00\x00"), ErrDamaged},
	{"Photoshop file of Lab", psdOf(9, 10, 10, nil, nil, "\x00\x00"), ErrUnsupported},
	{"BigTIFF", []byte("II+\x00\x08\x00\x00\x00\x10\x00\x00\x00"), ErrUnsupported},
	{"JPEG 2000", []byte("\x00\x00\x00\x0cjP  \r\n\x87\n"), ErrUnsupported},
	{"JPEG XL", []byte("\xff\x0a\xfa\x7f"), ErrUnsupported},
	{"PNG as Xcode rewrites it", append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x04CgBI"), make([]byte, 20)...), ErrUnsupported},
}

// pngOf is a header and an empty IDAT and IEND: 8+25+16+12 = 61 bytes.
func pngOf(w, h uint32, depth, colour, interlace byte) []byte {
	ihdr := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	out := []byte("\x89PNG\r\n\x1a\n")
	for _, c := range []struct {
		name string
		data []byte
	}{{"IHDR", append(ihdr, depth, colour, 0, 0, interlace)}, {"IDAT", []byte("\x78\x9c\x03\x00")}, {"IEND", nil}} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(c.data)))
		body := append([]byte(c.name), c.data...)
		out = binary.BigEndian.AppendUint32(append(out, body...), crc32.ChecksumIEEE(body))
	}
	return out
}

func jpegOf(marker byte, w, h uint16, sampling ...byte) []byte {
	out := []byte{0xff, 0xd8, 0xff, 0xe0, 0, 4, 'J', 'F', 0xff, 0xff, marker, 0, byte(8 + 3*len(sampling)), 8}
	out = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(out, h), w)
	out = append(out, byte(len(sampling)))
	for i, s := range sampling {
		out = append(out, byte(i+1), s, 0)
	}
	return out
}

func gifOf(screenW, screenH, w, h uint16, extension string) []byte {
	out := []byte("GIF89a")
	out = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(out, screenW), screenH)
	out = append(out, 0x80, 0, 0, 0, 0, 0, 255, 255, 255)
	out = append(out, extension...)
	out = append(out, ',', 0, 0, 0, 0)
	out = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(out, w), h)
	return append(out, 0, 2, 0)
}

func riff(chunk string, data []byte) []byte {
	body := binary.LittleEndian.AppendUint32([]byte("WEBP"+chunk), uint32(len(data)))
	body = append(body, data...)
	if len(data)%2 == 1 {
		body = append(body, 0)
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// bare are the fields that every TIFF has, of one grey sample.
func bare(w, h, compression, bits uint32) []field {
	return []field{long(tagWidth, w), long(tagHeight, h), long(tagBits, bits), long(tagCompression, compression), long(tagPhotometric, 1)}
}

func bareTIFF(w, h, compression, bits, length uint32) []byte {
	return append(tiffOf("II*\x00", append(bare(w, h, compression, bits), long(tagStripOffsets, 8), long(tagStripBytes, length))...), make([]byte, 20)...)
}

func TestHostile(t *testing.T) {
	for _, test := range hostile {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decode(context.Background(), test.data, Limits{})
			runtime.ReadMemStats(&after)
			if !errors.Is(err, test.want) || !errors.Is(err, ErrNotDecoded) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
				t.Errorf("%d bytes allocated for %d", grown, len(test.data))
			}
		})
	}
}

func TestJPEGMemory(t *testing.T) {
	size := image.Pt(1000, 800)
	ycc := []byte{1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1}
	for _, test := range []struct {
		components       []byte
		progressive, rgb bool
		want             int64
	}{
		{[]byte{1, 0x11, 0}, false, false, 1000 * 800},
		{ycc, false, false, 1008 * 800 * 3 / 2},
		{ycc, true, false, 1008 * 800 * 3 / 2 * 5},
		{[]byte{'R', 0x11, 0, 'G', 0x11, 0, 'B', 0x11, 0}, false, true, 1000 * 800 * 7},
		{[]byte{1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1, 4, 0x11, 1}, false, false, 1000 * 800 * 8},
	} {
		if got := jpegMemory(size, test.components, test.progressive, test.rgb); got != test.want {
			t.Errorf("%v: %d bytes, want %d", test.components, got, test.want)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, h := range hostile {
		f.Add(h.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range formats() {
			if !format.is(data) {
				continue
			}
			h, err := format.header(data)
			if err != nil && !errors.Is(err, ErrNotDecoded) {
				t.Errorf("error of no class: %v", err)
			}
			if err == nil && h.check(int64(len(data)), Limits{}) == nil && h.frame.X*h.frame.Y > 250e6 {
				t.Errorf("%v got past the limits", h.frame)
			}
		}
	})
}
