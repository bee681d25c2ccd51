package archive_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidencetest"
)

const smaller = "\xff\xd8\xff\xdb\x00\x04ab and what follows of a thumbnail\xff\xd9"

type tiffField struct {
	tag, kind    uint16
	count, value uint32
}

// tiffDirectory lays out fields at offset, and the offset of the next.
func tiffDirectory(order binary.AppendByteOrder, next uint32, fields ...tiffField) string {
	b := order.AppendUint16(nil, uint16(len(fields)))
	for _, f := range fields {
		b = order.AppendUint16(order.AppendUint16(b, f.tag), f.kind)
		b = order.AppendUint32(b, f.count)
		if f.kind == 3 {
			b = append(order.AppendUint16(b, uint16(f.value)), 0, 0)
		} else {
			b = order.AppendUint32(b, f.value)
		}
	}
	return string(order.AppendUint32(b, next))
}

func tiffHeader(order binary.AppendByteOrder, first uint32) string {
	mark := "II"
	if order.AppendUint16(nil, 1)[0] == 0 {
		mark = "MM"
	}
	return mark + string(order.AppendUint32(order.AppendUint16(nil, 42), first))
}

// exif is Exif data with a thumbnail in its second directory, or none.
func exif(order binary.AppendByteOrder, thumbnail string) string {
	b := tiffHeader(order, 8)
	if thumbnail == "" {
		return b + tiffDirectory(order, 0, tiffField{0x112, 3, 1, 1})
	}
	b += tiffDirectory(order, 26, tiffField{0x112, 3, 1, 1})
	return b + tiffDirectory(order, 0, tiffField{0x201, 4, 1, 56}, tiffField{0x202, 4, 1, uint32(len(thumbnail))}) + thumbnail
}

func segment(kind byte, body string) string {
	return "\xff" + string([]byte{kind}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)+2))) + body
}

// photoshop is a resource of Photoshop.
func photoshop(id uint16, name, data string) string {
	b := "8BIM" + string(binary.BigEndian.AppendUint16(nil, id)) + string([]byte{byte(len(name))}) + name
	if len(name)%2 == 0 {
		b += "\x00"
	}
	b += string(binary.BigEndian.AppendUint32(nil, uint32(len(data)))) + data
	if len(data)%2 == 1 {
		b += "\x00"
	}
	return b
}

const scanOfPicture = "\xff\xda\x00\x04xx and the picture itself\xff\xd9"

// cameraJPEG has a picture inside in each way there is.
func cameraJPEG(order binary.AppendByteOrder) string {
	mpf := tiffHeader(order, 8) + tiffDirectory(order, 0, tiffField{0xb002, 7, 32, 26})
	resources := photoshop(1005, "odd", "resolution") + photoshop(1036, "", strings.Repeat("h", 28)+smaller+"3")
	build := func(behind uint32) string {
		entries := string(order.AppendUint32(order.AppendUint32(order.AppendUint32(nil, 0x30000), 100), 0)) + "\x00\x00\x00\x00"
		entries += string(order.AppendUint32(order.AppendUint32(order.AppendUint32(nil, 0x10001), uint32(len(smaller)+1)), behind)) + "\x00\x00\x00\x00"
		return "\xff\xd8" + segment(0xe1, "Exif\x00\x00"+exif(order, smaller)) + segment(0xe0, "JFXX\x00\x10"+smaller+"2") +
			segment(0xed, "Photoshop 3.0\x00"+resources) + segment(0xe2, "MPF\x00"+mpf+entries) + scanOfPicture
	}
	whole := build(0)
	at := strings.Index(whole, "MPF\x00") + 4
	return build(uint32(len(whole)-at)) + smaller + "4"
}

// rawPhoto is TIFF as cameras write it: a chain of two directories, and one
// below the first.
func rawPhoto() string {
	order := binary.LittleEndian
	lossless := "\xff\xd8\xff\xc3\x00\x04ab" + strings.Repeat("raw", 200)
	preview := smaller + strings.Repeat("p", 300)
	const first, second, below, data = 8, 100, 200, 300
	b := tiffHeader(order, first) + tiffDirectory(order, second, tiffField{0x103, 3, 1, 6}, tiffField{0x111, 4, 1, data}, tiffField{0x117, 4, 1, uint32(len(preview))}, tiffField{0x14a, 4, 1, below})
	b += strings.Repeat("\x00", second-len(b)) + tiffDirectory(order, first, tiffField{0x201, 4, 1, uint32(data + len(preview))}, tiffField{0x202, 4, 1, uint32(len(smaller))})
	b += strings.Repeat("\x00", below-len(b)) + tiffDirectory(order, 0, tiffField{0x103, 3, 1, 7}, tiffField{0x111, 4, 1, uint32(data + len(preview) + len(smaller))}, tiffField{0x117, 4, 1, uint32(len(lossless))})
	return b + strings.Repeat("\x00", data-len(b)) + preview + smaller + lossless
}

func photoshopFile() string {
	resources := photoshop(1005, "", "r") + photoshop(1036, "", strings.Repeat("h", 28)+smaller)
	size := string(binary.BigEndian.AppendUint32(nil, uint32(len(resources))))
	return "8BPS\x00\x01" + strings.Repeat("\x00", 20) + "\x00\x00\x00\x03abc" + size + resources + "layers"
}

func TestPicturesInPictures(t *testing.T) {
	var all strings.Builder
	for _, f := range []file{
		{"le.jpg", cameraJPEG(binary.LittleEndian)},
		{"be.jpg", cameraJPEG(binary.BigEndian)},
		{"lost.jpg", "\xff\xd8" + segment(0xe1, "Exif\x00\x00"+exif(binary.LittleEndian, "no picture")) + scanOfPicture},
		{"raw.dng", rawPhoto()},
		{"photo.psd", photoshopFile()},
		{"in.zip", string(makeZip(t, 8, file{"DCIM/1.jpg", cameraJPEG(binary.LittleEndian)}))},
	} {
		fmt.Fprint(&all, list(t, f.name, []byte(f.content), evidence.Limits{}))
	}
	evidencetest.GoldenText(t, "thumbnails", all.String())
}

// A JPEG file is opened only where its first bytes tell of another picture.
func TestFewPicturesAreOpened(t *testing.T) {
	le := binary.LittleEndian
	for name, tc := range map[string]struct {
		head string
		want archive.Format
	}{
		"bare":         {jpeg, ""},
		"exif alone":   {"\xff\xd8" + segment(0xe1, "Exif\x00\x00"+exif(le, "")) + scanOfPicture, ""},
		"thumbnail":    {"\xff\xd8" + segment(0xe1, "Exif\x00\x00"+exif(le, smaller)) + scanOfPicture, "jpeg"},
		"behind jfif":  {"\xff\xd8" + segment(0xe0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00") + segment(0xe1, "Exif\x00\x00"+exif(le, smaller)), "jpeg"},
		"far":          {"\xff\xd8" + segment(0xe1, "Exif\x00\x00"+tiffHeader(le, 5000)+strings.Repeat(" ", 5000)), "jpeg"},
		"no order":     {"\xff\xd8" + segment(0xe1, "Exif\x00\x00XX*\x00\x08\x00\x00\x00"), ""},
		"exif cut off": {"\xff\xd8\xff\xe1\x40\x00Exif\x00\x00II", ""},
	} {
		if got := archive.Detect([]byte(tc.head)[:min(len(tc.head), archive.HeadBytes)]); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestThumbnailMutants(t *testing.T) {
	for _, content := range []string{cameraJPEG(binary.BigEndian), rawPhoto(), photoshopFile()} {
		evidencetest.Mutants(t, openMembers(nil, evidence.Keys{}), []byte(content), tutela.Run{Length: 300})
	}
}

func FuzzThumbnails(f *testing.F) {
	fuzzDamage(f, nil, evidence.Keys{}, []byte(cameraJPEG(binary.LittleEndian)), []byte(rawPhoto()), bytes.Clone([]byte(photoshopFile())))
}
