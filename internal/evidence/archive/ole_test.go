package archive_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

const (
	jpeg = "\xff\xd8\xff\xe0\x00\x10JFIF and what follows\xff\xd9"
	png  = "\x89PNG\r\n\x1a\n and what follows"
)

// blipRecord is an OfficeArt record.
func blipRecord(tag, kind uint16, body string) string {
	b := binary.LittleEndian.AppendUint16(nil, tag)
	b = binary.LittleEndian.AppendUint16(b, kind)
	return string(binary.LittleEndian.AppendUint32(b, uint32(len(body)))) + body
}

func emf(content string) string {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte(content))
	w.Close()
	h := binary.LittleEndian.AppendUint32(nil, uint32(len(content)))
	h = append(h, make([]byte, 28)...)
	return string(append(h, 0, 0xfe)) + z.String()
}

func catalog(names ...string) string {
	b := "\x10\x00\x07\x00" + strings.Repeat("\x00", 12)
	for i, name := range names {
		n := binary.LittleEndian.AppendUint32(nil, uint32(16+2*len(name)+4))
		n = binary.LittleEndian.AppendUint32(n, uint32(i+1))
		n = binary.LittleEndian.AppendUint64(n, 133513600000000000)
		b += string(n) + utf16le(name) + "\x00\x00\x00\x00"
	}
	return b
}

func ole10(label, content string) string {
	b := "\x02\x00" + label + "\x00C:\\x\\" + label + "\x00\x00\x00\x03\x00"
	b += "\x04\x00\x00\x00tmp\x00" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(content)))) + content
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(b)))) + b
}

// oleSamples are streams of all the programs at once.
func oleSamples() []file {
	id := strings.Repeat("i", 16)
	return []file{
		{"Pictures", blipRecord(0x46a0, 0xf01d, id+"\xff"+jpeg) + blipRecord(0x6e10, 0xf01e, id+id+"\xff"+png) + blipRecord(0x3d40, 0xf01a, id+emf("a drawing"))},
		{"Data", strings.Repeat("?", 5000) + blipRecord(0x7a80, 0xf01f, id+"\xff"+strings.Repeat("d", 60))},
		{"ObjectPool/\x01Ole10Native", ole10("holiday.jpg", jpeg)},
		{"__attach_version1.0_#00000000/__substg1.0_37010102", jpeg + jpeg},
		{"__attach_version1.0_#00000000/__substg1.0_3707001F", utf16le("Übersicht.jpg")},
		{"large", strings.Repeat("0123456789abcdef", 600)},
		{"empty", ""},
	}
}

func TestStreamsAndWhatIsInThem(t *testing.T) {
	got := list(t, "r.doc", compoundFile(oleSamples()...), evidence.Limits{})
	evidencetest.GoldenText(t, "ole-synthetic", got)
}

func TestThumbsDB(t *testing.T) {
	head := "\x0c\x00\x00\x00\x01\x00\x00\x00" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(jpeg))))
	long := "\x18\x00\x00\x00" + strings.Repeat("\x00", 20)
	files := []file{
		{"Catalog", catalog("beach.jpg", "dunes.jpg")},
		{"1", head + jpeg}, {"2", head + jpeg + "2"}, {"256_0123456789abcdef", long + png}, {"3", "not a thumbnail at all"},
	}
	evidencetest.GoldenText(t, "thumbs", list(t, "Thumbs.db", compoundFile(files...), evidence.Limits{}))
}

func TestThumbcache(t *testing.T) {
	b := thumbcacheFile(file{"4f3a", jpeg}, file{"", png}, file{"none", ""}, file{"77", "BM bitmap"})
	b = append(b, make([]byte, 100)...)
	b = slices.Concat(b, thumbcacheFile(file{"older", jpeg + "!"})[24:])
	evidencetest.GoldenText(t, "thumbcache", list(t, "thumbcache_256.db", b, evidence.Limits{}))
}

// A document that is encrypted says so, and nothing in it is taken for a
// picture.
func TestEncryptedDocuments(t *testing.T) {
	fib := make([]byte, 64)
	fib[11] = 1
	bof := "\x09\x08\x10\x00" + strings.Repeat("\x00", 16) + "\x2f\x00\x06\x00" + "\x00\x00\x01\x00\x02\x00"
	user := strings.Repeat("\x00", 12) + "\xdf\xc4\xd1\xf3" + strings.Repeat("\x00", 20)
	picture := blipRecord(0x46a0, 0xf01d, strings.Repeat("i", 17)+jpeg)
	for name, files := range map[string][]file{
		"ooxml": {{"EncryptedPackage", strings.Repeat("x", 5000)}, {"EncryptionInfo", "y"}},
		"doc":   {{"WordDocument", string(fib)}, {"Data", picture}},
		"xls":   {{"Workbook", bof}},
		"ppt":   {{"Current User", user}, {"Pictures", picture}},
	} {
		got := expand(t, compoundFile(files...), evidence.Limits{})
		if got.findings[tutela.FindingEncrypted] != 1 || len(got.paths) != len(files)+1 {
			t.Errorf("%s: %q, findings %v", name, got.paths, got.findings)
		}
	}
}

// A workbook's drawings are cut into records of at most 8224 bytes.
func TestSheetPicturesAcrossRecords(t *testing.T) {
	picture := jpeg + strings.Repeat("p", 9000)
	drawing := blipRecord(0x46a0, 0xf01d, strings.Repeat("i", 17)+picture)
	record := func(kind uint16, body string) string {
		b := binary.LittleEndian.AppendUint16(nil, kind)
		return string(binary.LittleEndian.AppendUint16(b, uint16(len(body)))) + body
	}
	sheet := record(0x0809, "bof") + record(0xeb, drawing[:5]) + record(0x3c, drawing[5:8000]) + record(0x3c, drawing[8000:]) + record(0x0a, "") + record(0x3c, "not a drawing")
	got := list(t, "r.xls", compoundFile(file{"Workbook", sheet}), evidence.Limits{})
	want := fmt.Sprintf("/r.xls!/Workbook/1.jpg\tfile\t%d\t%s\t", len(picture), digestOf(picture))
	if !strings.Contains(got, want) {
		t.Errorf("no picture %q:\n%s", want, got)
	}
}

// Chains that loop, cross and leave the file are told, and do not hang.
func TestBrokenCompoundFiles(t *testing.T) {
	whole := compoundFile(file{"large", strings.Repeat("0123456789abcdef", 600)}, file{"small", "s"})
	fat := len(whole) - 512*2
	loop := slices.Clone(whole)
	binary.LittleEndian.PutUint32(loop[fat+4:], 0)
	away := slices.Clone(whole)
	binary.LittleEndian.PutUint32(away[fat+8:], 0x00ffffff)
	short := slices.Clone(whole)
	binary.LittleEndian.PutUint32(short[fat+8:], 0xfffffffe)
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"whole": {whole, ""},
		"away":  {away, tutela.FindingDamaged},
		"short": {short, tutela.FindingTruncated},
		"cut":   {whole[:600], tutela.FindingDamaged},
	} {
		got := expand(t, tc.content, evidence.Limits{})
		if (tc.want == "") != (len(got.findings) == 0) || tc.want != "" && got.findings[tc.want] == 0 {
			t.Errorf("%s: %q, findings %v", name, got.paths, got.findings)
		}
	}
	// A loop is bounded by the size that the stream claims.
	if got := expand(t, loop, evidence.Limits{}); got.read > int64(len(loop)) {
		t.Errorf("loop: read %d bytes", got.read)
	}
}
