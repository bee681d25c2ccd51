package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Some files carry their pictures as others: the raw files of cameras and HEIC a
// JPEG preview, icons a PNG, old TIFF a JPEG. Of those the largest that a decoder
// here takes stands for the file, and the decoder's name says of what it is a
// preview.

// part is the picture inside a file.
type part struct {
	data []byte
	of   string // "Canon CR2"; empty if the file is the picture
}

// decoder adds to a decoder's name of what it saw the preview.
func (p part) decoder(name string) string {
	if p.of == "" {
		return name
	}
	return name + ", preview of " + p.of
}

// locate finds the picture in a file. A file that holds none that is known is
// itself what is tried.
func locate(data []byte) (part, error) {
	switch {
	case isTIFF(data):
		return locateInTIFF(data), nil
	case isRAF(data):
		return preview(data, "Fujifilm RAF", locateInRAF)
	case isBMFF(data):
		return locateInBMFF(data)
	case isIcon(data):
		return locateInIcon(data), nil
	case isPSD(data):
		return locateInPSD(data), nil
	}
	for _, u := range unread {
		if bytes.HasPrefix(data, []byte(u.magic)) {
			return part{}, fmt.Errorf("%w: %s", ErrUnsupported, u.name)
		}
	}
	return part{data: data}, nil
}

// unread are pictures that are known by name only.
var unread = []struct{ magic, name string }{
	{"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"},
	{"\xff\x4f\xff\x51", "JPEG 2000"},
	{"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"},
	{"\xff\x0a", "JPEG XL"},
	{"II\xbc", "JPEG XR"},
	{"II+\x00", "BigTIFF"},
	{"MM\x00+", "BigTIFF"},
}

// preview takes the largest of what find offers.
func preview(data []byte, of string, find func(*previews)) (part, error) {
	p := &previews{data: data}
	find(p)
	if p.best == nil {
		return part{}, fmt.Errorf("%w: %s without a JPEG preview", ErrUnsupported, of)
	}
	return part{p.best, of}, nil
}

// mostPreviews of a file are looked at.
const mostPreviews = 256

// previews keeps the largest of the JPEG pictures it is offered. Those that no
// decoder here takes, such as the lossless ones in which cameras store their
// sensor's values, are passed over.
type previews struct {
	data   []byte
	best   []byte
	pixels int64
	tried  int
}

// offer looks at a range of the file, which may be nonsense.
func (p *previews) offer(at, length int64) {
	size := int64(len(p.data))
	if p.tried >= mostPreviews || at < 0 || at >= size || length < 4 {
		return
	}
	p.tried++
	data := p.data[at : at+min(length, size-at)]
	if n := jpegPixels(data); n > p.pixels {
		p.best, p.pixels = data, n
	}
}

// jpegPixels counts the pixels of a JPEG that a decoder here takes, 0 of any
// other.
func jpegPixels(data []byte) (n int64) {
	segments(data, func(marker byte, body []byte) bool {
		if !isFrame(marker) {
			return true
		}
		h, err := jpegFrame(marker, body, nil)
		if err == nil && h.check(int64(len(data)), Limits{}) == nil {
			n = int64(h.frame.X) * int64(h.frame.Y)
		}
		return false
	})
	return n
}

// search offers every place in the file that looks like the beginning of a JPEG:
// for the previews that makers hide in notes of their own.
func (p *previews) search() {
	for at := 0; ; {
		i := bytes.Index(p.data[at:], []byte("\xff\xd8\xff"))
		if i < 0 {
			return
		}
		at += i
		p.offer(int64(at), int64(len(p.data)-at))
		at += 3
	}
}

func isTIFF(data []byte) bool {
	_, ok := openTIFF(data)
	return ok
}

// locateInTIFF: a raw file of a camera, or a TIFF whose picture is a JPEG of the
// old kind (compression 6), gives its largest preview. Other TIFF is what it is.
func locateInTIFF(data []byte) part {
	t, _ := openTIFF(data)
	of := rawName(t)
	if of == "" {
		return part{data: data}
	}
	p := &previews{data: data}
	t.directories(p.inDirectory)
	if p.best == nil {
		p.search()
	}
	if p.best == nil {
		return part{data, of} // it may have a small copy without compression
	}
	return part{p.best, of}
}

// inDirectory offers what a directory points to.
func (p *previews) inDirectory(d directory) {
	if at := d.number(tagJPEGOffset, 0); at > 0 {
		p.offer(int64(at), int64(d.number(tagJPEGBytes, 0)))
	}
	if kind, b := d.value(tagPanasonic); kind == 7 && len(b) > 4 {
		if n := jpegPixels(b); n > p.pixels {
			p.best, p.pixels = b, n
		}
	}
	compression := d.number(tagCompression, 0)
	at, length := d.numbers(tagStripOffsets, 2), d.numbers(tagStripBytes, 2)
	if (compression == 6 || compression == 7) && len(at) == 1 && len(length) == 1 {
		p.offer(int64(at[0]), int64(length[0]))
	}
}

// Photometric interpretations of sensors' values: TIFF/EP, DNG.
const (
	colourFilterArray = 32803
	linearRaw         = 34892
)

// rawName names what kind of raw file it is, "" if it is none. Cameras' files are
// TIFF; their sensors' values betray them.
func rawName(t tiff) (name string) {
	switch string(t.data[:4]) {
	case "IIRO", "IIRS", "MMOR":
		return "Olympus ORF"
	case "IIU\x00":
		return "Panasonic RW2"
	}
	if len(t.data) > 10 && string(t.data[8:10]) == "CR" {
		return "Canon CR2"
	}
	maker := ""
	t.directories(func(d directory) {
		if kind, b := d.value(tagMake); kind == 2 && maker == "" {
			maker = printable(b)
		}
		if _, b := d.value(tagDNGVersion); b != nil {
			name = "DNG"
		}
		if name != "" {
			return
		}
		switch d.number(tagPhotometric, 0) {
		case colourFilterArray, linearRaw:
			name = "raw file"
		}
		if d.number(tagCompression, 0) == 6 && d.number(tagJPEGOffset, 0) > 0 && name == "" && d.number(tagSubfileType, 0)&1 == 0 && maker == "" {
			name = "TIFF"
		}
	})
	if name == "raw file" && maker != "" {
		return maker + " raw file"
	}
	return name
}

// printable is what a maker calls itself, as far as it is harmless to print.
func printable(b []byte) string {
	b = b[:min(len(b), 32)]
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c < ' ' || c > '~' {
			break
		}
		out = append(out, c)
	}
	return string(bytes.TrimSpace(out))
}

// Fujifilm's raw files begin with where their JPEG is.

func isRAF(data []byte) bool { return bytes.HasPrefix(data, []byte("FUJIFILMCCD-RAW")) }

func locateInRAF(p *previews) {
	if len(p.data) >= 92 {
		p.offer(int64(binary.BigEndian.Uint32(p.data[84:])), int64(binary.BigEndian.Uint32(p.data[88:])))
	}
}
