package digest

import (
	"strings"
	"testing"

	"github.com/gabriel-vasile/mimetype"
)

// prose is text of the kind that fills disks.
var prose = strings.Repeat("On the third day the river rose, and the mill stood still.\nNobody minded much.\n", 50)

var typed = []struct{ head, want string }{
	{"", TypeEmpty},
	{"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01", "image/jpeg"},
	{"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01", "image/png"},
	{"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "image/gif"},
	{"GIF87a\x01\x00\x01\x00\x00\x00\x00;", "image/gif"},
	{"RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00", "image/webp"},
	{"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00", "audio/wav"},
	{"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"},
	{"PK\x03\x04\x14\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00a.txt", "application/zip"},
	{"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "application/gzip"},
	{"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "video/mp4"},
	{"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  ", "video/quicktime"},
	{"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "image/heic"},
	{"SQLite format 3\x00\x10\x00\x01\x01", "application/vnd.sqlite3"},
	{prose, "text/plain"},
	{"a", "text/plain"},
	{"Grüße aus Köln\r\n", "text/plain"},
	{"<!DOCTYPE html><html><body></body></html>", "text/html"},
	{`<?xml version="1.0"?><a/>`, "text/xml"},
	{`{"a": [1, 2, 3]}`, "application/json"},
	{"name,size\na,1\nb,2\n", "text/csv"},
	{"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00", "application/x-executable"},
	{"7z\xbc\xaf\x27\x1c\x00\x04", "application/x-7z-compressed"},
	{string(make([]byte, 5000)), "application/octet-stream"},
	{"\x01\x02\x03\x04\x05\x06\x07\x0e\x0f\x10\x11\x12\x13\x14\x15\x16", "application/octet-stream"},
	{"\xff\xd8", "text/plain"}, // too short to be anything, and no byte that text could not have
}

func TestType(t *testing.T) {
	for _, test := range typed {
		if got := Type([]byte(test.head)); got != test.want {
			t.Errorf("Type(%.20q) = %s, want %s", test.head, got, test.want)
		}
	}
}

// TestTypeAgreesWithTheSlowWay holds what we recognise ourselves against the
// module that recognises the rest.
func TestTypeAgreesWithTheSlowWay(t *testing.T) {
	for _, test := range typed[1:] {
		slow := mimetype.Detect([]byte(test.head))
		if got := Type([]byte(test.head)); !slow.Is(got) {
			t.Errorf("Type(%.20q) = %s, mimetype says %s", test.head, got, slow)
		}
	}
}

// TestPicturesOthersMiss: those of cameras and of OS/2 are named here alone.
func TestPicturesOthersMiss(t *testing.T) {
	for head, want := range map[string]string{
		"FUJIFILMCCD-RAW 0201FF389501":                                                 "image/x-fuji-raf",
		"IIRO\x08\x00\x00\x00\x0d\x00":                                                 "image/x-olympus-orf",
		"IIU\x00\x18\x00\x00\x00":                                                      "image/x-panasonic-rw2",
		"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom":                             "image/x-canon-cr3",
		"BM\xf6\x1e\x00\x00\x00\x00\x00\x00\x1a\x00\x00\x00\x0c\x00\x00\x00=\x00+\x00": "image/bmp",
	} {
		if got := Type([]byte(head)); got != want {
			t.Errorf("Type(%.12q) = %s, want %s", head, got, want)
		}
	}
}

func FuzzType(f *testing.F) {
	for _, test := range typed {
		f.Add([]byte(test.head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		got := Type(head)
		if !strings.Contains(got, "/") || strings.ContainsAny(got, "; ") {
			t.Errorf("Type = %q", got)
		}
	})
}

func BenchmarkType(b *testing.B) {
	for name, head := range map[string][]byte{
		"text": []byte(prose), "noise": noise(1, TypeBytes), "jpeg": []byte(typed[1].head),
		"json": []byte(`[` + strings.Repeat(`{"key": "value", "n": 12.5},`, 200)), "zeros": make([]byte, TypeBytes),
		"zip": append([]byte(typed[8].head), noise(2, TypeBytes)...), "numbers": []byte(strings.Repeat("1.5,2.5\n", 400)),
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				Type(head)
			}
		})
	}
}
