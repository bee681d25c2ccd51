package carve

import (
	archivezip "archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	stdgif "image/gif"
	stdjpeg "image/jpeg"
	stdpng "image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tutela/internal/evidencetest"
)

// sample is a whole file and the ending it must be found with.
type sample struct {
	name, ext string
	bytes     []byte
}

// samples are files of every format: drawn here, made by ffmpeg, or of the
// public test images.
func samples(t testing.TB) []sample {
	all := []sample{
		{"drawn.jpg", "jpg", drawJPEG(t, 200, 150)},
		{"thumbnail.jpg", "jpg", withThumbnail(t, drawJPEG(t, 160, 120))},
		{"pair.jpg", "jpg", pairOfPictures(t)},
		{"motion.jpg", "jpg", append(drawJPEG(t, 64, 64), file(t, "testdata/plain.mp4")...)},
		{"samsung.jpg", "jpg", append(drawJPEG(t, 64, 64), samsungTrailer(file(t, "testdata/plain.mp4"))...)},
		{"drawn.png", "png", drawPNG(t, 120, 90)},
		{"drawn.gif", "gif", drawGIF(t)},
		{"drawn.bmp", "bmp", drawBMP(75, 50)},
		{"little.tif", "tif", drawTIFF(binary.LittleEndian)},
		{"big.tif", "tif", drawTIFF(binary.BigEndian)},
		{"still.heic", "heic", drawHEIC()},
		{"streamed.zip", "zip", drawZIP(t, "a.txt", "b/c.bin")},
		{"word.docx", "docx", drawZIP(t, "[Content_Types].xml", "word/document.xml")},
		{"text.odt", "odt", drawODT(t)},
		{"small.pdf", "pdf", drawPDF("\n")},
		{"updated.pdf", "pdf", updatePDF(drawPDF("\r\n"))},
	}
	for _, s := range []struct{ name, ext string }{
		{"testdata/plain.mp4", "mp4"}, {"testdata/fast.mp4", "mp4"}, {"testdata/fragments.mp4", "mp4"},
		{"testdata/camera.mov", "mov"}, {"testdata/phone.3gp", "3gp"}, {"testdata/film.avi", "avi"},
		{"testdata/film.mkv", "mkv"}, {"testdata/film.webm", "webm"}, {"testdata/live.webm", "webm"},
		{"testdata/lossy.webp", "webp"}, {"testdata/lossless.webp", "webp"}, {"testdata/moving.webp", "webp"},
		{"testdata/still.avif", "avif"}, {"testdata/progressive.jpg", "jpg"}, {"testdata/restarts.jpg", "jpg"},
		{"testdata/uneven.jpg", "jpg"}, {"testdata/grey.jpg", "jpg"}, {"testdata/arithmetic.jpg", "jpg"},
		{"testdata/linear.pdf", "pdf"},
	} {
		all = append(all, sample{filepath.Base(s.name), s.ext, file(t, s.name)})
	}
	return all
}

func named(t testing.TB, name string) sample {
	for _, s := range samples(t) {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no sample %s", name)
	return sample{}
}

// publicSamples are files of the public test images, some of megabytes.
func publicSamples(t testing.TB) (all []sample) {
	root := filepath.Join(evidencetest.Folder(t), "fslib", "ground_truth")
	for _, s := range []struct{ name, ext string }{
		{"image/alps.jpg", "jpg"}, {"image/alps.png", "png"}, {"image/alps.tiff", "tif"},
		{"container/Computer forensics - Wikipedia.zip", "zip"},
		{"document/Computer forensics - Wikipedia.pdf", "pdf"},
		{"document/Design_of_the_FAT_file_system.xlsx", "xlsx"},
		{"document/Digital forensics.docx", "docx"}, {"document/NTFS.pptx", "pptx"},
	} {
		all = append(all, sample{filepath.Base(s.name), s.ext, file(t, filepath.Join(root, s.name))})
	}
	return all
}

func file(t testing.TB, name string) []byte {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noise is what no format begins like, but by chance.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	rng.Read(b)
	return b
}

// draw is a picture that no encoder can make very small.
func draw(width, height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	rng := rand.New(rand.NewPCG(uint64(width), uint64(height)))
	for y := range height {
		for x := range width {
			n := uint8(rng.IntN(48))
			m.Set(x, y, color.RGBA{uint8(x) + n, uint8(y) + n, uint8(x*y/7) + n, 255})
		}
	}
	return m
}

func encoded(t testing.TB, encode func(io.Writer) error) []byte {
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func drawJPEG(t testing.TB, width, height int) []byte {
	return encoded(t, func(w io.Writer) error { return stdjpeg.Encode(w, draw(width, height), nil) })
}

func drawPNG(t testing.TB, width, height int) []byte {
	return encoded(t, func(w io.Writer) error { return stdpng.Encode(w, draw(width, height)) })
}

func drawGIF(t testing.TB) []byte {
	palette := color.Palette{color.Black, color.White, color.RGBA{200, 0, 0, 255}, color.RGBA{0, 0, 200, 255}}
	var all stdgif.GIF
	for n := range 3 {
		m := image.NewPaletted(image.Rect(0, 0, 60, 40), palette)
		for i := range m.Pix {
			m.Pix[i] = uint8((i*i + n) % 4)
		}
		all.Image, all.Delay = append(all.Image, m), append(all.Delay, 10)
	}
	return encoded(t, func(w io.Writer) error { return stdgif.EncodeAll(w, &all) })
}

// segment is a JPEG segment.
func segment(marker byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2)), body...)
}

// withThumbnail puts a small whole JPEG into a segment at the beginning, as
// cameras do.
func withThumbnail(t testing.TB, picture []byte) []byte {
	thumbnail := drawJPEG(t, 40, 30)
	exif := append([]byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00"), thumbnail...)
	return bytes.Join([][]byte{picture[:2], segment(0xe1, exif), picture[2:]}, nil)
}

// pairOfPictures is a JPEG whose Multi-Picture index names a second one.
func pairOfPictures(t testing.TB) []byte {
	first, second := drawJPEG(t, 100, 80), drawJPEG(t, 50, 40)
	const header = 2 + 4 + 4 // where the index's own TIFF header lies in the file
	index := func(size int) []byte {
		b := []byte("MPF\x00MM\x00*\x00\x00\x00\x08\x00\x01")
		b = append(b, 0xb0, 0x02, 0, 7, 0, 0, 0, 32, 0, 0, 0, 26, 0, 0, 0, 0)
		b = append(b, 0x20, 3, 0, 0)
		b = binary.BigEndian.AppendUint32(b, uint32(size))
		b = append(b, make([]byte, 8)...)
		b = append(b, 0, 2, 0, 2)
		b = binary.BigEndian.AppendUint32(b, uint32(len(second)))
		b = binary.BigEndian.AppendUint32(b, uint32(size-header))
		return segment(0xe2, append(b, make([]byte, 4)...))
	}
	size := len(first) + len(index(0))
	return bytes.Join([][]byte{first[:2], index(size), first[2:], second}, nil)
}

// samsungTrailer is a trailer of two fields, one of them a video.
func samsungTrailer(video []byte) []byte {
	field := func(kind uint16, name string, data []byte) []byte {
		b := binary.LittleEndian.AppendUint16([]byte{0, 0}, kind)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
		return append(append(b, name...), data...)
	}
	first, second := field(0xa30, "MotionPhoto_Data", video), field(0xa01, "Image_UTC_Data", []byte("1700000000000 SEFH"))
	b := append(bytes.Clone(first), second...)
	total := len(b)
	b = append(b, "SEFH\x6b\x00\x00\x00\x02\x00\x00\x00"...)
	for _, v := range []uint32{0xa30 << 16, uint32(total), uint32(len(first)), 0xa01 << 16, uint32(len(second)), uint32(len(second)), 36} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, "SEFT"...)
}

func drawBMP(width, height int) []byte {
	stride := (width*24 + 31) / 32 * 4
	b := []byte("BM")
	b = binary.LittleEndian.AppendUint32(b, uint32(54+stride*height))
	for _, v := range []uint32{0, 54, 40, uint32(width), uint32(height), 1 | 24<<16, 0, uint32(stride * height), 0, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, noise(stride*height, 5)...)
}

// drawTIFF is a picture of two strips, the directory at the end.
func drawTIFF(order binary.AppendByteOrder) []byte {
	const strip = 3000
	b := []byte("II*\x00")
	if order.String() == "BigEndian" {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8+2*strip)
	b = append(b, noise(2*strip, 6)...)
	directory := uint32(len(b))
	fields := [][4]uint32{
		{256, 4, 1, 100}, {257, 4, 1, 60}, {273, 4, 2, directory + 2 + 4*12 + 4}, {279, 4, 2, directory + 2 + 4*12 + 4 + 8},
	}
	b = order.AppendUint16(b, uint16(len(fields)))
	for _, f := range fields {
		b = order.AppendUint16(order.AppendUint16(b, uint16(f[0])), uint16(f[1]))
		b = order.AppendUint32(order.AppendUint32(b, f[2]), f[3])
	}
	b = order.AppendUint32(b, 0)
	for _, v := range []uint32{8, 8 + strip, strip, strip} {
		b = order.AppendUint32(b, v)
	}
	return b
}

func drawBox(kind string, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(all))), kind...), all...)
}

// drawHEIC are the boxes of a picture, of no codec.
func drawHEIC() []byte {
	return bytes.Join([][]byte{
		drawBox("ftyp", []byte("heic\x00\x00\x00\x00mif1heic")),
		drawBox("meta", make([]byte, 4), drawBox("hdlr", make([]byte, 24)), drawBox("pitm", make([]byte, 6)), drawBox("iloc", make([]byte, 30))),
		drawBox("mdat", noise(5000, 7)),
	}, nil)
}

func drawZIP(t testing.TB, names ...string) []byte {
	return encoded(t, func(w io.Writer) error {
		z := archivezip.NewWriter(w)
		for i, name := range names {
			f, err := z.Create(name)
			if err != nil {
				return err
			}
			f.Write(noise(3000+i, uint64(i)))
		}
		return z.Close()
	})
}

func drawODT(t testing.TB) []byte {
	return encoded(t, func(w io.Writer) error {
		z := archivezip.NewWriter(w)
		const kind = "application/vnd.oasis.opendocument.text"
		f, err := z.CreateRaw(&archivezip.FileHeader{
			Name: "mimetype", CompressedSize64: uint64(len(kind)), UncompressedSize64: uint64(len(kind)), CRC32: 0x0c32c65e,
		})
		if err != nil {
			return err
		}
		io.WriteString(f, kind)
		if f, err = z.Create("content.xml"); err != nil {
			return err
		}
		f.Write(noise(2000, 9))
		return z.Close()
	})
}

// drawPDF is a document of two objects, with one kind of line end after the last
// mark.
func drawPDF(lineEnd string) []byte {
	b := []byte("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Length 4000>>stream\n")
	b = append(b, noise(4000, 8)...)
	b = append(b, "\nendstream\nendobj\n"...)
	table := len(b)
	return fmt.Appendf(b, "xref\n0 3\n0000000000 65535 f \ntrailer\n<</Size 3/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF%s", table, lineEnd)
}

func updatePDF(b []byte) []byte {
	b = append(b, "2 0 obj\n<</Type/Pages/Count 0/Kids[]>>\nendobj\n"...)
	table := len(b)
	return fmt.Appendf(b, "xref\n2 1\n0000000000 00000 n \ntrailer\n<</Size 3/Root 1 0 R/Prev 99>>\nstartxref\n%d\n%%%%EOF", table)
}
