package digest

import (
	"bytes"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// TypeBytes is how many bytes from a content's beginning [Type] looks at, at
// most.
const TypeBytes = 3072

// TypeEmpty is the type of a content without bytes, named as file(1) names it.
const TypeEmpty = "inode/x-empty"

// Type names a content by its first bytes as a MIME type without parameters:
// "application/octet-stream" where nothing is recognised, [TypeEmpty] where
// there is nothing. It never looks at a name, and what it says is a guess that
// hostile content can steer.
func Type(head []byte) string {
	head = head[:min(len(head), TypeBytes)]
	if len(head) == 0 {
		return TypeEmpty
	}
	if t := common(head); t != "" {
		return t
	}
	return bare(mimetype.Detect(head).String())
}

// bare cuts parameters: "text/plain; charset=utf-8" is "text/plain".
func bare(mime string) string {
	mime, _, _ = strings.Cut(mime, ";")
	return mime
}

// magics are beginnings that decide the type alone. Containers whose type
// depends on what is inside (zip, OLE, RIFF, XML …) are not among them.
var magics = []struct{ magic, mime string }{
	{"\xff\xd8\xff", "image/jpeg"},
	{"\x89PNG\r\n\x1a\n", "image/png"},
	{"GIF87a", "image/gif"},
	{"GIF89a", "image/gif"},
	{"%PDF-", "application/pdf"},
	{"\x1f\x8b\x08", "application/gzip"},
	{"SQLite format 3\x00", "application/vnd.sqlite3"},
	{"ID3", "audio/mpeg"},
	{"FUJIFILMCCD-RAW", "image/x-fuji-raf"}, // named as shared-mime-info names them
	{"IIRO", "image/x-olympus-orf"},
	{"IIRS", "image/x-olympus-orf"},
	{"MMOR", "image/x-olympus-orf"},
	{"IIU\x00\x18\x00\x00\x00", "image/x-panasonic-rw2"},
}

// brands are what an ISO base media file (ISO/IEC 14496-12, 4.3) calls itself,
// as far as the major brand decides.
var brands = map[string]string{
	"isom": "video/mp4", "iso2": "video/mp4", "iso4": "video/mp4", "iso5": "video/mp4", "iso6": "video/mp4",
	"mp41": "video/mp4", "mp42": "video/mp4", "avc1": "video/mp4", "MSNV": "video/mp4",
	"M4V ": "video/x-m4v", "M4A ": "audio/x-m4a", "qt  ": "video/quicktime",
	"heic": "image/heic", "heix": "image/heic", "mif1": "image/heif", "avif": "image/avif",
	"crx ": "image/x-canon-cr3",
}

func common(head []byte) string {
	for _, m := range magics {
		if len(head) >= len(m.magic) && string(head[:len(m.magic)]) == m.magic {
			return m.mime
		}
	}
	if len(head) < 16 {
		return ""
	}
	switch {
	case string(head[4:8]) == "ftyp":
		return brands[string(head[8:12])]
	case string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP":
		return "image/webp"
	case len(head) >= 18 && string(head[:2]) == "BM" && string(head[6:10]) == "\x00\x00\x00\x00" && string(head[14:18]) == "\x0c\x00\x00\x00":
		return "image/bmp" // of OS/2
	case bytes.Count(head, []byte{0}) == len(head):
		return "application/octet-stream" // a wiped or sparse file, common enough
	}
	return ""
}
